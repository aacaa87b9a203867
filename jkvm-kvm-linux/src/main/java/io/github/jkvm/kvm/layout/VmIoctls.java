package io.github.jkvm.kvm.layout;

import io.github.jkvm.kvm.ffi.Ioctl;

/** Requests of a VM (Linux, include/uapi/linux/kvm.h). */
public final class VmIoctls {
    public static final Ioctl KVM_CREATE_VCPU = Ioctl.io("KVM_CREATE_VCPU", 0x41);

    public static final Ioctl KVM_GET_DIRTY_LOG =
            Ioctl.iow("KVM_GET_DIRTY_LOG", 0x42, MemoryStructs.KVM_DIRTY_LOG.size());

    public static final Ioctl KVM_SET_USER_MEMORY_REGION =
            Ioctl.iow("KVM_SET_USER_MEMORY_REGION", 0x46, MemoryStructs.KVM_USERSPACE_MEMORY_REGION.size());

    public static final Ioctl KVM_SET_TSS_ADDR = Ioctl.io("KVM_SET_TSS_ADDR", 0x47);

    public static final Ioctl KVM_SET_IDENTITY_MAP_ADDR = Ioctl.iow("KVM_SET_IDENTITY_MAP_ADDR", 0x48, Long.BYTES);

    /** Since Linux 6.8. */
    public static final Ioctl KVM_SET_USER_MEMORY_REGION2 =
            Ioctl.iow("KVM_SET_USER_MEMORY_REGION2", 0x49, MemoryStructs.KVM_USERSPACE_MEMORY_REGION2.size());

    public static final Ioctl KVM_CREATE_IRQCHIP = Ioctl.io("KVM_CREATE_IRQCHIP", 0x60);

    public static final Ioctl KVM_IRQ_LINE = Ioctl.iow("KVM_IRQ_LINE", 0x61, InterruptStructs.KVM_IRQ_LEVEL.size());

    public static final Ioctl KVM_GET_IRQCHIP = Ioctl.iowr("KVM_GET_IRQCHIP", 0x62, X86VmStructs.KVM_IRQCHIP.size());

    /** An {@code _IOR} in the header, though it reads the structure. */
    public static final Ioctl KVM_SET_IRQCHIP = Ioctl.ior("KVM_SET_IRQCHIP", 0x63, X86VmStructs.KVM_IRQCHIP.size());

    public static final Ioctl KVM_IRQ_LINE_STATUS =
            Ioctl.iowr("KVM_IRQ_LINE_STATUS", 0x67, InterruptStructs.KVM_IRQ_LEVEL.size());

    public static final Ioctl KVM_REGISTER_COALESCED_MMIO =
            Ioctl.iow("KVM_REGISTER_COALESCED_MMIO", 0x67, MemoryStructs.KVM_COALESCED_MMIO_ZONE.size());

    public static final Ioctl KVM_UNREGISTER_COALESCED_MMIO =
            Ioctl.iow("KVM_UNREGISTER_COALESCED_MMIO", 0x68, MemoryStructs.KVM_COALESCED_MMIO_ZONE.size());

    public static final Ioctl KVM_SET_GSI_ROUTING =
            Ioctl.iow("KVM_SET_GSI_ROUTING", 0x6A, InterruptStructs.KVM_IRQ_ROUTING.size());

    public static final Ioctl KVM_IRQFD = Ioctl.iow("KVM_IRQFD", 0x76, InterruptStructs.KVM_IRQFD.size());

    public static final Ioctl KVM_CREATE_PIT2 = Ioctl.iow("KVM_CREATE_PIT2", 0x77, X86VmStructs.KVM_PIT_CONFIG.size());

    public static final Ioctl KVM_SET_BOOT_CPU_ID = Ioctl.io("KVM_SET_BOOT_CPU_ID", 0x78);

    public static final Ioctl KVM_IOEVENTFD = Ioctl.iow("KVM_IOEVENTFD", 0x79, InterruptStructs.KVM_IOEVENTFD.size());

    public static final Ioctl KVM_SET_CLOCK = Ioctl.iow("KVM_SET_CLOCK", 0x7B, X86VmStructs.KVM_CLOCK_DATA.size());

