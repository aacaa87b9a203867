package io.github.jkvm.it.x86;

import static io.github.jkvm.testkit.GuestAssertions.assertThat;
import static io.github.jkvm.testkit.asm.Reg8.AL;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import io.github.jkvm.Capability;
import io.github.jkvm.UnsupportedCapabilityException;
import io.github.jkvm.VmExit;
import io.github.jkvm.kvm.KvmException;
import io.github.jkvm.machine.boot.EntryMode;
import io.github.jkvm.testkit.MicroGuest;
import io.github.jkvm.testkit.MicroVm;
import io.github.jkvm.testkit.RequiresKvm;
import io.github.jkvm.testkit.asm.Assembler;
import io.github.jkvm.testkit.asm.Mode;
import io.github.jkvm.x86.GuestDebug;
import io.github.jkvm.x86.GuestDebug.Feature;
import io.github.jkvm.x86.X86VCpu;
import io.github.jkvm.x86.X86Vm;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

@MicroVm
class InjectionTest {
    private static final int HANDLER = 0x2000;
    private static final int PORT = 0x10;
    private static final int NMI_VECTOR = 2;

    private static final Duration LONG = Duration.ofSeconds(60);

    @MicroVm(mode = EntryMode.REAL16, deadline = "60s")
    private MicroGuest guest;

    /** Lets a real-mode vector lead to code that writes it to a port (SDM volume 3, 21.1.4). */
    private void handle(int vector) {
        guest.memory().writeInt(vector * 4L, HANDLER);
        new Assembler(Mode.BITS16, HANDLER)
                .mov(AL, vector)
                .out(PORT, AL)
                .assemble()
                .load(guest.memory());
    }

    private static void assertHandled(VmExit exit, int vector) {
        assertThat(exit).isInstanceOfSatisfying(VmExit.PortOut.class, out -> {
            assertThat(out.port()).isEqualTo(PORT);
            assertThat(out.data().toLong()).isEqualTo(vector);
        });
    }

    @Test
    void sendsNonMaskableInterrupts() {
        guest.load(code -> code.nop().nop().hlt());
        X86VCpu vcpu = guest.vcpu();
        handle(NMI_VECTOR);
        vcpu.nmi();
        assertHandled(vcpu.run(LONG), NMI_VECTOR);
    }

    @Test
    void queuesInterruptsOfAControllerInUserSpace() {
        guest.load(code -> code.sti().nop().hlt());
        X86VCpu vcpu = guest.vcpu();
        handle(0x21);
        vcpu.setRegisters(vcpu.registers().with(io.github.jkvm.x86.Registers.Name.RFLAGS, 0x202));
        vcpu.queueInterrupt(0x21);
        assertHandled(vcpu.run(LONG), 0x21);
    }

    @Test
    @RequiresKvm(Capability.SPLIT_IRQCHIP)
    void refusesToQueueASecondInterruptBesideALocalApic() {
        try (MicroGuest split =
                MicroGuest.builder().prepare(vm -> vm.enableSplitIrqChip(24)).build()) {
            X86VCpu vcpu = split.vcpu();
            vcpu.queueInterrupt(0x21);
            assertThatExceptionOfType(KvmException.class)
                    .isThrownBy(() -> vcpu.queueInterrupt(0x22))
                    .withMessageContaining("KVM_INTERRUPT")
                    .withMessageContaining("vector 34")
                    .withMessageContaining("an interrupt is queued already");
        }
    }

    @Test
    void refusesToQueueInterruptsBesideControllersInTheHypervisor() {
        try (MicroGuest whole =
                MicroGuest.builder().prepare(X86Vm::createIrqChip).build()) {
            X86VCpu vcpu = whole.vcpu();
            assertThatExceptionOfType(KvmException.class)
                    .isThrownBy(() -> vcpu.queueInterrupt(0x21))
                    .withMessageContaining("KVM_INTERRUPT")
                    .withMessageContaining("ENXIO")
                    .withMessageContaining("use Vm.interrupt");
        }
    }

    @Test
    void refusesVectorsThatDoNotExist() {
        X86VCpu vcpu = guest.vcpu();
        assertThatIllegalArgumentException()
                .isThrownBy(() -> vcpu.queueInterrupt(256))
                .withMessage("interrupt vector 256 must be from 0 to 255");
        assertThatIllegalArgumentException().isThrownBy(() -> vcpu.queueInterrupt(-1));
    }

    @Test
    void sendsSystemManagementInterrupts() {
        X86VCpu vcpu = guest.vcpu();
        if (!guest.vm().supports(Capability.X86_SMM)) {
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
        guest.load(code -> code.nop().nop().nop().hlt());
        X86VCpu vcpu = guest.vcpu();
        vcpu.setGuestDebug(new GuestDebug(Set.of(Feature.SINGLE_STEP), List.of(), 0));
        assertStopsAt(vcpu, guest.codeAddress() + 1);
        assertStopsAt(vcpu, guest.codeAddress() + 2);
        vcpu.setGuestDebug(GuestDebug.OFF);
        assertThat(guest).halts();
    }

    @Test
    @RequiresKvm(Capability.GUEST_DEBUG)
    void stopsAtHardwareBreakPoints() {
        assumeFalse(
                "nested".equals(System.getProperty("jkvm.lane")),
                "QEMU's software CPU does not watch the debug registers of a nested guest");
        guest.load(code -> code.nop().nop().nop().hlt());
        X86VCpu vcpu = guest.vcpu();
        // SDM volume 3, 19.2.4: bit 1 of DR7 enables break point 0 globally; bit 10 is always set.
        vcpu.setGuestDebug(
                new GuestDebug(Set.of(Feature.HARDWARE_BREAKPOINTS), List.of(guest.codeAddress() + 2), 0x402));
        assertStopsAt(vcpu, guest.codeAddress() + 2);
    }

    private static void assertStopsAt(X86VCpu vcpu, long rip) {
        VmExit exit = vcpu.run(LONG);
        assertThat(exit).isInstanceOfSatisfying(VmExit.Debug.class, debug -> {
            assertThat(debug.exception()).isEqualTo(1);
            assertThat(debug.pc()).isEqualTo(rip);
        });
        assertThat(vcpu.registers().rip()).isEqualTo(rip);
    }
}
