package io.github.jkvm.kvm;

import static io.github.jkvm.kvm.StructCall.USUAL;

import io.github.jkvm.Bytes;
import io.github.jkvm.Capability;
import io.github.jkvm.HypervisorException;
import io.github.jkvm.kvm.ffi.Errno;
import io.github.jkvm.kvm.ffi.OwnedFd;
import io.github.jkvm.kvm.layout.ListCodec;
import io.github.jkvm.kvm.layout.RegisterStructs;
import io.github.jkvm.kvm.layout.RegistersCodec;
import io.github.jkvm.kvm.layout.VCpuIoctls;
import io.github.jkvm.kvm.layout.VCpuStateCodec;
import io.github.jkvm.kvm.layout.X86Numbers;
import io.github.jkvm.x86.CpuidEntry;
import io.github.jkvm.x86.DebugRegisters;
import io.github.jkvm.x86.GuestDebug;
import io.github.jkvm.x86.LapicState;
import io.github.jkvm.x86.MpState;
import io.github.jkvm.x86.Msr;
import io.github.jkvm.x86.Registers;
import io.github.jkvm.x86.SpecialRegisters;
import io.github.jkvm.x86.SpecialRegisters2;
import io.github.jkvm.x86.Translation;
import io.github.jkvm.x86.VCpuEvents;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Map;

/**
 * State of an x86 vCPU: the requests behind {@link io.github.jkvm.x86.X86VCpu}. Its user sees to it that no other thread runs the vCPU and that
 * pending accesses are finished.
 */
final class X86VCpuState {
    private static final int FIRST_CPUID_ROOM = 128;
    private static final long MP_STATE = RegisterStructs.KVM_MP_STATE.offset("mp_state");
    private static final long LINEAR_ADDRESS = RegisterStructs.KVM_TRANSLATION.offset("linear_address");
    private static final long IRQ = RegisterStructs.KVM_INTERRUPT.offset("irq");

    private static final long TPR_ENABLED = RegisterStructs.KVM_TPR_ACCESS_CTL.offset("enabled");

    private static final Map<Integer, String> NO_LAPIC = Map.of(
            Errno.EINVAL,
            "the vCPU has no local APIC in the hypervisor; call createIrqChip or enableSplitIrqChip before createVCpu");
    private static final Map<Integer, String> BAD_SREGS = Map.of(
            Errno.EINVAL,
            "these registers fit no mode of the processor: paging needs protection, long mode needs paging and PAE, and no bit may be"
                    + " set that the guest's CPUID does not offer");

    private final OwnedFd vm;
    private final StructCall vcpu;

    /**
     * Creates it.
     *
     * @param vm the VM
     * @param vcpu the vCPU
     */
    X86VCpuState(OwnedFd vm, OwnedFd vcpu) {
        this.vm = vm;
        this.vcpu = new StructCall(vcpu);
    }

    Registers registers() {
        return vcpu.get(VCpuIoctls.KVM_GET_REGS, RegisterStructs.KVM_REGS, USUAL, RegistersCodec::registers);
    }

    void setRegisters(Registers registers) {
        vcpu.set(
                VCpuIoctls.KVM_SET_REGS,
                RegisterStructs.KVM_REGS,
                "",
                USUAL,
                struct -> RegistersCodec.write(struct, registers));
    }

    SpecialRegisters specialRegisters() {
        return vcpu.get(VCpuIoctls.KVM_GET_SREGS, RegisterStructs.KVM_SREGS, USUAL, RegistersCodec::specialRegisters);
    }

    void setSpecialRegisters(SpecialRegisters registers) {
        vcpu.set(
                VCpuIoctls.KVM_SET_SREGS,
                RegisterStructs.KVM_SREGS,
                control(registers),
                BAD_SREGS,
                struct -> RegistersCodec.write(struct, registers));
    }

    SpecialRegisters2 specialRegisters2() {
        requireSregs2();
        return vcpu.get(
                VCpuIoctls.KVM_GET_SREGS2, RegisterStructs.KVM_SREGS2, USUAL, RegistersCodec::specialRegisters2);
    }

    void setSpecialRegisters2(SpecialRegisters2 registers) {
        requireSregs2();
        vcpu.set(
                VCpuIoctls.KVM_SET_SREGS2,
                RegisterStructs.KVM_SREGS2,
                control(registers.registers()) + " flags 0x" + Long.toHexString(registers.flags()),
                BAD_SREGS,
                struct -> RegistersCodec.write(struct, registers));
    }

