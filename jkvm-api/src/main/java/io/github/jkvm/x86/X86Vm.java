package io.github.jkvm.x86;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.Vm;
import java.util.Set;

/**
 * A VM on an x86 host.
 *
 * <p>Order matters to the host: {@link #setTssAddress} and {@link #setIdentityMapAddress} and {@link #setBootCpuId} before vCPUs;
 * {@link #createIrqChip} or {@link #enableSplitIrqChip} before vCPUs and before {@link #createPit}.
 */
public interface X86Vm extends Vm {

    /**
     * Returns the x86 view of a VM.
     *
     * @param vm the VM
     * @return the same object
     * @throws UnsupportedOperationException if its host is another architecture
     */
    static X86Vm of(Vm vm) {
        if (vm instanceof X86Vm x86) {
            return x86;
        }
        throw new UnsupportedOperationException(vm.hypervisor().description() + " is not an x86 hypervisor");
    }

    @Override
    X86VCpu createVCpu(int id);

    /**
     * Reserves three pages that Intel processors need to run real mode ({@code KVM_SET_TSS_ADDR}).
     *
     * @param address guest-physical, below 4 GiB, not memory
     * @throws IllegalArgumentException if it is above 4 GiB
     * @throws io.github.jkvm.HypervisorException if the host refuses
     */
    void setTssAddress(GuestAddress address);

    /**
     * Reserves one page that Intel processors need to run without paging ({@code KVM_SET_IDENTITY_MAP_ADDR}).
     *
     * @param address guest-physical, below 4 GiB, not memory
     * @throws IllegalArgumentException if it is above 4 GiB
     * @throws io.github.jkvm.HypervisorException if the host refuses, for instance because there are vCPUs
     */
    void setIdentityMapAddress(GuestAddress address);

    /**
     * Chooses which vCPU starts; the others wait for it to start them ({@code KVM_SET_BOOT_CPU_ID}). Without, it is vCPU 0.
     *
     * @param id its id, from 0
     * @throws IllegalArgumentException if the id is negative
     * @throws io.github.jkvm.HypervisorException if the host refuses, for instance because there are vCPUs
     */
    void setBootCpuId(int id);

    /**
     * Creates two 8259s, an IOAPIC and a local APIC for each vCPU inside the hypervisor ({@code KVM_CREATE_IRQCHIP}).
     *
     * @throws io.github.jkvm.HypervisorException if there is a controller already, or a vCPU
     */
    void createIrqChip();

    /**
     * Puts only the local APICs inside the hypervisor ({@code KVM_CAP_SPLIT_IRQCHIP}).
     *
     * @param ioapicPins number of inputs of the IOAPIC that user space provides, 0 to 1024
     * @throws io.github.jkvm.HypervisorException if there is a controller already, or a vCPU
     */
    void enableSplitIrqChip(int ioapicPins);

    /**
     * Creates the 8254 timer inside the hypervisor, answering the speaker's port too ({@code KVM_CREATE_PIT2}).
     *
     * @throws io.github.jkvm.HypervisorException if there is no irqchip, or a timer already
     */
    void createPit();

    /**
     * Reads the state of the interrupt controllers.
     *
     * @return the state
     * @throws io.github.jkvm.HypervisorException if there are none
     */
    IrqChipState irqChip();

    /**
     * Sets the state of the interrupt controllers.
     *
     * @param state the state
     * @throws io.github.jkvm.HypervisorException if there are none
     */
    void setIrqChip(IrqChipState state);

    /**
     * Reads the state of the timer.
     *
     * @return the state
     * @throws io.github.jkvm.HypervisorException if there is none
     */
    PitState pit();

    /**
     * Sets the state of the timer.
     *
     * @param state the state
     * @throws io.github.jkvm.HypervisorException if there is none
     */
    void setPit(PitState state);

    /**
     * Reads the guest's paravirtual clock.
     *
     * @return the clock
     * @throws io.github.jkvm.HypervisorException if the host refuses
     */
    ClockState clock();

    /**
     * Sets the guest's paravirtual clock.
     *
     * @param clock the clock
     * @throws io.github.jkvm.HypervisorException if the host refuses
     */
    void setClock(ClockState clock);

    /** A reason for which an MSR access leaves the guest instead of faulting. */
    enum MsrExitReason {
        /** The access is invalid. */
        INVALID,
        /** The host does not know the register. */
        UNKNOWN,
        /** {@link #setMsrFilter} denies it. */
        FILTER
    }

    /**
     * Chooses which MSR accesses leave the guest as {@link io.github.jkvm.VmExit.ReadMsr} and {@link io.github.jkvm.VmExit.WriteMsr}
     * ({@code KVM_CAP_X86_USER_SPACE_MSR}).
     *
     * @param reasons the reasons; empty for none
     * @throws io.github.jkvm.UnsupportedCapabilityException if the host can't
     */
    void setMsrExits(Set<MsrExitReason> reasons);

    /**
     * Sets which model-specific registers the guest may access.
     *
     * @param filter the filter, in place of any before
     * @throws io.github.jkvm.UnsupportedCapabilityException if the host can't
     * @throws io.github.jkvm.HypervisorException if the host refuses
     */
    void setMsrFilter(MsrFilter filter);
}
