package io.github.jkvm.it.x86;

import static io.github.jkvm.testkit.GuestAssertions.assertThat;
import static io.github.jkvm.testkit.asm.Mem.mem;
import static io.github.jkvm.testkit.asm.Reg16.AX;
import static io.github.jkvm.testkit.asm.Reg16.CX;
import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.Hypervisor;
import io.github.jkvm.VmExit;
import io.github.jkvm.machine.boot.EntryMode;
import io.github.jkvm.testkit.MicroGuest;
import io.github.jkvm.testkit.RequiresKvm;
import io.github.jkvm.testkit.asm.Label;
import io.github.jkvm.x86.ClockState;
import io.github.jkvm.x86.Msr;
import io.github.jkvm.x86.X86Hypervisor;
import io.github.jkvm.x86.X86VCpu;
import io.github.jkvm.x86.X86Vm;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;

/** A guest goes on in another VM with the state it had in the first. */
@RequiresKvm
class StateTransferTest {
    private static final int MEMORY = 0x2_0000;
    private static final Duration LONG = Duration.ofSeconds(60);

    private static MicroGuest guest() {
        return MicroGuest.builder()
                .mode(EntryMode.REAL16)
                .memory(MEMORY)
                .prepare(vm -> {
                    vm.createIrqChip();
                    vm.createPit();
                })
                .build();
    }

    @Test
    void aGuestGoesOnInAnotherVmWhereItWas() {
        try (MicroGuest first = guest();
                MicroGuest second = guest()) {
            first.load(code -> {
                code.mov(CX, 3);
                Label again = code.here("again");
                code.add(AX, CX).out(0x10, AX).loop(again);
                code.mov(mem(0x3000), AX).hlt();
            });
            assertOut(first.vcpu().run(LONG), 3);
            assertOut(first.vcpu().run(LONG), 5);

            second.memory().write(0, first.memory().read(0, MEMORY));
            copy(first.vm(), first.vcpu(), second.vm(), second.vcpu());

            assertOut(second.vcpu().run(LONG), 6);
            assertThat(second.registers().rcx()).isEqualTo(1);
        }
    }

    /** In the order that the structures depend on each other: what makes registers valid comes before those registers. */
    private static void copy(X86Vm from, X86VCpu before, X86Vm to, X86VCpu after) {
        to.setClock(new ClockState(from.clock().clock(), 0, 0, 0));
        to.setIrqChip(from.irqChip());
        to.setPit(from.pit());
        after.setCpuid(before.cpuid());
        after.setMpState(before.mpState());
        after.setRegisters(before.registers());
        after.setSpecialRegisters(before.specialRegisters());
        after.setXcrs(before.xcrs());
        after.setXsave(before.xsave());
        after.setLapic(before.lapic());
        List<Msr> msrs = before.msrs(List.of(Msr.STAR, Msr.LSTAR, Msr.TSC));
        after.setMsrs(msrs);
        after.setDebugRegisters(before.debugRegisters());
        after.setEvents(before.events());
        assertThat(after.registers()).isEqualTo(before.registers());
        assertThat(after.specialRegisters()).isEqualTo(before.specialRegisters());
        assertThat(after.fpu()).isEqualTo(before.fpu());
    }

    private static void assertOut(VmExit exit, int value) {
        assertThat(exit)
                .isInstanceOfSatisfying(
                        VmExit.PortOut.class,
                        out -> assertThat(out.data().toLong()).isEqualTo(value));
    }

    @Test
    void allMsrsOfAVCpuCanBeReadAndSetAgain() {
        try (X86Hypervisor hypervisor = X86Hypervisor.of(Hypervisor.open());
                MicroGuest guest = MicroGuest.builder()
                        .hypervisor(hypervisor)
                        .prepare(X86Vm::createIrqChip)
                        .build()) {
            List<Msr> msrs = guest.vcpu().msrs(hypervisor.msrIndices());
            assertThat(msrs).extracting(Msr::index).isEqualTo(hypervisor.msrIndices());
            guest.vcpu().setMsrs(msrs);
        }
    }
}
