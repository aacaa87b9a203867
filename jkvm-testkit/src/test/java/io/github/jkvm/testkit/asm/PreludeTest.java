package io.github.jkvm.testkit.asm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.junit.jupiter.api.Test;

/** The tables of the prelude and its limits; that it works is shown by guests that run it. */
class PreludeTest {
    @Test
    void aGateOfLongModeHasItsHandlersAddressInThreePieces() {
        assertThat(GuestTables.gate(GuestTables.CODE64_SELECTOR, 0x1234_5678_9ABC_DEF0L))
                .isEqualTo(0x9ABC_8E00_0008_DEF0L);
        assertThat(GuestTables.gateHigh(0x1234_5678_9ABC_DEF0L)).isEqualTo(0x1234_5678L);
    }

    @Test
    void theTablesNameHandlersByTheirLabels() {
        Assembler a = new Assembler(Mode.BITS16, 0x8000);
        Label handler = a.label("handler");
        Prelude.longMode().handler(3, handler).writeTo(a);
        a.padTo(0x1_2344).bind(handler).iretq();
        GuestCode code = a.assemble();
        ByteBuffer bytes = ByteBuffer.wrap(code.bytes()).order(ByteOrder.LITTLE_ENDIAN);
        long idt = code.listing()
                .lines()
                .dropWhile(line -> !line.equals("prelude: idt:"))
                .skip(1)
                .mapToLong(line -> Long.parseLong(line.substring(0, 8), 16))
                .findFirst()
                .orElseThrow();
        int gate = (int) (idt - code.origin()) + 3 * GuestTables.GATE64_BYTES;
        assertThat(bytes.getLong(gate)).isEqualTo(GuestTables.gate(GuestTables.CODE64_SELECTOR, 0x1_2344));
        assertThat(bytes.getLong(gate + 8)).isZero();
        assertThat(bytes.getLong(gate - GuestTables.GATE64_BYTES))
                .as("the vector before has no gate")
                .isZero();
    }

    @Test
    void leavesTheAssemblerInTheModeItLeadsTo() {
        assertThat(Prelude.protectedMode()
                        .writeTo(new Assembler(Mode.BITS16, 0x8000))
                        .mode())
                .isEqualTo(Mode.BITS32);
        assertThat(Prelude.longMode()
                        .writeTo(new Assembler(Mode.BITS16, 0x8000))
                        .mode())
                .isEqualTo(Mode.BITS64);
    }

    @Test
    void refusesProgramsThatTheGuestWouldOverwrite() {
        Assembler inTables = Prelude.longMode().writeTo(new Assembler(Mode.BITS16, 0x3000));
        assertThatIllegalStateException()
                .isThrownBy(inTables::assemble)
                .withMessageContaining("overlaps the prelude's page tables from 0x1000 to 0x4000");
        Assembler underStack = Prelude.protectedMode().stack(0x8100).writeTo(new Assembler(Mode.BITS16, 0x8000));
        assertThatIllegalStateException().isThrownBy(underStack::assemble).withMessageContaining("overlaps the stack");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Prelude.longMode().identityMap(4).writeTo(new Assembler(Mode.BITS16, 0x8000)))
                .withMessageContaining("the stack at 0x6000 starts inside the page tables from 0x1000 to 0x7000");
    }

    @Test
    void refusesAProgramBeyondRealMode() {
        Assembler a = Prelude.longMode().writeTo(new Assembler(Mode.BITS16, 0x10_0000));
        assertThatIllegalStateException().isThrownBy(a::assemble).withMessageContaining("prelude: gdt register");
    }

    @Test
    void refusesSettingsOutOfRange() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Prelude.longMode().stack(12))
                .withMessageContaining("0xc");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Prelude.longMode().identityMap(513))
                .withMessageContaining("513 GiB");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Prelude.longMode().pageTables(0x800))
                .withMessageContaining("0x800");
        Label label = new Assembler(Mode.BITS16, 0).here("handler");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Prelude.longMode().handler(256, label))
                .withMessageContaining("vector 256");
        assertThatIllegalStateException()
                .isThrownBy(() -> Prelude.longMode().writeTo(new Assembler(Mode.BITS32, 0)))
                .withMessageContaining("the assembler is in BITS32");
    }
}
