package io.github.jkvm.x86;

import io.github.jkvm.VCpu;
import java.util.List;

/**
 * An x86 virtual processor.
 *
 * <p>Every method throws {@link IllegalStateException} if the vCPU is closed or another thread runs it, and
 * {@link io.github.jkvm.HypervisorException} if the host refuses. State read after an exit is the state after the instruction that caused it,
 * answered as {@link VCpu#respond} says: pending port and MMIO accesses are finished first.
 */
public interface X86VCpu extends VCpu {

    /**
     * Returns the x86 view of a vCPU.
     *
     * @param vcpu the vCPU
     * @return the same object
     * @throws UnsupportedOperationException if its host is another architecture
     */
    static X86VCpu of(VCpu vcpu) {
        if (vcpu instanceof X86VCpu x86) {
            return x86;
        }
        throw new UnsupportedOperationException(vcpu.vm().hypervisor().description() + " is not an x86 hypervisor");
    }

    /**
     * Reads the general-purpose registers.
     *
     * @return the registers
     */
    Registers registers();

    /**
     * Sets the general-purpose registers.
     *
     * @param registers the registers
     */
    void setRegisters(Registers registers);

    /**
     * Reads segments and control registers.
     *
     * @return the registers
     */
    SpecialRegisters specialRegisters();

    /**
     * Sets segments and control registers.
     *
     * @param registers the registers
     */
    void setSpecialRegisters(SpecialRegisters registers);

    /**
     * Reads segments and control registers with the PAE page directory pointers.
     *
     * @return the registers
     */
    SpecialRegisters2 specialRegisters2();

    /**
     * Sets segments and control registers with the PAE page directory pointers.
     *
     * @param registers the registers
     */
    void setSpecialRegisters2(SpecialRegisters2 registers);

    /**
     * Reads floating-point and SSE registers.
     *
     * @return the state
     */
    FpuState fpu();

    /**
     * Sets floating-point and SSE registers.
     *
     * @param state the state
     */
    void setFpu(FpuState state);

    /**
     * Reads what {@code cpuid} answers.
     *
     * @return an immutable list
     */
    List<CpuidEntry> cpuid();

    /**
     * Sets what {@code cpuid} answers. To be done before the vCPU first runs.
     *
     * @param entries the answers
     */
    void setCpuid(List<CpuidEntry> entries);

    /**
     * Reads model-specific registers.
     *
     * @param indices which
     * @return their values, in order
     */
    List<Msr> msrs(List<Integer> indices);

    /**
     * Sets model-specific registers, in order.
     *
     * @param msrs registers and values
     */
    void setMsrs(List<Msr> msrs);

    /**
     * Reads the local APIC.
     *
     * @return the state
     */
    LapicState lapic();

    /**
     * Sets the local APIC.
     *
     * @param state the state
     */
    void setLapic(LapicState state);

    /**
     * Reads the extended processor state, of whatever size the guest may use.
     *
     * @return the state
     */
    XsaveState xsave();

    /**
     * Sets the extended processor state.
     *
     * @param state the state, as long as {@link #xsave} gives it
     * @throws IllegalArgumentException if it is shorter
     */
    void setXsave(XsaveState state);

    /**
     * Reads the extended control registers.
     *
     * @return an immutable list
     */
    List<Xcr> xcrs();

    /**
     * Sets extended control registers.
     *
     * @param xcrs the registers, at most 16
     */
    void setXcrs(List<Xcr> xcrs);

    /**
     * Reads the guest's debug registers.
     *
     * @return the registers
     */
    DebugRegisters debugRegisters();

    /**
     * Sets the guest's debug registers.
     *
     * @param registers the registers
     */
    void setDebugRegisters(DebugRegisters registers);

    /**
     * Reads the events on their way into the vCPU.
     *
     * @return the events
     */
    VCpuEvents events();

    /**
     * Sets the events on their way into the vCPU.
     *
     * @param events the events
     */
    void setEvents(VCpuEvents events);

    /**
     * Reads what the vCPU does as one of several.
     *
     * @return the state
     */
    MpState mpState();

    /**
     * Sets what the vCPU does as one of several.
     *
     * @param state the state
     */
    void setMpState(MpState state);

    /**
     * Reads the frequency of the guest's time stamp counter.
     *
     * @return kilohertz
     */
    int tscKhz();

    /**
     * Sets the frequency of the guest's time stamp counter.
     *
     * @param khz kilohertz, above 0
     * @throws IllegalArgumentException if it is not above 0
     */
    void setTscKhz(int khz);

    /** Tells a guest with the paravirtual clock that it was paused, so that its watchdogs don't bark ({@code KVM_KVMCLOCK_CTRL}). */
    void notifyPaused();

    /**
     * Follows the guest's page tables.
     *
     * @param linearAddress a linear address of the guest
     * @return where it leads
     */
    Translation translate(long linearAddress);

    /** Sends a non-maskable interrupt. */
    void nmi();

    /** Sends a system management interrupt. */
    void smi();

    /**
     * Queues an external interrupt, as an interrupt controller outside the hypervisor does ({@code KVM_INTERRUPT}). Not for VMs with
     * {@link X86Vm#createIrqChip}.
     *
     * @param vector 0 to 255
     * @throws IllegalArgumentException if it is out of range
     */
    void queueInterrupt(int vector);

    /**
     * Sets what the host wants to be told of the guest's execution.
     *
     * @param debug what; {@link GuestDebug#OFF} for nothing
     */
    void setGuestDebug(GuestDebug debug);
}
