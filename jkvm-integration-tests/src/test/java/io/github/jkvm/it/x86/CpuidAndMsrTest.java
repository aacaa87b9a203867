package io.github.jkvm.it.x86;

import static io.github.jkvm.testkit.GuestAssertions.assertThat;
import static io.github.jkvm.testkit.asm.Reg32.EAX;
import static io.github.jkvm.testkit.asm.Reg32.ECX;
import static io.github.jkvm.testkit.asm.Reg32.EDX;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.github.jkvm.Capability;
import io.github.jkvm.HypervisorException;
import io.github.jkvm.VmExit;
import io.github.jkvm.kvm.KvmException;
import io.github.jkvm.machine.boot.EntryMode;
import io.github.jkvm.testkit.MicroGuest;
import io.github.jkvm.testkit.MicroVm;
import io.github.jkvm.testkit.RequiresKvm;
import io.github.jkvm.testkit.asm.Assembler;
import io.github.jkvm.x86.CpuidEntry;
import io.github.jkvm.x86.Msr;
import io.github.jkvm.x86.MsrFilter;
import io.github.jkvm.x86.MsrFilter.Access;
import io.github.jkvm.x86.MsrFilter.Unlisted;
import io.github.jkvm.x86.X86VCpu;
import io.github.jkvm.x86.X86Vm.MsrExitReason;
import java.time.Duration;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

@MicroVm
class CpuidAndMsrTest {
    private static final int UNKNOWN_MSR = 0x7FFF_1234;

    private static final Duration LONG = Duration.ofSeconds(60);

    @MicroVm(mode = EntryMode.REAL16, deadline = "60s")
    private MicroGuest guest;

    @Test
    void keepsCpuidAnswers() {
        X86VCpu vcpu = guest.vcpu();
        var entries = new ArrayList<>(vcpu.cpuid());
        entries.add(new CpuidEntry(0x4000_0100, 0, 0, 1, 2, 3, 4));
        vcpu.setCpuid(entries);
        assertThat(vcpu.cpuid()).hasSameSizeAs(entries).contains(entries.getLast());
    }

    @Test
    void letsTheGuestReadTheAnswers() {
        guest.load(code -> code.mov(EAX, 0x4000_0100).cpuid().hlt());
        X86VCpu vcpu = guest.vcpu();
        var entries = new ArrayList<>(vcpu.cpuid());
        entries.add(new CpuidEntry(0x4000_0100, 0, 0, 0x11, 0x22, 0x33, 0x44));
        vcpu.setCpuid(entries);
        assertThat(guest).halts();
        assertThat(vcpu.registers().rbx()).isEqualTo(0x22);
        assertThat(vcpu.registers().rdx()).isEqualTo(0x44);
    }

    @Test
    void refusesOtherAnswersOnceTheVCpuHasRun() {
        guest.load(Assembler::hlt);
        X86VCpu vcpu = guest.vcpu();
        List<CpuidEntry> entries = vcpu.cpuid();
        assertThat(guest).halts();
        assertThatExceptionOfType(KvmException.class)
                .isThrownBy(() -> vcpu.setCpuid(entries.subList(0, 2)))
                .withMessageContaining("KVM_SET_CPUID2")
                .withMessageContaining("2 entries")
                .withMessageContaining("the vCPU has run");
    }

    @Test
    void refusesMoreAnswersThanTheHostTakes() {
        X86VCpu vcpu = guest.vcpu();
        List<CpuidEntry> many = Collections.nCopies(5000, new CpuidEntry(0, 0, 0, 0, 0, 0, 0));
        assertThatExceptionOfType(KvmException.class)
                .isThrownBy(() -> vcpu.setCpuid(many))
                .withMessageContaining("5000 entries")
                .withMessageContaining("E2BIG")
                .withMessageContaining("more entries than the host takes");
    }

    @Test
    void keepsMsrs() {
        X86VCpu vcpu = guest.vcpu();
        List<Msr> msrs = List.of(new Msr(Msr.STAR, 0x0012_3400_0000_0000L), new Msr(Msr.LSTAR, 0x1000));
        vcpu.setMsrs(msrs);
        assertThat(vcpu.msrs(List.of(Msr.STAR, Msr.LSTAR))).isEqualTo(msrs);
    }

