package io.github.jkvm.it.x86;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import io.github.jkvm.Capability;
import io.github.jkvm.UnsupportedCapabilityException;
import io.github.jkvm.VmExit;
import io.github.jkvm.kvm.KvmException;
import io.github.jkvm.testkit.RequiresKvm;
import io.github.jkvm.x86.GuestDebug;
import io.github.jkvm.x86.GuestDebug.Feature;
import io.github.jkvm.x86.X86VCpu;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

@RequiresKvm
class InjectionTest {
    private static final int HLT = 0xF4;
    private static final int STI = 0xFB;
    private static final int NOP = 0x90;
    private static final int HANDLER = 0x2000;
    private static final int PORT = 0x10;
    private static final int NMI_VECTOR = 2;

    private final X86Machine machine = new X86Machine();

    @AfterEach
    void close() {
        machine.close();
    }

    /** Lets a real-mode vector lead to code that writes it to a port (SDM volume 3, 21.1.4). */
    private void handle(int vector) {
        machine.vm.memory().write(vector * 4L, new byte[] {0, HANDLER >> 8, 0, 0});
        // mov al, vector; out PORT, al
        machine.vm.memory().write(HANDLER, new byte[] {(byte) 0xB0, (byte) vector, (byte) 0xE6, PORT});
    }

    private static void assertHandled(VmExit exit, int vector) {
        assertThat(exit).isInstanceOfSatisfying(VmExit.PortOut.class, out -> {
            assertThat(out.port()).isEqualTo(PORT);
            assertThat(out.data().toLong()).isEqualTo(vector);
        });
    }

    @Test
    void sendsNonMaskableInterrupts() {
        X86VCpu vcpu = machine.vcpu(NOP, NOP, HLT);
        handle(NMI_VECTOR);
        vcpu.nmi();
        assertHandled(X86Machine.run(vcpu), NMI_VECTOR);
    }

    @Test
    void queuesInterruptsOfAControllerInUserSpace() {
        X86VCpu vcpu = machine.vcpu(STI, NOP, HLT);
        handle(0x21);
        vcpu.setRegisters(vcpu.registers().with(io.github.jkvm.x86.Registers.Name.RFLAGS, 0x202));
        vcpu.queueInterrupt(0x21);
        assertHandled(X86Machine.run(vcpu), 0x21);
    }

    @Test
    @RequiresKvm(Capability.SPLIT_IRQCHIP)
    void refusesToQueueASecondInterruptBesideALocalApic() {
        machine.vm.enableSplitIrqChip(24);
        X86VCpu vcpu = machine.vcpu(HLT);
        vcpu.queueInterrupt(0x21);
        assertThatExceptionOfType(KvmException.class)
                .isThrownBy(() -> vcpu.queueInterrupt(0x22))
                .withMessageContaining("KVM_INTERRUPT")
                .withMessageContaining("vector 34")
                .withMessageContaining("an interrupt is queued already");
    }

    @Test
    void refusesToQueueInterruptsBesideControllersInTheHypervisor() {
        machine.vm.createIrqChip();
        X86VCpu vcpu = machine.vcpu(HLT);
        assertThatExceptionOfType(KvmException.class)
                .isThrownBy(() -> vcpu.queueInterrupt(0x21))
                .withMessageContaining("KVM_INTERRUPT")
                .withMessageContaining("ENXIO")
                .withMessageContaining("use Vm.interrupt");
    }

    @Test
    void refusesVectorsThatDoNotExist() {
        X86VCpu vcpu = machine.vcpu(HLT);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> vcpu.queueInterrupt(256))
                .withMessage("interrupt vector 256 must be from 0 to 255");
        assertThatIllegalArgumentException().isThrownBy(() -> vcpu.queueInterrupt(-1));
    }

    @Test
    void sendsSystemManagementInterrupts() {
        X86VCpu vcpu = machine.vcpu(HLT);
        if (!machine.vm.supports(Capability.X86_SMM)) {
            assertThatExceptionOfType(UnsupportedCapabilityException.class)
                    .isThrownBy(vcpu::smi)
                    .withMessageContaining("X86_SMM");
            return;
        }
        vcpu.smi();
        assertThat(vcpu.events().smmPending()).isEqualTo(1);
    }

    @Test
    @RequiresKvm(Capability.GUEST_DEBUG)
    void stepsThroughTheGuest() {
        X86VCpu vcpu = machine.vcpu(NOP, NOP, NOP, HLT);
        vcpu.setGuestDebug(new GuestDebug(Set.of(Feature.SINGLE_STEP), List.of(), 0));
        assertStopsAt(vcpu, 0x1001);
        assertStopsAt(vcpu, 0x1002);
        vcpu.setGuestDebug(GuestDebug.OFF);
        assertThat(X86Machine.run(vcpu)).isInstanceOf(VmExit.Halt.class);
    }

    @Test
    @RequiresKvm(Capability.GUEST_DEBUG)
    void stopsAtHardwareBreakPoints() {
        assumeFalse(
                "nested".equals(System.getProperty("jkvm.lane")),
                "QEMU's software CPU does not watch the debug registers of a nested guest");
        X86VCpu vcpu = machine.vcpu(NOP, NOP, NOP, HLT);
        // SDM volume 3, 19.2.4: bit 1 of DR7 enables break point 0 globally; bit 10 is always set.
        vcpu.setGuestDebug(new GuestDebug(Set.of(Feature.HARDWARE_BREAKPOINTS), List.of(0x1002L), 0x402));
        assertStopsAt(vcpu, 0x1002);
    }

    private static void assertStopsAt(X86VCpu vcpu, long rip) {
        VmExit exit = X86Machine.run(vcpu);
        assertThat(exit).isInstanceOfSatisfying(VmExit.Debug.class, debug -> {
            assertThat(debug.exception()).isEqualTo(1);
            assertThat(debug.pc()).isEqualTo(rip);
        });
        assertThat(vcpu.registers().rip()).isEqualTo(rip);
    }
}
