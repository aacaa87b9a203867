package io.github.jkvm.kvm.layout;

/**
 * Numbers for {@code KVM_CHECK_EXTENSION} and {@code KVM_ENABLE_CAP} (Linux, include/uapi/linux/kvm.h; what each means is in
 * Documentation/virt/kvm/api.rst). Those of other architectures than x86 and Arm are left out.
 */
public final class Capabilities {
    public static final int KVM_CAP_IRQCHIP = 0;
    public static final int KVM_CAP_HLT = 1;
    public static final int KVM_CAP_USER_MEMORY = 3;
    public static final int KVM_CAP_SET_TSS_ADDR = 4;
    public static final int KVM_CAP_EXT_CPUID = 7;
    public static final int KVM_CAP_NR_VCPUS = 9;
    public static final int KVM_CAP_NR_MEMSLOTS = 10;
    public static final int KVM_CAP_MP_STATE = 14;
    public static final int KVM_CAP_COALESCED_MMIO = 15;
    public static final int KVM_CAP_SYNC_MMU = 16;
    public static final int KVM_CAP_USER_NMI = 22;
    public static final int KVM_CAP_SET_GUEST_DEBUG = 23;
    public static final int KVM_CAP_IRQ_ROUTING = 25;
    public static final int KVM_CAP_IRQ_INJECT_STATUS = 26;
    public static final int KVM_CAP_MCE = 31;
    public static final int KVM_CAP_IRQFD = 32;
    public static final int KVM_CAP_PIT2 = 33;
    public static final int KVM_CAP_SET_BOOT_CPU_ID = 34;
    public static final int KVM_CAP_PIT_STATE2 = 35;
    public static final int KVM_CAP_IOEVENTFD = 36;
    public static final int KVM_CAP_SET_IDENTITY_MAP_ADDR = 37;
    public static final int KVM_CAP_XEN_HVM = 38;
    public static final int KVM_CAP_ADJUST_CLOCK = 39;
    public static final int KVM_CAP_INTERNAL_ERROR_DATA = 40;
    public static final int KVM_CAP_VCPU_EVENTS = 41;
    public static final int KVM_CAP_HYPERV = 44;
    public static final int KVM_CAP_INTR_SHADOW = 49;
    public static final int KVM_CAP_DEBUGREGS = 50;
    public static final int KVM_CAP_X86_ROBUST_SINGLESTEP = 51;
    public static final int KVM_CAP_ENABLE_CAP = 54;
    public static final int KVM_CAP_XSAVE = 55;
    public static final int KVM_CAP_XCRS = 56;
    public static final int KVM_CAP_TSC_CONTROL = 60;
    public static final int KVM_CAP_GET_TSC_KHZ = 61;
    public static final int KVM_CAP_MAX_VCPUS = 66;
    public static final int KVM_CAP_ONE_REG = 70;
    public static final int KVM_CAP_TSC_DEADLINE_TIMER = 72;
    public static final int KVM_CAP_SYNC_REGS = 74;
    public static final int KVM_CAP_KVMCLOCK_CTRL = 76;
    public static final int KVM_CAP_SIGNAL_MSI = 77;
    public static final int KVM_CAP_READONLY_MEM = 81;
    public static final int KVM_CAP_IRQFD_RESAMPLE = 82;
    public static final int KVM_CAP_DEVICE_CTRL = 89;
    public static final int KVM_CAP_EXT_EMUL_CPUID = 95;
    public static final int KVM_CAP_ENABLE_CAP_VM = 98;
    public static final int KVM_CAP_IOEVENTFD_NO_LENGTH = 100;
    public static final int KVM_CAP_ARM_PSCI_0_2 = 102;
    public static final int KVM_CAP_CHECK_EXTENSION_VM = 105;
    public static final int KVM_CAP_DISABLE_QUIRKS = 116;
    public static final int KVM_CAP_X86_SMM = 117;
    public static final int KVM_CAP_MULTI_ADDRESS_SPACE = 118;
    public static final int KVM_CAP_SPLIT_IRQCHIP = 121;
    public static final int KVM_CAP_IOEVENTFD_ANY_LENGTH = 122;
    public static final int KVM_CAP_ARM_PMU_V3 = 126;
    public static final int KVM_CAP_MAX_VCPU_ID = 128;
    public static final int KVM_CAP_X2APIC_API = 129;
    public static final int KVM_CAP_MSI_DEVID = 131;
    public static final int KVM_CAP_IMMEDIATE_EXIT = 136;
    public static final int KVM_CAP_X86_DISABLE_EXITS = 143;
    public static final int KVM_CAP_GET_MSR_FEATURES = 153;
    public static final int KVM_CAP_NESTED_STATE = 157;
    public static final int KVM_CAP_COALESCED_PIO = 162;
    public static final int KVM_CAP_EXCEPTION_PAYLOAD = 164;
    public static final int KVM_CAP_ARM_VM_IPA_SIZE = 165;
    public static final int KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 = 168;
    public static final int KVM_CAP_ARM_SVE = 170;
    public static final int KVM_CAP_PMU_EVENT_FILTER = 173;
    public static final int KVM_CAP_ARM_NISV_TO_USER = 177;
    public static final int KVM_CAP_HALT_POLL = 182;
    public static final int KVM_CAP_X86_USER_SPACE_MSR = 188;
    public static final int KVM_CAP_X86_MSR_FILTER = 189;
    public static final int KVM_CAP_SYS_HYPERV_CPUID = 191;
    public static final int KVM_CAP_DIRTY_LOG_RING = 192;
    public static final int KVM_CAP_X86_BUS_LOCK_EXIT = 193;
    public static final int KVM_CAP_SET_GUEST_DEBUG2 = 195;
    public static final int KVM_CAP_SREGS2 = 200;
    public static final int KVM_CAP_EXIT_HYPERCALL = 201;
    public static final int KVM_CAP_BINARY_STATS_FD = 203;
    public static final int KVM_CAP_EXIT_ON_EMULATION_FAILURE = 204;
    public static final int KVM_CAP_VM_GPA_BITS = 207;
    public static final int KVM_CAP_XSAVE2 = 208;
    public static final int KVM_CAP_SYS_ATTRIBUTES = 209;
    public static final int KVM_CAP_PMU_CAPABILITY = 212;
    public static final int KVM_CAP_DISABLE_QUIRKS2 = 213;
    public static final int KVM_CAP_VM_TSC_CONTROL = 214;
    public static final int KVM_CAP_SYSTEM_EVENT_DATA = 215;
    public static final int KVM_CAP_X86_TRIPLE_FAULT_EVENT = 218;
    public static final int KVM_CAP_X86_NOTIFY_VMEXIT = 219;
    public static final int KVM_CAP_DIRTY_LOG_RING_ACQ_REL = 223;