    @Test
    void keepsMoreMsrsThanOneCallTakes() {
        X86VCpu vcpu = guest.vcpu();
        List<Msr> many = new ArrayList<>();
        for (int i = 0; i < 600; i++) {
            many.add(new Msr(Msr.STAR, (long) i << 32));
        }
        vcpu.setMsrs(many);
        assertThat(vcpu.msrs(Collections.nCopies(600, Msr.STAR)))
                .hasSize(600)
                .containsOnly(new Msr(Msr.STAR, 599L << 32));
    }

    @Test
    void namesTheFirstMsrThatCanNotBeRead() {
        X86VCpu vcpu = guest.vcpu();
        List<Integer> indices = new ArrayList<>(Collections.nCopies(300, Msr.STAR));
        indices.set(270, UNKNOWN_MSR);
        assertThatExceptionOfType(HypervisorException.class)
                .isThrownBy(() -> vcpu.msrs(indices))
                .withMessageContaining("KVM_GET_MSRS (vCPU 0")
                .withMessageContaining("refused MSR 0x7fff1234, number 271 of 300; the 270 before it were read");
    }

    @Test
    void namesTheFirstMsrThatCanNotBeWritten() {
        X86VCpu vcpu = guest.vcpu();
        List<Msr> msrs = List.of(new Msr(Msr.STAR, 0x5_0000_0000L), new Msr(UNKNOWN_MSR, 9), new Msr(Msr.STAR, 0));
        assertThatExceptionOfType(HypervisorException.class)
                .isThrownBy(() -> vcpu.setMsrs(msrs))
                .withMessageContaining("KVM_SET_MSRS")
                .withMessageContaining(
                        "refused msr 7fff1234: 0000000000000009, number 2 of 3; the 1 before it were written");
        assertThat(vcpu.msrs(List.of(Msr.STAR))).containsExactly(msrs.getFirst());
    }

    @Test
    @RequiresKvm(Capability.X86_USER_SPACE_MSR)
    void takesMsrAccessesThatTheHostDoesNotKnow() {
        guest.vm().setMsrExits(Set.of(MsrExitReason.UNKNOWN, MsrExitReason.INVALID));
        guest.load(code -> code.mov(ECX, UNKNOWN_MSR).rdmsr().hlt());
        X86VCpu vcpu = guest.vcpu();
        VmExit exit = vcpu.run(LONG);
        assertThat(exit)
                .isInstanceOfSatisfying(
                        VmExit.ReadMsr.class, read -> assertThat(read.index()).isEqualTo(UNKNOWN_MSR));
        vcpu.respond(0x1122_3344_5566_7788L);
        assertThat(guest).halts();
        assertThat(vcpu.registers().rax() & 0xFFFF_FFFFL).isEqualTo(0x5566_7788);
        assertThat(vcpu.registers().rdx() & 0xFFFF_FFFFL).isEqualTo(0x1122_3344);
    }

    @Test
    @RequiresKvm({Capability.X86_USER_SPACE_MSR, Capability.X86_MSR_FILTER})
    void takesMsrAccessesThatTheFilterDenies() {
        guest.vm().setMsrExits(Set.of(MsrExitReason.FILTER));
        guest.vm()
                .setMsrFilter(new MsrFilter(
                        Unlisted.ALLOW, List.of(new MsrFilter.Range(Msr.STAR, 1, Set.of(Access.WRITE), new BitSet()))));
        guest.load(code ->
                code.mov(ECX, Msr.STAR).xor(EAX, EAX).mov(EDX, 7).wrmsr().hlt());
        X86VCpu vcpu = guest.vcpu();
        VmExit exit = vcpu.run(LONG);
        assertThat(exit).isInstanceOfSatisfying(VmExit.WriteMsr.class, write -> {
            assertThat(write.index()).isEqualTo(Msr.STAR);
            assertThat(write.value()).isEqualTo(7L << 32);
        });
        vcpu.respond(0);
        assertThat(guest).halts();
    }

    @Test
    @RequiresKvm(Capability.X86_MSR_FILTER)
    void refusesAFilterThatDeniesEverything() {
        // Documentation/virt/kvm/api.rst, KVM_X86_SET_MSR_FILTER: KVM_MSR_FILTER_DEFAULT_DENY with no ranges is an
        // invalid combination.
        assertThatExceptionOfType(KvmException.class)
                .isThrownBy(() -> guest.vm().setMsrFilter(new MsrFilter(Unlisted.DENY, List.of())))
                .withMessageContaining("KVM_X86_SET_MSR_FILTER")
                .withMessageContaining("DENY but for 0 ranges")
                .withMessageContaining("needs a range");
    }
}
