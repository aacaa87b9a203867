package io.github.jkvm.kvm;

import io.github.jkvm.Capability;
import io.github.jkvm.kvm.ffi.OwnedFd;
import io.github.jkvm.kvm.layout.Capabilities;
import io.github.jkvm.kvm.layout.SystemIoctls;

/** Finds out what a host, or a VM on it, can do. */
final class HostCapabilities {
    private HostCapabilities() {}

    /**
     * Tells whether there is a capability.
     *
     * @param kvm the descriptor of {@code /dev/kvm} or of a VM, whose answers may differ
     * @param capability which
     */
    static boolean has(OwnedFd kvm, Capability capability) {
        return switch (capability) {
            case DIRTY_RING ->
                ask(kvm, Capabilities.KVM_CAP_DIRTY_LOG_RING) > 0
                        || ask(kvm, Capabilities.KVM_CAP_DIRTY_LOG_RING_ACQ_REL) > 0;
            default -> ask(kvm, number(capability)) > 0;
        };
    }

    /** Asks {@code KVM_CHECK_EXTENSION}: 0 for no, 1 or a number of something for yes. */
    static int ask(OwnedFd kvm, int number) {
        int answer = kvm.tryIoctl(SystemIoctls.KVM_CHECK_EXTENSION, number);
        // Kernels before 3.17 don't let a VM be asked; theirs is a no.
        return Math.max(answer, 0);
    }

    private static int number(Capability capability) {
        return switch (capability) {
            case IRQCHIP -> Capabilities.KVM_CAP_IRQCHIP;
            case SPLIT_IRQCHIP -> Capabilities.KVM_CAP_SPLIT_IRQCHIP;
            case PIT2 -> Capabilities.KVM_CAP_PIT2;
            case IRQFD -> Capabilities.KVM_CAP_IRQFD;
            case IRQFD_RESAMPLE -> Capabilities.KVM_CAP_IRQFD_RESAMPLE;
            case IOEVENTFD -> Capabilities.KVM_CAP_IOEVENTFD;
            case IOEVENTFD_ANY_LENGTH -> Capabilities.KVM_CAP_IOEVENTFD_ANY_LENGTH;
            case SIGNAL_MSI -> Capabilities.KVM_CAP_SIGNAL_MSI;
            case IRQ_ROUTING -> Capabilities.KVM_CAP_IRQ_ROUTING;
            case READONLY_MEMORY -> Capabilities.KVM_CAP_READONLY_MEM;
            case MANUAL_DIRTY_LOG_PROTECT -> Capabilities.KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2;
            case DIRTY_RING -> Capabilities.KVM_CAP_DIRTY_LOG_RING_ACQ_REL;
            case COALESCED_MMIO -> Capabilities.KVM_CAP_COALESCED_MMIO;
            case COALESCED_PIO -> Capabilities.KVM_CAP_COALESCED_PIO;
            case MEMORY_FAULT_INFO -> Capabilities.KVM_CAP_MEMORY_FAULT_INFO;
            case PRE_FAULT_MEMORY -> Capabilities.KVM_CAP_PRE_FAULT_MEMORY;
            case GUEST_MEMFD -> Capabilities.KVM_CAP_GUEST_MEMFD;
            case MEMORY_ATTRIBUTES -> Capabilities.KVM_CAP_MEMORY_ATTRIBUTES;
            case BINARY_STATS -> Capabilities.KVM_CAP_BINARY_STATS_FD;
            case GUEST_DEBUG -> Capabilities.KVM_CAP_SET_GUEST_DEBUG;
            case SYNC_REGS -> Capabilities.KVM_CAP_SYNC_REGS;
            case IMMEDIATE_EXIT -> Capabilities.KVM_CAP_IMMEDIATE_EXIT;
            case X86_USER_SPACE_MSR -> Capabilities.KVM_CAP_X86_USER_SPACE_MSR;
            case X86_MSR_FILTER -> Capabilities.KVM_CAP_X86_MSR_FILTER;
            case PMU_EVENT_FILTER -> Capabilities.KVM_CAP_PMU_EVENT_FILTER;
            case XSAVE2 -> Capabilities.KVM_CAP_XSAVE2;
            case SREGS2 -> Capabilities.KVM_CAP_SREGS2;
            case TSC_CONTROL -> Capabilities.KVM_CAP_TSC_CONTROL;
            case NESTED_STATE -> Capabilities.KVM_CAP_NESTED_STATE;
            case SET_BOOT_CPU_ID -> Capabilities.KVM_CAP_SET_BOOT_CPU_ID;
            case X2APIC_API -> Capabilities.KVM_CAP_X2APIC_API;
            case X86_SMM -> Capabilities.KVM_CAP_X86_SMM;
            case EXIT_HYPERCALL -> Capabilities.KVM_CAP_EXIT_HYPERCALL;
            case X86_NOTIFY_VMEXIT -> Capabilities.KVM_CAP_X86_NOTIFY_VMEXIT;
            case X86_BUS_LOCK_EXIT -> Capabilities.KVM_CAP_X86_BUS_LOCK_EXIT;
        };
    }
}
