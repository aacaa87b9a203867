package io.github.jkvm;

/**
 * Something a host may or may not have. Ask with {@link Hypervisor#supports(Capability)} before relying on one; an operation that
 * needs a missing one fails with {@link UnsupportedCapabilityException}.
 *
 * <p>The names follow KVM's ({@code KVM_CAP_*}; Linux, Documentation/virt/kvm/api.rst).
 */
public enum Capability {
    /** An interrupt controller inside the hypervisor (on x86 two 8259s, an IOAPIC and the local APICs). */
    IRQCHIP,
    /** Local APICs inside the hypervisor, everything else in user space (x86). */
    SPLIT_IRQCHIP,
    /** The 8254 timer inside the hypervisor (x86). */
    PIT2,
    /** Interrupts raised by a file descriptor: {@link Vm#interrupt(int)}. */
    IRQFD,
    /** An irqfd that tells when the guest has acknowledged a level-triggered interrupt. */
    IRQFD_RESAMPLE,
    /** Guest writes that signal a file descriptor instead of leaving the guest: {@link Vm#doorbell}. */
    IOEVENTFD,
    /** Doorbells of any length, without comparing data. */
    IOEVENTFD_ANY_LENGTH,
    /** Message-signalled interrupts without a route: {@link Vm#sendMessage}. */
    SIGNAL_MSI,
    /** A table from interrupt numbers to controller pins and messages: {@link Vm#setInterruptRoutes}. */
    IRQ_ROUTING,
    /** Memory regions that the guest can read but not write. */
    READONLY_MEMORY,
    /** Dirty logging whose write protection is renewed by a call of its own, page range by page range. */
    MANUAL_DIRTY_LOG_PROTECT,
    /** Dirty pages reported through a ring for each vCPU. */
    DIRTY_RING,
    /** MMIO writes gathered in a ring. */
    COALESCED_MMIO,
    /** Port writes gathered in a ring. */
    COALESCED_PIO,
    /** Exits for a memory access that the host can't serve, with its address. */
    MEMORY_FAULT_INFO,
    /** Filling the guest's page tables ahead of use. */
    PRE_FAULT_MEMORY,
    /** Memory that belongs to the guest alone, not mapped into this process. */
    GUEST_MEMFD,
    /** Marking memory as private to the guest. */
    MEMORY_ATTRIBUTES,
    /** Binary statistics of VMs and vCPUs. */
    BINARY_STATS,
    /** Single-stepping and break points set by the host. */
    GUEST_DEBUG,
    /** Registers shared through the run page instead of calls. */
    SYNC_REGS,
    /** {@code run} that returns at once after finishing pending work, asked for by a byte in the run page. */
    IMMEDIATE_EXIT,
    /** MSR accesses that leave the guest for user space (x86). */
    X86_USER_SPACE_MSR,
    /** A filter of MSRs the guest may touch (x86). */
    X86_MSR_FILTER,
    /** A filter of performance events the guest may count (x86). */
    PMU_EVENT_FILTER,
    /** Extended processor state larger than 4096 bytes (x86). */
    XSAVE2,
    /** Special registers with the PAE page directory pointers (x86). */
    SREGS2,
    /** The frequency of the guest's time stamp counter can be set (x86). */
    TSC_CONTROL,
    /** State of a guest that runs guests of its own (x86). */
    NESTED_STATE,
    /** Which vCPU starts first can be chosen (x86). */
    SET_BOOT_CPU_ID,
    /** Local APIC ids wider than 8 bits (x86). */
    X2APIC_API,
    /** System management mode (x86). */
    X86_SMM,
    /** Hypercalls chosen by the host leave the guest for user space. */
    EXIT_HYPERCALL,
    /** Exits for a guest that keeps the processor from taking interrupts (x86). */
    X86_NOTIFY_VMEXIT,
    /** Exits for a guest that locks the memory bus (x86). */
    X86_BUS_LOCK_EXIT
}