    private void requireSregs2() {
        StructCall.require(vm, Capability.SREGS2, "special registers with page directory pointers; use those without");
    }

    private static String control(SpecialRegisters registers) {
        return "cr0 0x%x cr3 0x%x cr4 0x%x efer 0x%x"
                .formatted(registers.cr0(), registers.cr3(), registers.cr4(), registers.efer());
    }

    List<CpuidEntry> cpuid() {
        return GrowingList.get(
                vcpu, VCpuIoctls.KVM_GET_CPUID2, FIRST_CPUID_ROOM, ListCodec::markedCpuidRoom, ListCodec::cpuid);
    }

    void setCpuid(List<CpuidEntry> entries) {
        try (Arena arena = Arena.ofConfined()) {
            vcpu.call(
                    VCpuIoctls.KVM_SET_CPUID2,
                    ListCodec.cpuid(arena, entries),
                    entries.size() + " entries",
                    Map.of(
                            Errno.E2BIG,
                            "there are more entries than the host takes (256 on most)",
                            Errno.EINVAL,
                            "the vCPU has run, after which its CPUID may not change, or a width of addresses in leaf"
                                    + " 0x80000008 is not one that the host takes"));
        }
    }

    List<Msr> msrs(List<Integer> indices) {
        return new MsrCalls(vcpu).read(indices);
    }

    void setMsrs(List<Msr> msrs) {
        new MsrCalls(vcpu).write(msrs);
    }

    LapicState lapic() {
        return vcpu.get(
                VCpuIoctls.KVM_GET_LAPIC,
                RegisterStructs.KVM_LAPIC_STATE,
                NO_LAPIC,
                struct -> new LapicState(Bytes.copyOf(struct.toArray(ValueLayout.JAVA_BYTE))));
    }

    void setLapic(LapicState state) {
        vcpu.set(
                VCpuIoctls.KVM_SET_LAPIC,
                RegisterStructs.KVM_LAPIC_STATE,
                "",
                NO_LAPIC,
                struct -> struct.copyFrom(MemorySegment.ofArray(state.data().toArray())));
    }

    DebugRegisters debugRegisters() {
        return vcpu.get(
                VCpuIoctls.KVM_GET_DEBUGREGS, RegisterStructs.KVM_DEBUGREGS, USUAL, VCpuStateCodec::debugRegisters);
    }

    void setDebugRegisters(DebugRegisters registers) {
        vcpu.set(
                VCpuIoctls.KVM_SET_DEBUGREGS,
                RegisterStructs.KVM_DEBUGREGS,
                registers.toString(),
                Map.of(Errno.EINVAL, "flags must be 0, and the upper halves of DR6 and DR7 too"),
                struct -> VCpuStateCodec.write(struct, registers));
    }

    VCpuEvents events() {
        return vcpu.get(VCpuIoctls.KVM_GET_VCPU_EVENTS, RegisterStructs.KVM_VCPU_EVENTS, USUAL, VCpuStateCodec::events);
    }

    void setEvents(VCpuEvents events) {
        vcpu.set(
                VCpuIoctls.KVM_SET_VCPU_EVENTS,
                RegisterStructs.KVM_VCPU_EVENTS,
                events.toString(),
                Map.of(
                        Errno.EINVAL,
                        "a flag is not known to the host or not switched on, an exception is a vector above 31 or an NMI, or system"
                                + " management mode is asked of a vCPU without it"),
                struct -> VCpuStateCodec.write(struct, events));
    }

    MpState mpState() {
        int state = vcpu.get(
                VCpuIoctls.KVM_GET_MP_STATE,
                RegisterStructs.KVM_MP_STATE,
                USUAL,
                struct -> struct.get(ValueLayout.JAVA_INT, MP_STATE));
        return switch (state) {
            case X86Numbers.KVM_MP_STATE_RUNNABLE -> MpState.RUNNABLE;
            case X86Numbers.KVM_MP_STATE_UNINITIALIZED -> MpState.UNINITIALIZED;
            case X86Numbers.KVM_MP_STATE_INIT_RECEIVED -> MpState.INIT_RECEIVED;
            case X86Numbers.KVM_MP_STATE_HALTED -> MpState.HALTED;
            case X86Numbers.KVM_MP_STATE_SIPI_RECEIVED -> MpState.SIPI_RECEIVED;
            default ->
                throw new HypervisorException(VCpuIoctls.KVM_GET_MP_STATE.name() + " (" + vcpu.fd() + ") gave state "
                        + state + ", which no unencrypted x86 guest has; see KVM_MP_STATE_* of linux/kvm.h");
        };
    }

