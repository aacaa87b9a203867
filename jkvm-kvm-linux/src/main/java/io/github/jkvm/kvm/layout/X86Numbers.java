package io.github.jkvm.kvm.layout;

/** Flags and limits of an x86 VM and its vCPUs (Linux, arch/x86/include/uapi/asm/kvm.h; clock, guest debug and speaker from include/uapi/linux/kvm.h). */
public final class X86Numbers {
    /** Number of interrupt vectors. */
    public static final int KVM_NR_INTERRUPTS = 256;

    /** Controller: the 8259 of lines 0 to 7. */
    public static final int KVM_IRQCHIP_PIC_MASTER = 0;

    /** Controller: the 8259 of lines 8 to 15. */
    public static final int KVM_IRQCHIP_PIC_SLAVE = 1;

    /** Controller: the IOAPIC. */
    public static final int KVM_IRQCHIP_IOAPIC = 2;

    /** Flag of the timer: answer the speaker's port too. */
    public static final int KVM_PIT_SPEAKER_DUMMY = 1;

    /** Flag of a CPUID entry: its sub-leaf matters; spelled so. */
    public static final int KVM_CPUID_FLAG_SIGNIFCANT_INDEX = 1 << 0;

    /** Flag of a filter range: it covers reads. */
    public static final int KVM_MSR_FILTER_READ = 1 << 0;

    /** Flag of a filter range: it covers writes. */
    public static final int KVM_MSR_FILTER_WRITE = 1 << 1;

    /** Flag of a filter: registers without a range are allowed. */
    public static final int KVM_MSR_FILTER_DEFAULT_ALLOW = 0 << 0;

    /** Flag of a filter: registers without a range are denied. */
    public static final int KVM_MSR_FILTER_DEFAULT_DENY = 1 << 0;

    /** Longest bitmap of a filter range in bytes. */
    public static final int KVM_MSR_FILTER_MAX_BITMAP_SIZE = 0x600;

    /** Guest debug: on. */
    public static final int KVM_GUESTDBG_ENABLE = 0x00000001;

    /** Guest debug: stop after every instruction. */
    public static final int KVM_GUESTDBG_SINGLESTEP = 0x00000002;

    /** Guest debug: stop at {@code int3}. */
    public static final int KVM_GUESTDBG_USE_SW_BP = 0x00010000;

    /** Guest debug: use the debug registers given. */
    public static final int KVM_GUESTDBG_USE_HW_BP = 0x00020000;

    /** Guest debug: deliver no interrupts while stepping. */
    public static final int KVM_GUESTDBG_BLOCKIRQ = 0x00100000;

    /** Events: {@code nmi.pending} is valid. */
    public static final int KVM_VCPUEVENT_VALID_NMI_PENDING = 0x00000001;

    /** Events: {@code sipi_vector} is valid. */
    public static final int KVM_VCPUEVENT_VALID_SIPI_VECTOR = 0x00000002;

    /** Events: {@code interrupt.shadow} is valid. */
    public static final int KVM_VCPUEVENT_VALID_SHADOW = 0x00000004;

    /** Events: {@code smi} is valid. */
    public static final int KVM_VCPUEVENT_VALID_SMM = 0x00000008;

    /** Events: the payload and {@code exception.pending} are valid. */
    public static final int KVM_VCPUEVENT_VALID_PAYLOAD = 0x00000010;

    /** Events: {@code triple_fault} is valid. */
    public static final int KVM_VCPUEVENT_VALID_TRIPLE_FAULT = 0x00000020;

    /** Special registers: the page directory pointers are valid. */
    public static final int KVM_SREGS2_FLAGS_PDPTRS_VALID = 1;

    /** Clock: the time stamp counter is stable. */
    public static final int KVM_CLOCK_TSC_STABLE = 2;

    /** Clock: {@code realtime} is valid. */
    public static final int KVM_CLOCK_REALTIME = 1 << 2;

    /** Clock: {@code host_tsc} is valid. */
    public static final int KVM_CLOCK_HOST_TSC = 1 << 3;

    /** Performance event filter: only those listed are counted. */
    public static final int KVM_PMU_EVENT_ALLOW = 0;

    /** Performance event filter: all but those listed are counted. */
    public static final int KVM_PMU_EVENT_DENY = 1;

    /** Performance event filter: the entries are masked events, since Linux 6.3. */
    public static final int KVM_PMU_EVENT_FLAG_MASKED_EVENTS = 1;

    /** Nested state: of an Intel processor. */
    public static final int KVM_STATE_NESTED_FORMAT_VMX = 0;

    /** Nested state: of an AMD processor. */
    public static final int KVM_STATE_NESTED_FORMAT_SVM = 1;

    /** What a vCPU does as one of several. */
    public static final int KVM_MP_STATE_RUNNABLE = 0;

    /** What a vCPU does as one of several. */
    public static final int KVM_MP_STATE_UNINITIALIZED = 1;

    /** What a vCPU does as one of several. */
    public static final int KVM_MP_STATE_INIT_RECEIVED = 2;

    /** What a vCPU does as one of several. */
    public static final int KVM_MP_STATE_HALTED = 3;

    /** What a vCPU does as one of several. */
    public static final int KVM_MP_STATE_SIPI_RECEIVED = 4;

    private X86Numbers() {}
}
