package io.github.jkvm.kvm.layout;

import static io.github.jkvm.kvm.layout.X86VmStructs.KVM_CLOCK_DATA;
import static io.github.jkvm.kvm.layout.X86VmStructs.KVM_IOAPIC_STATE;
import static io.github.jkvm.kvm.layout.X86VmStructs.KVM_MSR_FILTER;
import static io.github.jkvm.kvm.layout.X86VmStructs.KVM_MSR_FILTER_RANGE;
import static io.github.jkvm.kvm.layout.X86VmStructs.KVM_PIT_CHANNEL_STATE;
import static io.github.jkvm.kvm.layout.X86VmStructs.KVM_PIT_STATE2;

import io.github.jkvm.x86.ClockState;
import io.github.jkvm.x86.IrqChipState.Ioapic;
import io.github.jkvm.x86.IrqChipState.Pic;
import io.github.jkvm.x86.MsrFilter;
import io.github.jkvm.x86.PitState;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

/** Interrupt controllers, timer, clock and MSR filter to and from the records of the API. */
public final class VmStateCodec {
    /** The fields of {@code struct kvm_pic_state}, all bytes one after another, in the order of {@link Pic}. */
    private static final List<String> PIC_FIELDS = List.of(
            "last_irr",
            "irr",
            "imr",
            "isr",
            "priority_add",
            "irq_base",
            "read_reg_select",
            "poll",
            "special_mask",
            "init_state",
            "auto_eoi",
            "rotate_on_auto_eoi",
            "special_fully_nested_mode",
            "init4",
            "elcr",
            "elcr_mask");

    private static final long BASE_ADDRESS = KVM_IOAPIC_STATE.offset("base_address");
    private static final long IOREGSEL = KVM_IOAPIC_STATE.offset("ioregsel");
    private static final long IOAPIC_ID = KVM_IOAPIC_STATE.offset("id");
    private static final long IOAPIC_IRR = KVM_IOAPIC_STATE.offset("irr");
    private static final long REDIRTBL = KVM_IOAPIC_STATE.offset("redirtbl");

    private static final long CHANNELS = KVM_PIT_STATE2.offset("channels");
    private static final int CHANNEL_COUNT = 3;
    private static final long PIT_FLAGS = KVM_PIT_STATE2.offset("flags");
    private static final long COUNT = KVM_PIT_CHANNEL_STATE.offset("count");
    private static final long LATCHED_COUNT = KVM_PIT_CHANNEL_STATE.offset("latched_count");
    private static final long COUNT_LATCHED = KVM_PIT_CHANNEL_STATE.offset("count_latched");
    private static final long STATUS_LATCHED = KVM_PIT_CHANNEL_STATE.offset("status_latched");
    private static final long STATUS = KVM_PIT_CHANNEL_STATE.offset("status");
    private static final long READ_STATE = KVM_PIT_CHANNEL_STATE.offset("read_state");
    private static final long WRITE_STATE = KVM_PIT_CHANNEL_STATE.offset("write_state");
    private static final long WRITE_LATCH = KVM_PIT_CHANNEL_STATE.offset("write_latch");
    private static final long RW_MODE = KVM_PIT_CHANNEL_STATE.offset("rw_mode");
    private static final long MODE = KVM_PIT_CHANNEL_STATE.offset("mode");
    private static final long BCD = KVM_PIT_CHANNEL_STATE.offset("bcd");
    private static final long GATE = KVM_PIT_CHANNEL_STATE.offset("gate");
    private static final long COUNT_LOAD_TIME = KVM_PIT_CHANNEL_STATE.offset("count_load_time");

    private static final long CLOCK = KVM_CLOCK_DATA.offset("clock");
    private static final long CLOCK_FLAGS = KVM_CLOCK_DATA.offset("flags");
    private static final long REALTIME = KVM_CLOCK_DATA.offset("realtime");
    private static final long HOST_TSC = KVM_CLOCK_DATA.offset("host_tsc");

    private static final long FILTER_FLAGS = KVM_MSR_FILTER.offset("flags");
    private static final long RANGES = KVM_MSR_FILTER.offset("ranges");
    private static final long RANGE_FLAGS = KVM_MSR_FILTER_RANGE.offset("flags");
    private static final long RANGE_NMSRS = KVM_MSR_FILTER_RANGE.offset("nmsrs");
    private static final long RANGE_BASE = KVM_MSR_FILTER_RANGE.offset("base");
    private static final long RANGE_BITMAP = KVM_MSR_FILTER_RANGE.offset("bitmap");

