package io.github.jkvm.kvm;

import io.github.jkvm.Bytes;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.InterruptRoute;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.Vm;
import io.github.jkvm.kvm.ffi.OwnedFd;
import io.github.jkvm.kvm.layout.X86Numbers;
import io.github.jkvm.x86.ClockState;
import io.github.jkvm.x86.IrqChipState;
import io.github.jkvm.x86.MsrFilter;
import io.github.jkvm.x86.PitState;
import io.github.jkvm.x86.X86Vm;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/** A virtual machine of KVM on an x86 host, with what only KVM has. */
public final class KvmX86Vm extends KvmVm implements X86Vm {
    private static final int IOAPIC_INPUTS = 24;
    private static final int PIC_INPUTS = 8;

    private final X86VmState state;
    private final MemoryEncryption encryption;

    KvmX86Vm(KvmX86Hypervisor hypervisor, OwnedFd vm) {
        super(hypervisor, vm);
        this.state = new X86VmState(vm);
        this.encryption = new MemoryEncryption(vm);
    }

    /**
     * Returns KVM's view of an x86 VM.
     *
     * @param vm the VM
     * @return the same object
     * @throws UnsupportedOperationException if it is of another hypervisor or architecture
     */
    public static KvmX86Vm of(Vm vm) {
        if (vm instanceof KvmX86Vm x86) {
            return x86;
        }
        throw new UnsupportedOperationException(vm.hypervisor().description() + " is not KVM on an x86 host");
    }

    @Override
    public KvmX86VCpu createVCpu(int id) {
        return (KvmX86VCpu) addVCpu(id);
    }

    @Override
    KvmX86VCpu newVCpu(int id, OwnedFd fd, RunPage page) {
        return new KvmX86VCpu(this, id, fd, page, hypervisor().timer());
    }

    @Override
    public void setTssAddress(GuestAddress address) {
        state.setTssAddress(address);
    }

    @Override
    public void setIdentityMapAddress(GuestAddress address) {
        state.setIdentityMapAddress(address);
    }

    @Override
    public void setBootCpuId(int id) {
        state.setBootCpuId(id);
    }

    @Override
    public void createIrqChip() {
        state.createIrqChip();
        interrupts().created(VmInterrupts.Controllers.ALL, defaultRoutes());
    }

    @Override
    public void enableSplitIrqChip(int ioapicPins) {
        state.enableSplitIrqChip(ioapicPins);
        interrupts().created(VmInterrupts.Controllers.SPLIT, List.of());
    }

    /**
     * What KVM_CREATE_IRQCHIP sets (Linux, arch/x86/kvm, default_routing): every input of the IOAPIC has its own number, and so have those of
     * the two 8259s.
     */
    private static List<InterruptRoute> defaultRoutes() {
        List<InterruptRoute> routes = new ArrayList<>();
        for (int gsi = 0; gsi < IOAPIC_INPUTS; gsi++) {
            routes.add(new InterruptRoute.Pin(gsi, X86Numbers.KVM_IRQCHIP_IOAPIC, gsi));
            if (gsi < PIC_INPUTS) {
                routes.add(new InterruptRoute.Pin(gsi, X86Numbers.KVM_IRQCHIP_PIC_MASTER, gsi));
            } else if (gsi < 2 * PIC_INPUTS) {
                routes.add(new InterruptRoute.Pin(gsi, X86Numbers.KVM_IRQCHIP_PIC_SLAVE, gsi - PIC_INPUTS));
            }
        }
        return routes;
    }

    @Override
    public void createPit() {
        state.createPit();
    }

    @Override
    public IrqChipState irqChip() {
        return state.irqChip();
    }

    @Override
    public void setIrqChip(IrqChipState irqChip) {
        state.setIrqChip(irqChip);
    }

    @Override
    public PitState pit() {
        return state.pit();
    }

    @Override
    public void setPit(PitState pit) {
        state.setPit(pit);
    }

    @Override
    public ClockState clock() {
        return state.clock();
    }

    @Override
    public void setClock(ClockState clock) {
        state.setClock(clock);
    }

    @Override
    public void setMsrExits(Set<MsrExitReason> reasons) {
        state.setMsrExits(reasons);
    }

    @Override
    public void setMsrFilter(MsrFilter filter) {
        state.setMsrFilter(filter);
    }

    /**
     * Chooses which performance events the guest can count ({@code KVM_SET_PMU_EVENT_FILTER}).
     *
     * @param filter the filter, in place of any before
     * @throws IllegalStateException if this VM is closed
     * @throws io.github.jkvm.UnsupportedCapabilityException if the host can't
     * @throws KvmException if the host refuses
     */
    public void setPmuEventFilter(PmuEventFilter filter) {
        state.setPmuEventFilter(filter);
    }

    /**
     * Makes a request for encrypted memory of an AMD processor ({@code KVM_MEMORY_ENCRYPT_OP} with {@code struct kvm_sev_cmd};
     * Documentation/virt/kvm/x86/amd-memory-encryption.rst). Addresses within its data are passed on as they are.
     *
     * @param command {@code KVM_SEV_*}
     * @param data the structure that belongs to it, up to 4096 bytes; empty for none
     * @return the structure as the host left it
     * @throws IllegalArgumentException if there is more data
     * @throws IllegalStateException if this VM is closed
     * @throws KvmException if the host or its firmware refuses, or has no encrypted memory; the text tells the firmware's error
     */
    public Bytes sevCommand(int command, Bytes data) {
        return encryption.command(command, data);
    }

    /**
     * Tells the host that a region will hold encrypted memory, so that it keeps its pages in place ({@code KVM_MEMORY_ENCRYPT_REG_REGION}).
     *
     * @param region a region of this VM
     * @throws IllegalArgumentException if it is not
     * @throws IllegalStateException if this VM is closed
     * @throws KvmException if the host refuses or has no encrypted memory
     */
    public void registerEncryptedRegion(MemoryRegion region) {
        checkRegion(region);
        encryption.register(region);
    }

    /**
     * Takes back what {@link #registerEncryptedRegion} told.
     *
     * @param region a region of this VM
     * @throws IllegalArgumentException if it is not
     * @throws IllegalStateException if this VM is closed
     * @throws KvmException if the host refuses, for instance because it was not registered
     */
    public void unregisterEncryptedRegion(MemoryRegion region) {
        checkRegion(region);
        encryption.unregister(region);
    }

    private void checkRegion(MemoryRegion region) {
        if (!memory().regions().contains(region)) {
            throw new IllegalArgumentException(region + " is not a region of this VM");
        }
    }
}
