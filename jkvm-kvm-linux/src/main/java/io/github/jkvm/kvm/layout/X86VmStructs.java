package io.github.jkvm.kvm.layout;

import static io.github.jkvm.kvm.layout.Struct.struct;
import static io.github.jkvm.kvm.layout.Struct.u16;
import static io.github.jkvm.kvm.layout.Struct.u32;
import static io.github.jkvm.kvm.layout.Struct.u64;
import static io.github.jkvm.kvm.layout.Struct.u8;
import static io.github.jkvm.kvm.layout.Struct.union;

/** Interrupt controllers, timer, clock and filters of an x86 VM (Linux, arch/x86/include/uapi/asm/kvm.h and include/uapi/linux/kvm.h). */
public final class X86VmStructs {
    /** {@code struct kvm_pic_state}. */
    public static final Struct KVM_PIC_STATE = Struct.of(
            "kvm_pic_state",
            u8("last_irr"),
            u8("irr"),
            u8("imr"),
            u8("isr"),
            u8("priority_add"),
            u8("irq_base"),
            u8("read_reg_select"),
            u8("poll"),
            u8("special_mask"),
            u8("init_state"),
            u8("auto_eoi"),
            u8("rotate_on_auto_eoi"),
            u8("special_fully_nested_mode"),
            u8("init4"),
            u8("elcr"),
            u8("elcr_mask"));

    /** Number of inputs of the IOAPIC. */
    public static final int KVM_IOAPIC_NUM_PINS = 24;

    /** {@code struct kvm_ioapic_state}; the entries of its table are unions of 8 bytes, given here by their {@code bits}. */
    public static final Struct KVM_IOAPIC_STATE = Struct.of(
            "kvm_ioapic_state",
            u64("base_address"),
            u32("ioregsel"),
            u32("id"),
            u32("irr"),
            u32("pad"),
            u64("redirtbl", KVM_IOAPIC_NUM_PINS));

    /** {@code struct kvm_irqchip}. */
    public static final Struct KVM_IRQCHIP = Struct.of(
            "kvm_irqchip",
            u32("chip_id"),
            u32("pad"),
            union("chip", u8("dummy", 512), struct("pic", KVM_PIC_STATE), struct("ioapic", KVM_IOAPIC_STATE)));

    /** {@code struct kvm_pit_config}. */
    public static final Struct KVM_PIT_CONFIG = Struct.of("kvm_pit_config", u32("flags"), u32("pad", 15));

    /** {@code struct kvm_pit_channel_state}. */
    public static final Struct KVM_PIT_CHANNEL_STATE = Struct.of(
            "kvm_pit_channel_state",
            u32("count"),
            u16("latched_count"),
            u8("count_latched"),
            u8("status_latched"),
            u8("status"),
            u8("read_state"),
            u8("write_state"),
            u8("write_latch"),
            u8("rw_mode"),
            u8("mode"),
            u8("bcd"),
            u8("gate"),
            u64("count_load_time"));

    /** {@code struct kvm_pit_state2}. */
    public static final Struct KVM_PIT_STATE2 =
            Struct.of("kvm_pit_state2", struct("channels", 3, KVM_PIT_CHANNEL_STATE), u32("flags"), u32("reserved", 9));

    /** {@code struct kvm_clock_data}. */
    public static final Struct KVM_CLOCK_DATA = Struct.of(
            "kvm_clock_data", u64("clock"), u32("flags"), u32("pad0"), u64("realtime"), u64("host_tsc"), u32("pad", 4));

    /** {@code struct kvm_msr_filter_range}. */
    public static final Struct KVM_MSR_FILTER_RANGE =
            Struct.of("kvm_msr_filter_range", u32("flags"), u32("nmsrs"), u32("base"), u64("bitmap"));

    /** Most ranges of a filter. */
    public static final int KVM_MSR_FILTER_MAX_RANGES = 16;

    /** {@code struct kvm_msr_filter}. */
    public static final Struct KVM_MSR_FILTER = Struct.of(
            "kvm_msr_filter", u32("flags"), struct("ranges", KVM_MSR_FILTER_MAX_RANGES, KVM_MSR_FILTER_RANGE));

    /** {@code struct kvm_pmu_event_filter}. */
    public static final Struct KVM_PMU_EVENT_FILTER = Struct.of(
            "kvm_pmu_event_filter",
            u32("action"),
            u32("nevents"),
            u32("fixed_counter_bitmap"),
            u32("flags"),
            u32("pad", 4),
            u64("events", 0));

    private X86VmStructs() {}
}
