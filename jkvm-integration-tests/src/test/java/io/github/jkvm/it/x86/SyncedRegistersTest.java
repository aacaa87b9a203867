package io.github.jkvm.it.x86;

import static io.github.jkvm.testkit.GuestAssertions.assertThat;
import static io.github.jkvm.testkit.asm.Reg8.AL;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.github.jkvm.Capability;
import io.github.jkvm.HypervisorException;
import io.github.jkvm.VmExit;
import io.github.jkvm.kvm.KvmX86VCpu;
import io.github.jkvm.kvm.SyncedRegisters;
import io.github.jkvm.kvm.SyncedRegisters.Part;
import io.github.jkvm.machine.boot.EntryMode;
import io.github.jkvm.testkit.MicroGuest;
import io.github.jkvm.testkit.MicroVm;
import io.github.jkvm.testkit.RequiresKvm;
import io.github.jkvm.x86.Registers.Name;
import io.github.jkvm.x86.SpecialRegisters;
import java.time.Duration;
import java.util.Set;
import org.junit.jupiter.api.Test;

@MicroVm
@RequiresKvm(Capability.SYNC_REGS)
class SyncedRegistersTest {

    private static final Duration LONG = Duration.ofSeconds(60);

    @MicroVm(mode = EntryMode.REAL16, deadline = "60s")
    private MicroGuest guest;

    /** Documentation/virt/kvm/api.rst, KVM_CAP_SYNC_REGS: at exit the sets of kvm_valid_regs are copied to the page. */
    @Test
    void findsTheRegistersOfTheExitInThePage() {
        guest.load(code -> code.inc(AL).hlt());
        KvmX86VCpu vcpu = KvmX86VCpu.of(guest.vcpu());
        SyncedRegisters synced = vcpu.syncedRegisters();
        synced.share(Set.of(Part.REGISTERS, Part.SPECIAL_REGISTERS, Part.EVENTS));
        assertThat(guest).halts();
        assertThat(synced.registers().rax()).isEqualTo(1);
        assertThat(synced.registers()).isEqualTo(vcpu.registers());
        assertThat(synced.specialRegisters()).isEqualTo(vcpu.specialRegisters());
        assertThat(synced.events()).isEqualTo(vcpu.events());
    }

    /** Documentation/virt/kvm/api.rst, KVM_CAP_SYNC_REGS: at entry the sets of kvm_dirty_regs are taken from the page. */
    @Test
    void takesTheRegistersForTheNextRunFromThePage() {
        guest.load(code -> code.inc(AL).hlt().inc(AL).hlt());
        KvmX86VCpu vcpu = KvmX86VCpu.of(guest.vcpu());
        SyncedRegisters synced = vcpu.syncedRegisters();
        synced.share(Set.of(Part.REGISTERS));
        assertThat(guest).halts();
        synced.setRegisters(synced.registers().with(Name.RAX, 0x41).withRip(guest.codeAddress()));
        assertThat(guest).halts();
        assertThat(synced.registers().rax()).isEqualTo(0x42);
        // Once: the next run goes on where this one ended.
        assertThat(guest).halts();
        assertThat(synced.registers().rax()).isEqualTo(0x43);
    }

    @Test
    void showsTheStateAfterAPendingReadIsFinished() {
        guest.load(code -> code.in(AL, 0x10).hlt());
        KvmX86VCpu vcpu = KvmX86VCpu.of(guest.vcpu());
        SyncedRegisters synced = vcpu.syncedRegisters();
        synced.share(Set.of(Part.REGISTERS));
        assertThat(vcpu.run(LONG)).isInstanceOf(VmExit.PortIn.class);
        vcpu.respond(0x5A);
        assertThat(synced.registers().rax()).isEqualTo(0x5A);
        assertThat(guest).halts();
    }

    @Test
    void failsTheRunIfTheSpecialRegistersFitNoMode() {
        KvmX86VCpu vcpu = KvmX86VCpu.of(guest.vcpu());
        SpecialRegisters before = vcpu.specialRegisters();
        vcpu.syncedRegisters()
                .setSpecialRegisters(before.withControl(
                        (before.cr0() | SpecialRegisters.CR0_PG) & ~SpecialRegisters.CR0_PE,
                        0,
                        before.cr4() | SpecialRegisters.CR4_PAE,
                        before.efer() | SpecialRegisters.EFER_LME | SpecialRegisters.EFER_LMA));
        assertThatExceptionOfType(HypervisorException.class)
                .isThrownBy(() -> vcpu.run(LONG))
                .withMessageContaining("KVM_RUN")
                .withMessageContaining("EINVAL");
    }

    @Test
    void refusesToReadWhatIsNotShared() {
        KvmX86VCpu vcpu = KvmX86VCpu.of(guest.vcpu());
        assertThatIllegalStateException()
                .isThrownBy(() -> vcpu.syncedRegisters().registers())
                .withMessageContaining("call share(Set.of(Part.REGISTERS)) before");
    }
}
