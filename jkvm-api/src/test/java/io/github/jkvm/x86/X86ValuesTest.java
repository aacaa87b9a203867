package io.github.jkvm.x86;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.github.jkvm.Bytes;
import java.util.BitSet;
import java.util.List;
import java.util.Set;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;

/** What the x86 state records refuse, and that changing one part leaves the others. */
class X86ValuesTest {

    @Property
    void registersKeepAllOthersWhenOneChanges(
            @ForAll @Size(18) long[] values, @ForAll Registers.Name name, @ForAll long value) {
        Registers registers = Registers.of(values).with(name, value);
        for (Registers.Name each : Registers.Name.values()) {
            long expected = each == name ? value : Registers.of(values).get(each);
            assertThat(registers.get(each)).isEqualTo(expected);
        }
    }

    @Test
    void registersAreInTheOrderOfTheKernelsStruct() {
        long[] values = Registers.of(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17)
                .toArray();
        assertThat(Registers.of(values).rsp()).isEqualTo(6);
        assertThat(Registers.of(values).rip()).isEqualTo(16);
        assertThat(Registers.of(values).rflags()).isEqualTo(17);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Registers.of(1, 2))
                .withMessageContaining("2 register values");
    }

    @Test
    void segmentFieldsMustFitTheirBits() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new Segment(0, 0, 0x1_0000, 0, 0, 0, 0, 0, 0, 0, 0, 0))
                .withMessageContaining("selector is 65536");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new Segment(0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0))
                .withMessageContaining("dpl is 4");
        assertThat(Segment.realMode(0xF000, Segment.TYPE_CODE).base()).isEqualTo(0xF_0000);
        assertThatIllegalArgumentException().isThrownBy(() -> new DescriptorTable(0, 0x1_0000));
    }

    @Test
    void localApicRegistersAreReadAndWrittenInPlace() {
        LapicState state =
                new LapicState(Bytes.copyOf(new byte[LapicState.SIZE])).withRegister(LapicState.LVT_LINT0, 0x8000_0700);
        assertThat(state.register(LapicState.LVT_LINT0)).isEqualTo(0x8000_0700);
        assertThat(state.register(LapicState.LVT_LINT1)).isZero();
        assertThatIllegalArgumentException()
                .isThrownBy(() -> state.register(1024))
                .withMessageContaining("offset 1024");
        assertThatIllegalArgumentException().isThrownBy(() -> state.register(4));
        assertThatIllegalArgumentException().isThrownBy(() -> new LapicState(Bytes.copyOf(new byte[4096])));
    }

    @Test
    void statesMustHaveTheirSizes() {
        assertThatIllegalArgumentException().isThrownBy(() -> new XsaveState(Bytes.copyOf(new byte[4092])));
        assertThatIllegalArgumentException().isThrownBy(() -> new DebugRegisters(List.of(1L), 0, 0, 0));
        assertThatIllegalArgumentException().isThrownBy(() -> new PitState(List.of(), 0));
        assertThatIllegalArgumentException().isThrownBy(() -> new IrqChipState.Ioapic(0, 0, 0, 0, List.of()));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new GuestDebug(Set.of(), List.of(1L, 2L, 3L, 4L, 5L), 0))
                .withMessageContaining("5 break points");
    }

    @Test
    void msrFilterRangesMustBeSomethingTheHostAccepts() {
        BitSet beyond = new BitSet();
        beyond.set(4);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new MsrFilter.Range(0, 4, Set.of(MsrFilter.Access.READ), beyond))
                .withMessageContaining("register 4 of 4");
        assertThatIllegalArgumentException().isThrownBy(() -> new MsrFilter.Range(0, 4, Set.of(), new BitSet()));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new MsrFilter.Range(0, 12_289, Set.of(MsrFilter.Access.READ), new BitSet()))
                .withMessageContaining("12288");
    }
}