    public static final Ioctl KVM_GET_CLOCK = Ioctl.ior("KVM_GET_CLOCK", 0x7C, X86VmStructs.KVM_CLOCK_DATA.size());

    public static final Ioctl KVM_GET_PIT2 = Ioctl.ior("KVM_GET_PIT2", 0x9F, X86VmStructs.KVM_PIT_STATE2.size());

    public static final Ioctl KVM_SET_PIT2 = Ioctl.iow("KVM_SET_PIT2", 0xA0, X86VmStructs.KVM_PIT_STATE2.size());

    public static final Ioctl KVM_SIGNAL_MSI = Ioctl.iow("KVM_SIGNAL_MSI", 0xA5, InterruptStructs.KVM_MSI.size());

    public static final Ioctl KVM_SET_PMU_EVENT_FILTER =
            Ioctl.iow("KVM_SET_PMU_EVENT_FILTER", 0xB2, X86VmStructs.KVM_PMU_EVENT_FILTER.size());

    public static final Ioctl KVM_MEMORY_ENCRYPT_OP = Ioctl.iowr("KVM_MEMORY_ENCRYPT_OP", 0xBA, Long.BYTES);

    /** An {@code _IOR} in the header, though it reads the structure. */
    public static final Ioctl KVM_MEMORY_ENCRYPT_REG_REGION =
            Ioctl.ior("KVM_MEMORY_ENCRYPT_REG_REGION", 0xBB, MemoryStructs.KVM_ENC_REGION.size());

    /** An {@code _IOR} in the header, though it reads the structure. */
    public static final Ioctl KVM_MEMORY_ENCRYPT_UNREG_REGION =
            Ioctl.ior("KVM_MEMORY_ENCRYPT_UNREG_REGION", 0xBC, MemoryStructs.KVM_ENC_REGION.size());

    public static final Ioctl KVM_CLEAR_DIRTY_LOG =
            Ioctl.iowr("KVM_CLEAR_DIRTY_LOG", 0xC0, MemoryStructs.KVM_CLEAR_DIRTY_LOG.size());

    public static final Ioctl KVM_X86_SET_MSR_FILTER =
            Ioctl.iow("KVM_X86_SET_MSR_FILTER", 0xC6, X86VmStructs.KVM_MSR_FILTER.size());

    public static final Ioctl KVM_RESET_DIRTY_RINGS = Ioctl.io("KVM_RESET_DIRTY_RINGS", 0xC7);

    /** Since Linux 6.8. */
    public static final Ioctl KVM_SET_MEMORY_ATTRIBUTES =
            Ioctl.iow("KVM_SET_MEMORY_ATTRIBUTES", 0xD2, MemoryStructs.KVM_MEMORY_ATTRIBUTES.size());

    /** Since Linux 6.8. */
    public static final Ioctl KVM_CREATE_GUEST_MEMFD =
            Ioctl.iowr("KVM_CREATE_GUEST_MEMFD", 0xD4, MemoryStructs.KVM_CREATE_GUEST_MEMFD.size());

    public static final Ioctl KVM_CREATE_DEVICE =
            Ioctl.iowr("KVM_CREATE_DEVICE", 0xE0, DeviceStructs.KVM_CREATE_DEVICE.size());

    /** Also a request of a device and of a vCPU. */
    public static final Ioctl KVM_SET_DEVICE_ATTR =
            Ioctl.iow("KVM_SET_DEVICE_ATTR", 0xE1, DeviceStructs.KVM_DEVICE_ATTR.size());

    /** Also a request of a device and of a vCPU. */
    public static final Ioctl KVM_GET_DEVICE_ATTR =
            Ioctl.iow("KVM_GET_DEVICE_ATTR", 0xE2, DeviceStructs.KVM_DEVICE_ATTR.size());

    /** Also a request of a device and of a vCPU. */
    public static final Ioctl KVM_HAS_DEVICE_ATTR =
            Ioctl.iow("KVM_HAS_DEVICE_ATTR", 0xE3, DeviceStructs.KVM_DEVICE_ATTR.size());

    private VmIoctls() {}
}
