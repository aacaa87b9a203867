package io.github.jkvm.it.x86;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.VmExit;
import io.github.jkvm.testkit.RequiresKvm;
import io.github.jkvm.x86.ClockState;
import io.github.jkvm.x86.CpuidEntry;
import io.github.jkvm.x86.Msr;
import io.github.jkvm.x86.X86VCpu;
import java.util.List;
import org.junit.jupiter.api.Test;

/** A guest goes on in another VM with the state it had in the first. */
@RequiresKvm
class StateTransferTest {
    private static final int HLT = 0xF4;
    private static final int MEMORY = 1 << 16;

    @Test
    void aGuestGoesOnInAnotherVmWhereItWas() {
        int[] code = {
            0xB9, 0x03, 0x00, // mov cx, 3
            0x01, 0xC8, // again: add ax, cx
            0xE7, 0x10, // out 0x10, ax
            0xE2, 0xFA, // loop again
            0xA3, 0x00, 0x30, // mov [0x3000], ax
            HLT
        };
        try (var first = new X86Machine();
                var second = new X86Machine()) {
            List<CpuidEntry> cpuid = first.hypervisor.supportedCpuid();
            first.vm.createIrqChip();
            first.vm.createPit();
            X86VCpu before = first.vcpu(code);
            before.setCpuid(cpuid);
            assertOut(X86Machine.run(before), 3);
            assertOut(X86Machine.run(before), 5);

            second.vm.createIrqChip();
            second.vm.createPit();
            X86VCpu after = second.vcpu(HLT);
            after.setCpuid(before.cpuid());
            second.vm.memory().write(0, first.vm.memory().read(0, MEMORY));
            copy(first, before, second, after);

            assertOut(X86Machine.run(after), 6);
            assertThat(after.registers().rcx()).isEqualTo(1);
        }
    }

    /** In the order that the structures depend on each other: what makes registers valid comes before those registers. */
    private static void copy(X86Machine from, X86VCpu before, X86Machine to, X86VCpu after) {
        to.vm.setClock(new ClockState(from.vm.clock().clock(), 0, 0, 0));
        to.vm.setIrqChip(from.vm.irqChip());
        to.vm.setPit(from.vm.pit());
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
        try (var machine = new X86Machine()) {
            machine.vm.createIrqChip();
            X86VCpu vcpu = machine.vcpu(HLT);
            vcpu.setCpuid(machine.hypervisor.supportedCpuid());
            List<Msr> msrs = vcpu.msrs(machine.hypervisor.msrIndices());
            assertThat(msrs).extracting(Msr::index).isEqualTo(machine.hypervisor.msrIndices());
            vcpu.setMsrs(msrs);
        }
    }
}
