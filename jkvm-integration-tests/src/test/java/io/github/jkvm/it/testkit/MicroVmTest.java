package io.github.jkvm.it.testkit;

import static io.github.jkvm.testkit.GuestAssertions.assertThat;
import static io.github.jkvm.testkit.asm.Mem.mem;
import static io.github.jkvm.testkit.asm.Mem.wordPtr;
import static io.github.jkvm.testkit.asm.Reg16.DX;
import static io.github.jkvm.testkit.asm.Reg32.EAX;
import static io.github.jkvm.testkit.asm.Reg8.AL;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.machine.boot.EntryMode;
import io.github.jkvm.testkit.ExitKind;
import io.github.jkvm.testkit.GuestExit;
import io.github.jkvm.testkit.GuestStop;
import io.github.jkvm.testkit.MicroGuest;
import io.github.jkvm.testkit.MicroGuestBuilder;
import io.github.jkvm.testkit.MicroVm;
import io.github.jkvm.testkit.Port;
import io.github.jkvm.testkit.asm.Assembler;
import io.github.jkvm.testkit.asm.Label;
import io.github.jkvm.x86.Registers;
import io.github.jkvm.x86.X86Vm;
import java.time.Duration;
import java.util.HashSet;
import java.util.Set;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;

@MicroVm(memory = 4 << 20)
class MicroVmTest {
    private static final Set<MicroGuest> SEEN = new HashSet<>();

    @MicroVm(mode = EntryMode.REAL16)
    private static MicroGuest shared;

    @MicroVm
    private MicroGuest fresh;

    private static void printAb(Assembler code) {
        code.mov(AL, 'A').out(0xE9, AL).mov(AL, 'B').out(0xE9, AL).hlt();
    }

    @BeforeEach
    void fieldsAreSet() {
        assertThat(SEEN.add(fresh)).as("a guest no other test had").isTrue();
        SEEN.add(shared);
    }

    @AfterAll
    static void theSharedGuestIsOneForAllTests() {
        assertThat(SEEN.stream().filter(guest -> guest.mode() == EntryMode.REAL16))
                .containsExactly(shared);
        // The others are closed with their tests.
        assertThat(SEEN.stream().filter(guest -> guest != shared))
                .allSatisfy(guest -> assertThatThrownBy(guest::registers).isInstanceOf(IllegalStateException.class));
    }

    @Test
    void aParameterHasWhatTheClassAsksFor(MicroGuest guest) {
        guest.load(MicroVmTest::printAb);

        assertThat(guest)
                .halts()
                .hasPrinted("AB")
                .hasPrinted(Pattern.compile("^A.$"))
                .hasExits(ExitKind.PORT_OUT, 2)
                .hasLastExits(GuestExit.portOut(0xE9, 'A'), GuestExit.portOut(0xE9, 'B'), GuestExit.halt());
        assertThat(guest.memory().contains(0, 4 << 20)).isTrue();
        assertThat(guest).isNotSameAs(fresh);
    }

    @Test
    void aGuestRunsOnFromWhereItStopped() {
        fresh.load(MicroVmTest::printAb);

        assertThat(fresh).prints("A").hasRegister(Registers.Name.RAX, 'A');
        assertThat(fresh.text(Port.DEBUG)).isEqualTo("A");
        assertThat(fresh).halts().hasPrinted("AB");
    }

    @Test
    void aGuestThatHasRunIsLoadedAgainWithEmptyMemory() {
        shared.memory().writeInt(0x500, 0x1234);
        for (int i = 0; i < 2; i++) {
            shared.load(code -> code.mov(wordPtr(mem(0x600)), 7)
                    .mov(DX, MicroGuest.EXIT_PORT)
                    .mov(AL, 3)
                    .out(DX, AL));
            assertThat(shared)
                    .powersOffWith(3)
                    .hasInt(0x600, 7)
                    .hasMemory(0x600, (byte) 7, (byte) 0)
                    .hasInt(0x500, i == 0 ? 0x1234 : 0);
            shared.memory().writeInt(0x500, 0x5678);
        }
    }

    @Test
    void machineCodeIsLoadedAsItIs() {
        fresh.load(
                new byte[] {(byte) 0xB0, 'A', (byte) 0xE6, (byte) 0xE9, (byte) 0xF4}); // mov al, 'A'; out 0xe9, al; hlt

        assertThat(fresh).halts().hasPrinted("A");
    }

    @Test
    void aGuestReportsAndIsRunOn(MicroGuest guest) {
        guest.load(code -> {
            code.mov(AL, 7).out(MicroGuest.REPORT_PORT, AL);
            code.mov(EAX, 0x8000_0001L).out(MicroGuest.REPORT_PORT, EAX).hlt();
        });

        assertThat(guest).reports(7).reports(0x8000_0001).halts();
    }

    @Test
    void theVmIsPreparedBeforeItHasAProcessor() {
        MicroGuestBuilder builder = MicroGuest.builder().prepare(X86Vm::createIrqChip);
        try (MicroGuest guest = builder.build(Assembler::hlt)) {
            assertThat(guest.run(Duration.ofMillis(50)))
                    .as("with an interrupt controller a halted guest waits")
                    .isInstanceOf(GuestStop.RanOutOfTime.class);
        }
        assertThatThrownBy(() -> builder.build(code -> code.hlt().fill(4 << 20, 0)))
                .isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void aGuestInCSumsWhatTheTestPutInItsMemory(@MicroVm(program = "sum.c") MicroGuest guest) {
        for (int i = 0; i < 10; i++) {
            guest.memory().writeInt(0x10_0000 + 4L * i, i);
        }

        assertThat(guest).powersOffWith(45).hasPrinted("summed\n");
    }

    @Test
    void a32BitGuestWritesToTheSerialPort(@MicroVm(mode = EntryMode.PROTECTED32) MicroGuest guest) {
        guest.load(code -> {
            code.mov(DX, 0x3FD);
            Label wait = code.here("wait until it can send");
            code.in(AL, DX).test(AL, 0x20).jz(wait);
            code.mov(DX, 0x3F8).mov(AL, 's').out(DX, AL).hlt();
        });

        assertThat(guest).prints(Port.SERIAL, "s").halts().hasExits(ExitKind.PORT_IN, 1);
    }

    @Nested
    class InANestedClass {
        @Test
        void theOuterClassSaysWhatGuestsAreLike(MicroGuest guest) {
            assertThat(guest.memory().contains(0, 4 << 20)).isTrue();
        }
    }
}
