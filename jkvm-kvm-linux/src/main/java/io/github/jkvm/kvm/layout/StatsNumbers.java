package io.github.jkvm.kvm.layout;

/** Flags of the binary statistics (Linux, include/uapi/linux/kvm.h). */
public final class StatsNumbers {
    /** Bits of a descriptor's flags: type. */
    public static final int KVM_STATS_TYPE_MASK = 0xF << 0;

    /** Type of a statistic. */
    public static final int KVM_STATS_TYPE_CUMULATIVE = 0x0 << 0;

    /** Type of a statistic. */
    public static final int KVM_STATS_TYPE_INSTANT = 0x1 << 0;

    /** Type of a statistic. */
    public static final int KVM_STATS_TYPE_PEAK = 0x2 << 0;

    /** Type of a statistic. */
    public static final int KVM_STATS_TYPE_LINEAR_HIST = 0x3 << 0;

    /** Type of a statistic. */
    public static final int KVM_STATS_TYPE_LOG_HIST = 0x4 << 0;

    /** Bits of a descriptor's flags: unit. */
    public static final int KVM_STATS_UNIT_MASK = 0xF << 4;

    /** Unit of a statistic. */
    public static final int KVM_STATS_UNIT_NONE = 0x0 << 4;

    /** Unit of a statistic. */
    public static final int KVM_STATS_UNIT_BYTES = 0x1 << 4;

    /** Unit of a statistic. */
    public static final int KVM_STATS_UNIT_SECONDS = 0x2 << 4;

    /** Unit of a statistic. */
    public static final int KVM_STATS_UNIT_CYCLES = 0x3 << 4;

    /** Unit of a statistic. */
    public static final int KVM_STATS_UNIT_BOOLEAN = 0x4 << 4;

    /** Bits of a descriptor's flags: base. */
    public static final int KVM_STATS_BASE_MASK = 0xF << 8;

    /** Base of a statistic. */
    public static final int KVM_STATS_BASE_POW10 = 0x0 << 8;

    /** Base of a statistic. */
    public static final int KVM_STATS_BASE_POW2 = 0x1 << 8;

    private StatsNumbers() {}
}
