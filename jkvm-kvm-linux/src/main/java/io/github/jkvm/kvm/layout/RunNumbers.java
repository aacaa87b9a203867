package io.github.jkvm.kvm.layout;

/**
 * Numbers in {@code struct kvm_run}, those of other architectures than x86, Arm and RISC-V left out (Linux, include/uapi/linux/kvm.h; flags,
 * shared registers and page offsets of x86 from arch/x86/include/uapi/asm/kvm.h).
 */
public final class RunNumbers {
    /** Exit reason. */
    public static final int KVM_EXIT_UNKNOWN = 0;

    /** Exit reason. */
    public static final int KVM_EXIT_EXCEPTION = 1;

    /** Exit reason. */
    public static final int KVM_EXIT_IO = 2;

    /** Exit reason. */
    public static final int KVM_EXIT_HYPERCALL = 3;

    /** Exit reason. */
    public static final int KVM_EXIT_DEBUG = 4;

    /** Exit reason. */
    public static final int KVM_EXIT_HLT = 5;

    /** Exit reason. */
    public static final int KVM_EXIT_MMIO = 6;

    /** Exit reason. */
    public static final int KVM_EXIT_IRQ_WINDOW_OPEN = 7;

    /** Exit reason. */
    public static final int KVM_EXIT_SHUTDOWN = 8;

    /** Exit reason. */
    public static final int KVM_EXIT_FAIL_ENTRY = 9;

    /** Exit reason. */
    public static final int KVM_EXIT_INTR = 10;

    /** Exit reason. */
    public static final int KVM_EXIT_SET_TPR = 11;

    /** Exit reason. */
    public static final int KVM_EXIT_TPR_ACCESS = 12;

    /** Exit reason. */
    public static final int KVM_EXIT_NMI = 16;

    /** Exit reason. */
    public static final int KVM_EXIT_INTERNAL_ERROR = 17;

    /** Exit reason. */
    public static final int KVM_EXIT_WATCHDOG = 21;

    /** Exit reason. */
    public static final int KVM_EXIT_SYSTEM_EVENT = 24;

    /** Exit reason. */
    public static final int KVM_EXIT_IOAPIC_EOI = 26;

    /** Exit reason. */
    public static final int KVM_EXIT_HYPERV = 27;

    /** Exit reason. */
    public static final int KVM_EXIT_ARM_NISV = 28;

    /** Exit reason. */
    public static final int KVM_EXIT_X86_RDMSR = 29;

    /** Exit reason. */
    public static final int KVM_EXIT_X86_WRMSR = 30;

    /** Exit reason. */
    public static final int KVM_EXIT_DIRTY_RING_FULL = 31;

    /** Exit reason. */
    public static final int KVM_EXIT_AP_RESET_HOLD = 32;

    /** Exit reason. */
    public static final int KVM_EXIT_X86_BUS_LOCK = 33;

    /** Exit reason. */
    public static final int KVM_EXIT_XEN = 34;

    /** Exit reason. */
    public static final int KVM_EXIT_RISCV_SBI = 35;

    /** Exit reason. */
    public static final int KVM_EXIT_RISCV_CSR = 36;

    /** Exit reason. */
    public static final int KVM_EXIT_NOTIFY = 37;

    /** Exit reason, since Linux 6.8. */
    public static final int KVM_EXIT_MEMORY_FAULT = 39;

    /** Exit reason, since Linux 6.16. */
    public static final int KVM_EXIT_TDX = 40;

    /** Exit reason, since Linux 6.19. */
    public static final int KVM_EXIT_ARM_SEA = 41;

    /** Direction of a port access: the guest reads. */
    public static final int KVM_EXIT_IO_IN = 0;

    /** Direction of a port access: the guest writes. */
    public static final int KVM_EXIT_IO_OUT = 1;

    /** Type of a Hyper-V exit: the synthetic interrupt controller changed. */
    public static final int KVM_EXIT_HYPERV_SYNIC = 1;

