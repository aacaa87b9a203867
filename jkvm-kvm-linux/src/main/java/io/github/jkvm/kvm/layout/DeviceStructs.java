package io.github.jkvm.kvm.layout;

import static io.github.jkvm.kvm.layout.Struct.u16;
import static io.github.jkvm.kvm.layout.Struct.u32;
import static io.github.jkvm.kvm.layout.Struct.u64;
import static io.github.jkvm.kvm.layout.Struct.u8;

/** Capabilities, devices, single registers, statistics and encryption (Linux, include/uapi/linux/kvm.h). */
public final class DeviceStructs {
    /** {@code struct kvm_enable_cap}. */
    public static final Struct KVM_ENABLE_CAP =
            Struct.of("kvm_enable_cap", u32("cap"), u32("flags"), u64("args", 4), u8("pad", 64));

    /** {@code struct kvm_create_device}. */
    public static final Struct KVM_CREATE_DEVICE = Struct.of("kvm_create_device", u32("type"), u32("fd"), u32("flags"));

    /** {@code struct kvm_device_attr}. */
    public static final Struct KVM_DEVICE_ATTR =
            Struct.of("kvm_device_attr", u32("flags"), u32("group"), u64("attr"), u64("addr"));

    /** {@code struct kvm_one_reg}. */
    public static final Struct KVM_ONE_REG = Struct.of("kvm_one_reg", u64("id"), u64("addr"));

    /** {@code struct kvm_reg_list}. */
    public static final Struct KVM_REG_LIST = Struct.of("kvm_reg_list", u64("n"), u64("reg", 0));

    /** {@code struct kvm_stats_header}. */
    public static final Struct KVM_STATS_HEADER = Struct.of(
            "kvm_stats_header",
            u32("flags"),
            u32("name_size"),
            u32("num_desc"),
            u32("id_offset"),
            u32("desc_offset"),
            u32("data_offset"));

    /** {@code struct kvm_stats_desc}. */
    public static final Struct KVM_STATS_DESC = Struct.of(
            "kvm_stats_desc",
            u32("flags"),
            u16("exponent"),
            u16("size"),
            u32("offset"),
            u32("bucket_size"),
            u8("name", 0));

    /** {@code struct kvm_sev_cmd} (arch/x86/include/uapi/asm/kvm.h). */
    public static final Struct KVM_SEV_CMD =
            Struct.of("kvm_sev_cmd", u32("id"), u64("data"), u32("error"), u32("sev_fd"));

    /** Flag of a device to be created: only tell whether it could be. */
    public static final int KVM_CREATE_DEVICE_TEST = 1;

    private DeviceStructs() {}
}
