package io.github.jkvm.it.x86;

import static io.github.jkvm.testkit.GuestAssertions.assertThat;
import static io.github.jkvm.testkit.asm.Mem.mem;
import static io.github.jkvm.testkit.asm.Reg8.AL;
import static io.github.jkvm.testkit.asm.Xmm.XMM0;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jkvm.Bytes;
import io.github.jkvm.Capability;
import io.github.jkvm.UnsupportedCapabilityException;
import io.github.jkvm.VmExit;
import io.github.jkvm.kvm.KvmException;
import io.github.jkvm.kvm.KvmX86VCpu;
import io.github.jkvm.machine.boot.EntryMode;
import io.github.jkvm.testkit.MicroGuest;
import io.github.jkvm.testkit.MicroVm;
import io.github.jkvm.x86.DebugRegisters;
import io.github.jkvm.x86.DescriptorTable;
import io.github.jkvm.x86.FpuState;
import io.github.jkvm.x86.LapicState;
import io.github.jkvm.x86.MpState;
import io.github.jkvm.x86.Registers;
import io.github.jkvm.x86.Segment;
import io.github.jkvm.x86.SpecialRegisters;
import io.github.jkvm.x86.SpecialRegisters2;
import io.github.jkvm.x86.Translation;
import io.github.jkvm.x86.VCpuEvents;
import io.github.jkvm.x86.X86VCpu;
import io.github.jkvm.x86.X86Vm;
import io.github.jkvm.x86.Xcr;
import io.github.jkvm.x86.XsaveState;
import java.time.Duration;
import java.util.Collections;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

@MicroVm
class VCpuStateTest {

    private static final Duration LONG = Duration.ofSeconds(60);

    @MicroVm(mode = EntryMode.REAL16, deadline = "60s")
    private MicroGuest guest;

    private static MicroGuest withIrqChip() {
        return MicroGuest.builder().prepare(X86Vm::createIrqChip).build();
    }