    void setMpState(MpState state) {
        int number = switch (state) {
            case RUNNABLE -> X86Numbers.KVM_MP_STATE_RUNNABLE;
            case UNINITIALIZED -> X86Numbers.KVM_MP_STATE_UNINITIALIZED;
            case INIT_RECEIVED -> X86Numbers.KVM_MP_STATE_INIT_RECEIVED;
            case HALTED -> X86Numbers.KVM_MP_STATE_HALTED;
            case SIPI_RECEIVED -> X86Numbers.KVM_MP_STATE_SIPI_RECEIVED;
        };
        vcpu.set(
                VCpuIoctls.KVM_SET_MP_STATE,
                RegisterStructs.KVM_MP_STATE,
                state.name(),
                Map.of(
                        Errno.EINVAL,
                        "a vCPU without a local APIC in the hypervisor is always RUNNABLE; one in system management mode can't wait"
                                + " for INIT or start-up"),
                struct -> struct.set(ValueLayout.JAVA_INT, MP_STATE, number));
    }

    int tscKhz() {
        return vcpu.call(
                VCpuIoctls.KVM_GET_TSC_KHZ,
                0,
                "",
                Map.of(Errno.EIO, "the host's time stamp counter is not stable, so it has no one frequency"));
    }

    void setTscKhz(int khz) {
        if (khz <= 0) {
            throw new IllegalArgumentException("frequency " + khz + " kHz must be above 0");
        }
        vcpu.call(
                VCpuIoctls.KVM_SET_TSC_KHZ,
                khz,
                khz + " kHz",
                Map.of(
                        Errno.EINVAL,
                        "the processor can't scale its counter to this frequency (see Capability.TSC_CONTROL)"));
    }

    void notifyPaused() {
        vcpu.call(
                VCpuIoctls.KVM_KVMCLOCK_CTRL,
                0,
                "",
                Map.of(Errno.EINVAL, "the guest does not use the paravirtual clock, so there is nothing to tell it"));
    }

    Translation translate(long linearAddress) {
        return vcpu.exchange(
                VCpuIoctls.KVM_TRANSLATE,
                RegisterStructs.KVM_TRANSLATION,
                "0x" + Long.toHexString(linearAddress),
                USUAL,
                struct -> struct.set(ValueLayout.JAVA_LONG, LINEAR_ADDRESS, linearAddress),
                VCpuStateCodec::translation);
    }

    void nmi() {
        vcpu.call(VCpuIoctls.KVM_NMI, 0, "", USUAL);
    }

    void smi() {
        StructCall.require(vm, Capability.X86_SMM, "system management interrupts");
        vcpu.call(VCpuIoctls.KVM_SMI, 0, "", USUAL);
    }

    void queueInterrupt(int vector) {
        if (vector < 0 || vector >= X86Numbers.KVM_NR_INTERRUPTS) {
            throw new IllegalArgumentException("interrupt vector " + vector + " must be from 0 to 255");
        }
        vcpu.set(
                VCpuIoctls.KVM_INTERRUPT,
                RegisterStructs.KVM_INTERRUPT,
                "vector " + vector,
                Map.of(
                        Errno.ENXIO,
                        "the vCPU has its interrupt controllers in the hypervisor; use Vm.interrupt, Vm.interruptLine or"
                                + " Vm.sendMessage",
                        Errno.EEXIST,
                        "an interrupt is queued already; run the vCPU until it is taken"),
                struct -> struct.set(ValueLayout.JAVA_INT, IRQ, vector));
    }

    void setGuestDebug(GuestDebug debug) {
        StructCall.require(vm, Capability.GUEST_DEBUG, "setGuestDebug");
        vcpu.set(
                VCpuIoctls.KVM_SET_GUEST_DEBUG,
                RegisterStructs.KVM_GUEST_DEBUG,
                debug.toString(),
                Map.of(
                        Errno.EINVAL, "the host does not know one of the features, or the guest's state is protected",
                        Errno.EBUSY, "an exception is on its way into the vCPU; run it first"),
                struct -> VCpuStateCodec.write(struct, debug));
    }

    /** Switches reports of accesses to the task priority register on or off. */
    void setTprReports(int enabled) {
        vcpu.set(
                VCpuIoctls.KVM_TPR_ACCESS_REPORTING,
                RegisterStructs.KVM_TPR_ACCESS_CTL,
                "enabled " + enabled,
                USUAL,
                struct -> struct.set(ValueLayout.JAVA_INT, TPR_ENABLED, enabled));
    }
}