    private VmStateCodec() {}

    /**
     * Reads an 8259.
     *
     * @param struct a {@code kvm_pic_state}
     * @return its state
     */
    public static Pic pic(MemorySegment struct) {
        return new Pic(
                Fields.u8(struct, 0),
                Fields.u8(struct, 1),
                Fields.u8(struct, 2),
                Fields.u8(struct, 3),
                Fields.u8(struct, 4),
                Fields.u8(struct, 5),
                Fields.u8(struct, 6),
                Fields.u8(struct, 7),
                Fields.u8(struct, 8),
                Fields.u8(struct, 9),
                Fields.u8(struct, 10),
                Fields.u8(struct, 11),
                Fields.u8(struct, 12),
                Fields.u8(struct, 13),
                Fields.u8(struct, 14),
                Fields.u8(struct, 15));
    }

    /**
     * Writes an 8259.
     *
     * @param struct a {@code kvm_pic_state}
     * @param pic its state
     * @throws IllegalArgumentException if a part is not a byte
     */
    public static void write(MemorySegment struct, Pic pic) {
        int[] values = {
            pic.lastIrr(),
            pic.irr(),
            pic.imr(),
            pic.isr(),
            pic.priorityAdd(),
            pic.irqBase(),
            pic.readRegSelect(),
            pic.poll(),
            pic.specialMask(),
            pic.initState(),
            pic.autoEoi(),
            pic.rotateOnAutoEoi(),
            pic.specialFullyNestedMode(),
            pic.init4(),
            pic.elcr(),
            pic.elcrMask()
        };
        for (int i = 0; i < values.length; i++) {
            Fields.u8(struct, i, "8259 " + PIC_FIELDS.get(i), values[i]);
        }
    }

    /**
     * Reads an IOAPIC.
     *
     * @param struct a {@code kvm_ioapic_state}
     * @return its state
     */
    public static Ioapic ioapic(MemorySegment struct) {
        return new Ioapic(
                Fields.u64(struct, BASE_ADDRESS),
                Fields.u32(struct, IOREGSEL),
                Fields.u32(struct, IOAPIC_ID),
                Fields.u32(struct, IOAPIC_IRR),
                Fields.u64s(struct, REDIRTBL, X86VmStructs.KVM_IOAPIC_NUM_PINS));
    }

    /**
     * Writes an IOAPIC.
     *
     * @param struct a {@code kvm_ioapic_state}
     * @param ioapic its state
     */
    public static void write(MemorySegment struct, Ioapic ioapic) {
        Fields.u64(struct, BASE_ADDRESS, ioapic.baseAddress());
        Fields.u32(struct, IOREGSEL, ioapic.ioregsel());
        Fields.u32(struct, IOAPIC_ID, ioapic.id());
        Fields.u32(struct, IOAPIC_IRR, ioapic.irr());
        Fields.u64s(struct, REDIRTBL, ioapic.redirectionTable());
    }

    /**
     * Reads a timer.
     *
     * @param struct a {@code kvm_pit_state2}
     * @return its state
     */
    public static PitState pit(MemorySegment struct) {
        List<PitState.Channel> channels = new ArrayList<>(CHANNEL_COUNT);
        for (int i = 0; i < CHANNEL_COUNT; i++) {
            MemorySegment channel = channel(struct, i);
            channels.add(new PitState.Channel(
                    Fields.u32(channel, COUNT),
                    Fields.u16(channel, LATCHED_COUNT),
                    Fields.u8(channel, COUNT_LATCHED),
                    Fields.u8(channel, STATUS_LATCHED),
                    Fields.u8(channel, STATUS),
                    Fields.u8(channel, READ_STATE),
                    Fields.u8(channel, WRITE_STATE),
                    Fields.u8(channel, WRITE_LATCH),
                    Fields.u8(channel, RW_MODE),
                    Fields.u8(channel, MODE),
                    Fields.u8(channel, BCD),
                    Fields.u8(channel, GATE),
                    Fields.u64(channel, COUNT_LOAD_TIME)));
        }
        return new PitState(channels, Fields.u32(struct, PIT_FLAGS));
    }