    @Test
    void keepsGeneralRegisters() {
        X86VCpu vcpu = guest.vcpu();
        Registers registers = Registers.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, -1, 0x1234, 0x2);
        vcpu.setRegisters(registers);
        assertThat(vcpu.registers()).isEqualTo(registers);
    }

    @Test
    void keepsSpecialRegisters() {
        X86VCpu vcpu = guest.vcpu();
        SpecialRegisters before = vcpu.specialRegisters();
        SpecialRegisters registers = before.withSegments(
                        Segment.realMode(0x123, Segment.TYPE_CODE), Segment.realMode(0x456, Segment.TYPE_DATA))
                .withTables(new DescriptorTable(0x2000, 0x17), new DescriptorTable(0x3000, 0x3FF))
                .withControl(before.cr0(), 0x5000, before.cr4(), before.efer());
        vcpu.setSpecialRegisters(registers);
        assertThat(vcpu.specialRegisters()).isEqualTo(registers);
    }

    @Test
    void refusesSpecialRegistersThatFitNoMode() {
        X86VCpu vcpu = guest.vcpu();
        SpecialRegisters before = vcpu.specialRegisters();
        // SDM volume 3, 2.5: paging without protection is a general protection fault.
        SpecialRegisters paging = before.withControl(
                (before.cr0() | SpecialRegisters.CR0_PG) & ~SpecialRegisters.CR0_PE,
                0,
                before.cr4() | SpecialRegisters.CR4_PAE,
                before.efer() | SpecialRegisters.EFER_LME | SpecialRegisters.EFER_LMA);
        assertThatExceptionOfType(KvmException.class)
                .isThrownBy(() -> vcpu.setSpecialRegisters(paging))
                .withMessageContaining("KVM_SET_SREGS (vCPU 0")
                .withMessageContaining("cr0 0x%x".formatted(paging.cr0()))
                .withMessageContaining("EINVAL")
                .withMessageContaining("fit no mode of the processor");
    }

    @Test
    void keepsSpecialRegistersWithPageDirectoryPointers() {
        X86VCpu vcpu = guest.vcpu();
        if (!guest.vm().supports(Capability.SREGS2)) {
            assertThatExceptionOfType(UnsupportedCapabilityException.class)
                    .isThrownBy(vcpu::specialRegisters2)
                    .withMessageContaining("SREGS2");
            return;
        }
        SpecialRegisters2 before = vcpu.specialRegisters2();
        var registers = new SpecialRegisters2(
                before.registers().withTables(new DescriptorTable(0x2000, 0x17), new DescriptorTable(0x3000, 0x3FF)),
                before.flags(),
                before.pdptrs());
        vcpu.setSpecialRegisters2(registers);
        assertThat(vcpu.specialRegisters2()).isEqualTo(registers);
    }

    @Test
    void keepsFloatingPointState() {
        X86VCpu vcpu = guest.vcpu();
        List<Bytes> fpr = IntStream.range(0, 8)
                .mapToObj(i -> Bytes.copyOf(
                        (byte) i,
                        (byte) 1,
                        (byte) 2,
                        (byte) 3,
                        (byte) 4,
                        (byte) 5,
                        (byte) 6,
                        (byte) 0x80,
                        (byte) 1,
                        (byte) 0x40,
                        (byte) 0,
                        (byte) 0,
                        (byte) 0,
                        (byte) 0,
                        (byte) 0,
                        (byte) 0))
                .toList();
        List<Bytes> xmm = IntStream.range(0, 16)
                .mapToObj(i ->
                        Bytes.copyOf(new byte[] {(byte) i, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, (byte) 0xFF}))
                .toList();
        var state = new FpuState(fpr, 0x27F, 0x20, 0xFF, 0x123, 0x4567, 0x89AB, xmm, 0x1F00);
        vcpu.setFpu(state);
        assertThat(vcpu.fpu()).isEqualTo(state);
    }

    @Test
    void givesTheGuestTheFloatingPointStateThatWasSet() {
        guest.load(code -> code.movups(mem(0x3000), XMM0).fnstcw(mem(0x3010)).hlt());
        X86VCpu vcpu = guest.vcpu();
        SpecialRegisters before = vcpu.specialRegisters();
        // SDM volume 3, 2.5: OSFXSR (bit 9) of CR4 lets SSE instructions be used.
        vcpu.setSpecialRegisters(before.withControl(before.cr0(), 0, 1 << 9, 0));
        List<Bytes> xmm = Collections.nCopies(
                16, Bytes.copyOf(new byte[] {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}));
        vcpu.setFpu(new FpuState(FpuState.INITIAL.fpr(), 0x27F, 0, 0, 0, 0, 0, xmm, 0x1F80));
        assertThat(guest).halts();
        assertThat(guest.memory().read(0x3000, 16)).isEqualTo(xmm.getFirst().toArray());
        assertThat(guest.memory().read(0x3010, 2)).isEqualTo(new byte[] {0x7F, 0x02});
    }

    /** Linux, arch/x86/kvm/x86.c, kvm_arch_vcpu_ioctl_get_fpu: all but MXCSR is copied. */
    @Test
    void keepsWhatTheOldCallKeepsOfFloatingPointState() {
        KvmX86VCpu vcpu = KvmX86VCpu.of(guest.vcpu());
        vcpu.setLegacyFpu(FpuState.INITIAL);
        FpuState initial = FpuState.INITIAL;
        assertThat(vcpu.legacyFpu())
                .isEqualTo(new FpuState(
                        initial.fpr(), initial.fcw(), initial.fsw(), initial.ftwx(), 0, 0, 0, initial.xmm(), 0));
    }

    @Test
    void keepsExtendedState() {
        X86VCpu vcpu = guest.vcpu();
        vcpu.setFpu(FpuState.INITIAL);
        XsaveState state = vcpu.xsave();
        // SDM volume 1, 10.5.1: the control word is at the start, MXCSR at byte 24.
        byte[] bytes = state.data().toArray();
        bytes[24] = 0;
        XsaveState changed = new XsaveState(Bytes.copyOf(bytes));
        vcpu.setXsave(changed);
        assertThat(vcpu.xsave()).isEqualTo(changed);
        assertThat(vcpu.fpu().mxcsr()).isEqualTo(FpuState.INITIAL.mxcsr() & ~0xFF);
    }

    @Test
    void refusesExtendedStateThatIsTooShort() {
        X86VCpu vcpu = guest.vcpu();
        int size = vcpu.xsave().data().length();
        if (size == XsaveState.MIN_SIZE) {
            assertThatIllegalArgumentException().isThrownBy(() -> new XsaveState(Bytes.copyOf(new byte[size - 4])));
        } else {
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> vcpu.setXsave(new XsaveState(Bytes.copyOf(new byte[size - 4]))))
                    .withMessageContaining("this VM's vCPUs have " + size);
        }
    }

    @Test
    void refusesExtendedStateWithReservedBits() {
        X86VCpu vcpu = guest.vcpu();
        byte[] bytes = vcpu.xsave().data().toArray();
        // SDM volume 1, 13.4.2: bytes 24 to 63 of the XSAVE header, which begins at 512, must be zero.
        bytes[512 + 40] = 1;
        assertThatExceptionOfType(KvmException.class)
                .isThrownBy(() -> vcpu.setXsave(new XsaveState(Bytes.copyOf(bytes))))
                .withMessageContaining("KVM_SET_XSAVE")
                .withMessageContaining("EINVAL");
    }

    @Test
    void keepsExtendedControlRegisters() {
        X86VCpu vcpu = guest.vcpu();
        List<Xcr> xcrs = vcpu.xcrs();
        assumeTrue(!xcrs.isEmpty(), "this host's processor has no extended control registers");
        // SDM volume 1, 13.3: bits 0 and 1 are x87 and SSE state.
        List<Xcr> changed = List.of(new Xcr(0, 3));
        vcpu.setXcrs(changed);
        assertThat(vcpu.xcrs()).isEqualTo(changed);
    }

    @Test
    void refusesExtendedControlWithoutItsFirstBit() {
        X86VCpu vcpu = guest.vcpu();
        assumeTrue(!vcpu.xcrs().isEmpty(), "this host's processor has no extended control registers");
        assertThatExceptionOfType(KvmException.class)
                .isThrownBy(() -> vcpu.setXcrs(List.of(new Xcr(0, 2))))
                .withMessageContaining("KVM_SET_XCRS")
                .withMessageContaining("bit 0 must be set");
    }

    @Test
    void keepsDebugRegisters() {
        X86VCpu vcpu = guest.vcpu();
        var registers = new DebugRegisters(List.of(1L, 2L, 3L, 4L), 0xFFFF_0FF0L, 0x400, 0);
        vcpu.setDebugRegisters(registers);
        assertThat(vcpu.debugRegisters()).isEqualTo(registers);
    }

    @Test
    void refusesDebugRegisterFlags() {
        X86VCpu vcpu = guest.vcpu();
        assertThatExceptionOfType(KvmException.class)
                .isThrownBy(() -> vcpu.setDebugRegisters(new DebugRegisters(List.of(0L, 0L, 0L, 0L), 0, 0, 1)))
                .withMessageContaining("KVM_SET_DEBUGREGS")
                .withMessageContaining("flags must be 0");
    }

    @Test
    void keepsEvents() {
        X86VCpu vcpu = guest.vcpu();
        VCpuEvents before = vcpu.events();
        VCpuEvents changed = new VCpuEvents(
                before.exceptionInjected(),
                before.exceptionNumber(),
                before.exceptionHasErrorCode(),
                before.exceptionPending(),
                before.exceptionErrorCode(),
                before.interruptInjected(),
                before.interruptNumber(),
                before.interruptSoft(),
                before.interruptShadow(),
                before.nmiInjected(),
                before.nmiPending(),
                1,
                before.sipiVector(),
                before.flags(),
                before.smm(),
                before.smmPending(),
                before.smmInsideNmi(),
                before.smmLatchedInit(),
                before.tripleFaultPending(),
                before.exceptionHasPayload(),
                before.exceptionPayload());
        vcpu.setEvents(changed);
        assertThat(vcpu.events().nmiMasked()).isEqualTo(1);
        vcpu.setEvents(before);
        assertThat(vcpu.events().nmiMasked()).isZero();
    }

    @Test
    void refusesEventFlagsThatDoNotExist() {
        X86VCpu vcpu = guest.vcpu();
        var events = new VCpuEvents(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 << 30, 0, 0, 0, 0, 0, 0, 0);
        assertThatExceptionOfType(KvmException.class)
                .isThrownBy(() -> vcpu.setEvents(events))
                .withMessageContaining("KVM_SET_VCPU_EVENTS")
                .withMessageContaining("a flag is not known to the host");
    }

    @Test
    void keepsWhatItDoesAsOneOfSeveral() {
        try (MicroGuest apicGuest = withIrqChip()) {
            X86VCpu vcpu = apicGuest.vcpu();
            assertThat(vcpu.mpState()).isEqualTo(MpState.RUNNABLE);
            for (MpState state : List.of(MpState.UNINITIALIZED, MpState.HALTED, MpState.RUNNABLE)) {
                vcpu.setMpState(state);
                assertThat(vcpu.mpState()).isEqualTo(state);
            }
        }
    }

    @Test
    void refusesToWaitForInitWithoutALocalApic() {
        X86VCpu vcpu = guest.vcpu();
        assertThatExceptionOfType(KvmException.class)
                .isThrownBy(() -> vcpu.setMpState(MpState.UNINITIALIZED))
                .withMessageContaining("KVM_SET_MP_STATE")
                .withMessageContaining("always RUNNABLE");
    }

    @Test
    void keepsTheLocalApic() {
        try (MicroGuest apicGuest = withIrqChip()) {
            X86VCpu vcpu = apicGuest.vcpu();
            // SDM volume 3, 12.9: bit 8 enables the APIC; the low byte is the vector.
            LapicState changed = vcpu.lapic().withRegister(LapicState.SPURIOUS_VECTOR, 0x1FF);
            vcpu.setLapic(changed);
            assertThat(vcpu.lapic().register(LapicState.SPURIOUS_VECTOR)).isEqualTo(0x1FF);
        }
    }

    @Test
    void refusesTheLocalApicWithoutOne() {
        X86VCpu vcpu = guest.vcpu();
        assertThatExceptionOfType(KvmException.class)
                .isThrownBy(vcpu::lapic)
                .withMessageContaining("KVM_GET_LAPIC")
                .withMessageContaining("call createIrqChip or enableSplitIrqChip before createVCpu");
    }

    @Test
    void tellsAndSetsTheFrequencyOfTheTimeStampCounter() {
        X86VCpu vcpu = guest.vcpu();
        int khz = vcpu.tscKhz();
        assertThat(khz).isPositive();
        // A processor that can't scale its counter takes a higher frequency and catches up with it, but no lower one.
        // The vCPU's first one may be lower than the host's: the kernel measures that anew after KVM has noted it.
        vcpu.setTscKhz(2 * khz);
        assertThat(vcpu.tscKhz()).isEqualTo(2 * khz);
        if (guest.vm().supports(Capability.TSC_CONTROL)) {
            vcpu.setTscKhz(khz / 2);
            assertThat(vcpu.tscKhz()).isEqualTo(khz / 2);
        }
        assertThatIllegalArgumentException().isThrownBy(() -> vcpu.setTscKhz(0)).withMessageContaining("above 0");
    }

    @Test
    void hasNothingToTellAGuestWithoutTheParavirtualClock() {
        X86VCpu vcpu = guest.vcpu();
        assertThatExceptionOfType(KvmException.class)
                .isThrownBy(vcpu::notifyPaused)
                .withMessageContaining("KVM_KVMCLOCK_CTRL")
                .withMessageContaining("does not use the paravirtual clock");
    }

    @Test
    void translatesAddressesOfAGuestWithoutPagingToThemselves() {
        X86VCpu vcpu = guest.vcpu();
        Translation translation = vcpu.translate(0x1234);
        assertThat(translation.physicalAddress()).isEqualTo(0x1234);
        assertThat(translation.valid()).isEqualTo(1);
    }

    @Test
    void findsTheStateAfterTheInstructionThatLeftTheGuest() {
        guest.load(code -> code.mov(AL, 0x42).out(0x10, AL).hlt());
        X86VCpu vcpu = guest.vcpu();
        assertThat(vcpu.run(LONG)).isInstanceOf(VmExit.PortOut.class);
        assertThat(vcpu.registers().rip()).isEqualTo(guest.codeAddress() + 4);
        assertThat(vcpu.registers().rax() & 0xFF).isEqualTo(0x42);
        assertThat(guest).halts();
    }

    @Test
    void refusesUseAfterClose() {
        X86VCpu vcpu = guest.vcpu();
        vcpu.close();
        assertThatIllegalStateException().isThrownBy(vcpu::registers).withMessageContaining("closed");
        assertThatIllegalStateException().isThrownBy(vcpu::xsave).withMessageContaining("closed");
    }
}