    /** Type of a Hyper-V exit: hypercall. */
    public static final int KVM_EXIT_HYPERV_HCALL = 2;

    /** Type of a Hyper-V exit: the synthetic debugger changed. */
    public static final int KVM_EXIT_HYPERV_SYNDBG = 3;

    /** Type of a Xen exit: hypercall. */
    public static final int KVM_EXIT_XEN_HCALL = 1;

    /** Suberror: an instruction could not be emulated. */
    public static final int KVM_INTERNAL_ERROR_EMULATION = 1;

    /** Suberror: unexpected simultaneous exceptions. */
    public static final int KVM_INTERNAL_ERROR_SIMUL_EX = 2;

    /** Suberror: an exit while an event was delivered. */
    public static final int KVM_INTERNAL_ERROR_DELIVERY_EV = 3;

    /** Suberror: an exit reason of the processor that KVM does not know. */
    public static final int KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON = 4;

    /** Flag of {@code emulation_failure}: the instruction bytes are valid. */
    public static final long KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES = 1L;

    /** System event: power off. */
    public static final int KVM_SYSTEM_EVENT_SHUTDOWN = 1;

    /** System event: reset. */
    public static final int KVM_SYSTEM_EVENT_RESET = 2;

    /** System event: crash. */
    public static final int KVM_SYSTEM_EVENT_CRASH = 3;

    /** System event: wake up. */
    public static final int KVM_SYSTEM_EVENT_WAKEUP = 4;

    /** System event: suspend. */
    public static final int KVM_SYSTEM_EVENT_SUSPEND = 5;

    /** System event: an encrypted guest asks to be ended. */
    public static final int KVM_SYSTEM_EVENT_SEV_TERM = 6;

    /** System event: fatal error of a TDX guest, since Linux 6.16. */
    public static final int KVM_SYSTEM_EVENT_TDX_FATAL = 7;

    /** Reason of an MSR exit: invalid access. */
    public static final int KVM_MSR_EXIT_REASON_INVAL = 1 << 0;

    /** Reason of an MSR exit: unknown register. */
    public static final int KVM_MSR_EXIT_REASON_UNKNOWN = 1 << 1;

    /** Reason of an MSR exit: denied by the filter. */
    public static final int KVM_MSR_EXIT_REASON_FILTER = 1 << 2;

    /** Flag of a notify exit: the guest's state is corrupt. */
    public static final int KVM_NOTIFY_CONTEXT_INVALID = 1 << 0;

    /** Flag of a memory fault exit: the access was private, since Linux 6.8. */
    public static final long KVM_MEMORY_EXIT_FLAG_PRIVATE = 1L << 3;

    /** Flag of {@code kvm_run}: in system management mode. */
    public static final int KVM_RUN_X86_SMM = 1 << 0;

    /** Flag of {@code kvm_run}: the guest locked the bus. */
    public static final int KVM_RUN_X86_BUS_LOCK = 1 << 1;

    /** Class of shared registers: {@code regs}. */
    public static final long KVM_SYNC_X86_REGS = 1L << 0;

    /** Class of shared registers: {@code sregs}. */
    public static final long KVM_SYNC_X86_SREGS = 1L << 1;

    /** Class of shared registers: {@code events}. */
    public static final long KVM_SYNC_X86_EVENTS = 1L << 2;

    /** Page of the vCPU's mapping that holds port data (x86). */
    public static final int KVM_PIO_PAGE_OFFSET = 1;

    /** Page of the vCPU's mapping that holds the ring of coalesced writes (x86). */
    public static final int KVM_COALESCED_MMIO_PAGE_OFFSET = 2;

    /** Page of the vCPU's mapping where the ring of dirty pages begins (x86). */
    public static final int KVM_DIRTY_LOG_PAGE_OFFSET = 64;

    private RunNumbers() {}
}
