package io.github.jkvm.it.x86;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.github.jkvm.Capability;
import io.github.jkvm.HypervisorException;
import io.github.jkvm.VmExit;
import io.github.jkvm.kvm.KvmX86VCpu;
import io.github.jkvm.kvm.SyncedRegisters;
import io.github.jkvm.kvm.SyncedRegisters.Part;
import io.github.jkvm.testkit.RequiresKvm;
import io.github.jkvm.x86.Registers.Name;
import io.github.jkvm.x86.SpecialRegisters;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

@RequiresKvm(Capability.SYNC_REGS)
class SyncedRegistersTest {
    private static final int HLT = 0xF4;

    private final X86Machine machine = new X86Machine();

    @AfterEach
    void close() {
        machine.close();
    }

    /** Documentation/virt/kvm/api.rst, KVM_CAP_SYNC_REGS: at exit the sets of kvm_valid_regs are copied to the page. */
    @Test
    void findsTheRegistersOfTheExitInThePage() {
        // inc al; hlt
        KvmX86VCpu vcpu = KvmX86VCpu.of(machine.vcpu(0xFE, 0xC0, HLT));
        SyncedRegisters synced = vcpu.syncedRegisters();
        synced.share(Set.of(Part.REGISTERS, Part.SPECIAL_REGISTERS, Part.EVENTS));
        assertThat(X86Machine.run(vcpu)).isInstanceOf(VmExit.Halt.class);
        assertThat(synced.registers().rax()).isEqualTo(1);
        assertThat(synced.registers()).isEqualTo(vcpu.registers());
        assertThat(synced.specialRegisters()).isEqualTo(vcpu.specialRegisters());
        assertThat(synced.events()).isEqualTo(vcpu.events());
    }

    /** Documentation/virt/kvm/api.rst, KVM_CAP_SYNC_REGS: at entry the sets of kvm_dirty_regs are taken from the page. */
    @Test
    void takesTheRegistersForTheNextRunFromThePage() {
        KvmX86VCpu vcpu = KvmX86VCpu.of(machine.vcpu(0xFE, 0xC0, HLT));
        SyncedRegisters synced = vcpu.syncedRegisters();
        synced.share(Set.of(Part.REGISTERS));
        X86Machine.run(vcpu);
        synced.setRegisters(synced.registers().with(Name.RAX, 0x41).withRip(0x1000));
        X86Machine.run(vcpu);
        assertThat(synced.registers().rax()).isEqualTo(0x42);
        // Once: the next run goes on where this one ended.
        machine.load(0xFE, 0xC0, HLT, 0xFE, 0xC0, HLT);
        X86Machine.run(vcpu);
        assertThat(synced.registers().rax()).isEqualTo(0x43);
    }

    @Test
    void showsTheStateAfterAPendingReadIsFinished() {
        // in al, 0x10; hlt
        KvmX86VCpu vcpu = KvmX86VCpu.of(machine.vcpu(0xE4, 0x10, HLT));
        SyncedRegisters synced = vcpu.syncedRegisters();
        synced.share(Set.of(Part.REGISTERS));
        assertThat(X86Machine.run(vcpu)).isInstanceOf(VmExit.PortIn.class);
        vcpu.respond(0x5A);
        assertThat(synced.registers().rax()).isEqualTo(0x5A);
        assertThat(X86Machine.run(vcpu)).isInstanceOf(VmExit.Halt.class);
    }

    @Test
    void failsTheRunIfTheSpecialRegistersFitNoMode() {
        KvmX86VCpu vcpu = KvmX86VCpu.of(machine.vcpu(HLT));
        SpecialRegisters before = vcpu.specialRegisters();
        vcpu.syncedRegisters()
                .setSpecialRegisters(before.withControl(
                        (before.cr0() | SpecialRegisters.CR0_PG) & ~SpecialRegisters.CR0_PE,
                        0,
                        before.cr4() | SpecialRegisters.CR4_PAE,
                        before.efer() | SpecialRegisters.EFER_LME | SpecialRegisters.EFER_LMA));
        assertThatExceptionOfType(HypervisorException.class)
                .isThrownBy(() -> X86Machine.run(vcpu))
                .withMessageContaining("KVM_RUN")
                .withMessageContaining("EINVAL");
    }

    @Test
    void refusesToReadWhatIsNotShared() {
        KvmX86VCpu vcpu = KvmX86VCpu.of(machine.vcpu(HLT));
        assertThatIllegalStateException()
                .isThrownBy(() -> vcpu.syncedRegisters().registers())
                .withMessageContaining("call share(Set.of(Part.REGISTERS)) before");
    }
}