    /**
     * Writes a timer.
     *
     * @param struct a {@code kvm_pit_state2}
     * @param pit its state
     * @throws IllegalArgumentException if a part does not fit its field
     */
    public static void write(MemorySegment struct, PitState pit) {
        for (int i = 0; i < CHANNEL_COUNT; i++) {
            MemorySegment part = channel(struct, i);
            PitState.Channel channel = pit.channels().get(i);
            Fields.u32(part, COUNT, channel.count());
            Fields.u16(part, LATCHED_COUNT, "timer latchedCount", channel.latchedCount());
            Fields.u8(part, COUNT_LATCHED, "timer countLatched", channel.countLatched());
            Fields.u8(part, STATUS_LATCHED, "timer statusLatched", channel.statusLatched());
            Fields.u8(part, STATUS, "timer status", channel.status());
            Fields.u8(part, READ_STATE, "timer readState", channel.readState());
            Fields.u8(part, WRITE_STATE, "timer writeState", channel.writeState());
            Fields.u8(part, WRITE_LATCH, "timer writeLatch", channel.writeLatch());
            Fields.u8(part, RW_MODE, "timer rwMode", channel.rwMode());
            Fields.u8(part, MODE, "timer mode", channel.mode());
            Fields.u8(part, BCD, "timer bcd", channel.bcd());
            Fields.u8(part, GATE, "timer gate", channel.gate());
            Fields.u64(part, COUNT_LOAD_TIME, channel.countLoadTime());
        }
        Fields.u32(struct, PIT_FLAGS, pit.flags());
    }

    private static MemorySegment channel(MemorySegment pit, int index) {
        return pit.asSlice(CHANNELS + index * KVM_PIT_CHANNEL_STATE.size(), KVM_PIT_CHANNEL_STATE.size());
    }

    /**
     * Reads a clock.
     *
     * @param struct a {@code kvm_clock_data}
     * @return the clock
     */
    public static ClockState clock(MemorySegment struct) {
        return new ClockState(
                Fields.u64(struct, CLOCK),
                Fields.u32(struct, CLOCK_FLAGS),
                Fields.u64(struct, REALTIME),
                Fields.u64(struct, HOST_TSC));
    }

    /**
     * Writes a clock.
     *
     * @param struct a {@code kvm_clock_data}
     * @param clock the clock
     */
    public static void write(MemorySegment struct, ClockState clock) {
        Fields.u64(struct, CLOCK, clock.clock());
        Fields.u32(struct, CLOCK_FLAGS, clock.flags());
        Fields.u64(struct, REALTIME, clock.realtime());
        Fields.u64(struct, HOST_TSC, clock.hostTsc());
    }

    /**
     * Writes an MSR filter.
     *
     * @param struct a {@code kvm_msr_filter}, all zero
     * @param filter the filter
     * @param allocator where the bitmaps go, which the structure points to
     */
    public static void write(MemorySegment struct, MsrFilter filter, SegmentAllocator allocator) {
        Fields.u32(
                struct,
                FILTER_FLAGS,
                switch (filter.unlisted()) {
                    case ALLOW -> X86Numbers.KVM_MSR_FILTER_DEFAULT_ALLOW;
                    case DENY -> X86Numbers.KVM_MSR_FILTER_DEFAULT_DENY;
                });
        for (int i = 0; i < filter.ranges().size(); i++) {
            MsrFilter.Range range = filter.ranges().get(i);
            long at = RANGES + i * KVM_MSR_FILTER_RANGE.size();
            int flags = 0;
            for (MsrFilter.Access access : range.accesses()) {
                flags |= switch (access) {
                    case READ -> X86Numbers.KVM_MSR_FILTER_READ;
                    case WRITE -> X86Numbers.KVM_MSR_FILTER_WRITE;
                };
            }
            Fields.u32(struct, at + RANGE_FLAGS, flags);
            Fields.u32(struct, at + RANGE_NMSRS, range.count());
            Fields.u32(struct, at + RANGE_BASE, range.base());
            // The kernel reads whole longs.
            MemorySegment bitmap = allocator
                    .allocate(ValueLayout.JAVA_LONG, Math.ceilDiv(range.count(), Long.SIZE))
                    .fill((byte) 0);
            byte[] allowed = range.allowed().toByteArray();
            MemorySegment.copy(allowed, 0, bitmap, ValueLayout.JAVA_BYTE, 0, allowed.length);
            Fields.u64(struct, at + RANGE_BITMAP, bitmap.address());
        }
    }
}
