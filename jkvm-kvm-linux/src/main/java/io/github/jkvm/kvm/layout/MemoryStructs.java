package io.github.jkvm.kvm.layout;

import static io.github.jkvm.kvm.layout.Struct.struct;
import static io.github.jkvm.kvm.layout.Struct.u32;
import static io.github.jkvm.kvm.layout.Struct.u64;
import static io.github.jkvm.kvm.layout.Struct.u8;
import static io.github.jkvm.kvm.layout.Struct.unnamedUnion;

/** Guest memory, dirty pages and coalesced writes (Linux, include/uapi/linux/kvm.h). */
public final class MemoryStructs {
    /** {@code struct kvm_userspace_memory_region}. */
    public static final Struct KVM_USERSPACE_MEMORY_REGION = Struct.of(
            "kvm_userspace_memory_region",
            u32("slot"),
            u32("flags"),
            u64("guest_phys_addr"),
            u64("memory_size"),
            u64("userspace_addr"));

    /** {@code struct kvm_userspace_memory_region2}, since Linux 6.8: 160 bytes. */
    public static final Struct KVM_USERSPACE_MEMORY_REGION2 = Struct.of(
            "kvm_userspace_memory_region2",
            u32("slot"),
            u32("flags"),
            u64("guest_phys_addr"),
            u64("memory_size"),
            u64("userspace_addr"),
            u64("guest_memfd_offset"),
            u32("guest_memfd"),
            u32("pad1"),
            u64("pad2", 14));

    /** {@code struct kvm_create_guest_memfd}, since Linux 6.8: 64 bytes. */
    public static final Struct KVM_CREATE_GUEST_MEMFD =
            Struct.of("kvm_create_guest_memfd", u64("size"), u64("flags"), u64("reserved", 6));

    /** {@code struct kvm_memory_attributes}, since Linux 6.8: 32 bytes. */
    public static final Struct KVM_MEMORY_ATTRIBUTES =
            Struct.of("kvm_memory_attributes", u64("address"), u64("size"), u64("attributes"), u64("flags"));

    /** {@code struct kvm_pre_fault_memory}, since Linux 6.11: 64 bytes. */
    public static final Struct KVM_PRE_FAULT_MEMORY =
            Struct.of("kvm_pre_fault_memory", u64("gpa"), u64("size"), u64("flags"), u64("padding", 5));

    /** {@code struct kvm_dirty_log}. */
    public static final Struct KVM_DIRTY_LOG = Struct.of(
            "kvm_dirty_log", u32("slot"), u32("padding1"), unnamedUnion(u64("dirty_bitmap"), u64("padding2")));

    /** {@code struct kvm_clear_dirty_log}. */
    public static final Struct KVM_CLEAR_DIRTY_LOG = Struct.of(
            "kvm_clear_dirty_log",
            u32("slot"),
            u32("num_pages"),
            u64("first_page"),
            unnamedUnion(u64("dirty_bitmap"), u64("padding2")));

    /** {@code struct kvm_dirty_gfn}. */
    public static final Struct KVM_DIRTY_GFN = Struct.of("kvm_dirty_gfn", u32("flags"), u32("slot"), u64("offset"));

    /** {@code struct kvm_coalesced_mmio_zone}. */
    public static final Struct KVM_COALESCED_MMIO_ZONE =
            Struct.of("kvm_coalesced_mmio_zone", u64("addr"), u32("size"), unnamedUnion(u32("pad"), u32("pio")));

    /** {@code struct kvm_coalesced_mmio}. */
    public static final Struct KVM_COALESCED_MMIO = Struct.of(
            "kvm_coalesced_mmio", u64("phys_addr"), u32("len"), unnamedUnion(u32("pad"), u32("pio")), u8("data", 8));

    /** {@code struct kvm_coalesced_mmio_ring}. */
    public static final Struct KVM_COALESCED_MMIO_RING = Struct.of(
            "kvm_coalesced_mmio_ring", u32("first"), u32("last"), struct("coalesced_mmio", 0, KVM_COALESCED_MMIO));

    /** {@code struct kvm_enc_region}. */
    public static final Struct KVM_ENC_REGION = Struct.of("kvm_enc_region", u64("addr"), u64("size"));

    /** Flag of a memory region: record what the guest writes. */
    public static final long KVM_MEM_LOG_DIRTY_PAGES = 1L << 0;

    /** Flag of a memory region: guest writes leave the guest. */
    public static final long KVM_MEM_READONLY = 1L << 1;

    /** Flag of a memory region: private pages come from a guest memfd, since Linux 6.8. */
    public static final long KVM_MEM_GUEST_MEMFD = 1L << 2;

    /** Attribute of memory: private to the guest, since Linux 6.8. */
    public static final long KVM_MEMORY_ATTRIBUTE_PRIVATE = 1L << 3;

    /** Argument of {@code KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2}: pages are write-protected again by a call of its own. */
    public static final int KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE = 1 << 0;

    /** Argument of {@code KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2}: all pages begin as dirty. */
    public static final int KVM_DIRTY_LOG_INITIALLY_SET = 1 << 1;

    /** Flag of a ring entry: the page is dirty. */
    public static final int KVM_DIRTY_GFN_F_DIRTY = 1 << 0;

    /** Flag of a ring entry: it was harvested. */
    public static final int KVM_DIRTY_GFN_F_RESET = 1 << 1;

    private MemoryStructs() {}
}