    /** Since Linux 6.2. */
    public static final int KVM_CAP_DIRTY_LOG_RING_WITH_BITMAP = 225;

    /** Since Linux 6.3. */
    public static final int KVM_CAP_PMU_EVENT_MASKED_EVENTS = 226;

    /** Since Linux 6.8. */
    public static final int KVM_CAP_USER_MEMORY2 = 231;

    /** Since Linux 6.8. */
    public static final int KVM_CAP_MEMORY_FAULT_INFO = 232;

    /** Since Linux 6.8. */
    public static final int KVM_CAP_MEMORY_ATTRIBUTES = 233;

    /** Since Linux 6.8. */
    public static final int KVM_CAP_GUEST_MEMFD = 234;

    /** Since Linux 6.8. */
    public static final int KVM_CAP_VM_TYPES = 235;

    /** Since Linux 6.11. */
    public static final int KVM_CAP_PRE_FAULT_MEMORY = 236;

    /** Since Linux 6.11. */
    public static final int KVM_CAP_X86_APIC_BUS_CYCLES_NS = 237;

    /** Since Linux 6.12. */
    public static final int KVM_CAP_X86_GUEST_MODE = 238;

    /** Since Linux 6.18. */
    public static final int KVM_CAP_GUEST_MEMFD_FLAGS = 244;

    private Capabilities() {}
}
