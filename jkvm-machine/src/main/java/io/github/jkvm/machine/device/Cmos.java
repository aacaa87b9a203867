package io.github.jkvm.machine.device;

import io.github.jkvm.Bus;
import io.github.jkvm.Device;
import io.github.jkvm.DeviceState;
import io.github.jkvm.EventLoop;
import io.github.jkvm.InterruptLine;
import java.time.Clock;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.time.temporal.ChronoField;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The battery-backed clock and memory of a PC: a Motorola MC146818 with 128 bytes, behind an index and a data port ("DS" below is its data
 * sheet).
 *
 * <p>It shows the time of a {@link Clock} in UTC, so it keeps going while the machine is paused or saved. A guest that sets the time moves its
 * own clock only. Periodic, alarm and update-ended interrupts arrive on IRQ 8. The century is at {@value #CENTURY}, which the FADT tells.
 *
 * <p>Safe for use by many threads.
 */
public final class Cmos implements Device {
    /** Port of the index register; the data register follows. */
    public static final int PORT = 0x70;

    /** The clock's interrupt. */
    public static final int GSI = 8;

    /** Index of the byte that holds the century. */
    public static final int CENTURY = 0x32;

    private static final int SIZE = 128;
    private static final int INDEX_MASK = SIZE - 1;

    private static final int SECONDS = 0;
    private static final int SECONDS_ALARM = 1;
    private static final int MINUTES = 2;
    private static final int MINUTES_ALARM = 3;
    private static final int HOURS = 4;
    private static final int HOURS_ALARM = 5;
    private static final int DAY_OF_WEEK = 6;
    private static final int DAY = 7;
    private static final int MONTH = 8;
    private static final int YEAR = 9;
    private static final int A = 0x0A;
    private static final int B = 0x0B;
    private static final int C = 0x0C;
    private static final int D = 0x0D;
    private static final int[] TIME_BYTES = {SECONDS, MINUTES, HOURS, DAY_OF_WEEK, DAY, MONTH, YEAR, CENTURY};

    private static final int A_UPDATE_IN_PROGRESS = 0x80;
    private static final int A_RATE = 0x0F;
    /** A time base of 32768 Hz and a rate of 1024 Hz. */
    private static final int A_INITIAL = 0x26;

    private static final int B_SET = 0x80;
    private static final int B_PERIODIC = 0x40;
    private static final int B_ALARM = 0x20;
    private static final int B_UPDATE = 0x10;
    private static final int B_BINARY = 0x04;
    private static final int B_24_HOURS = 0x02;
    private static final int B_INTERRUPTS = B_PERIODIC | B_ALARM | B_UPDATE;

    private static final int C_INTERRUPT = 0x80;
    private static final int D_VALID = 0x80;

    private static final int HOURS_PM = 0x80;
    /** An alarm byte of 0xc0 to 0xff matches every value (DS, "Time, Calendar, and Alarm Locations"). */
    private static final int ALARM_ANY = 0xC0;

    /** UIP is set this long before an update begins (DS, "Update Cycle"). */
    private static final long UPDATE_NOTICE_NANOS = 244_000;

    private static final long NANOS_PER_SECOND = 1_000_000_000L;
    private static final int BASE_HZ = 32_768;
    private static final long SECONDS_PER_DAY = 86_400;

    /** How far a guest may set its clock from the host's, in seconds: every time the bytes can hold is within. */
    private static final long MAX_OFFSET = 1_000_000_000_000L;

    private final Clock clock;
    private final Object lock = new Object();
    private final int[] bytes = new int[SIZE];

    private @Nullable InterruptLine line;
    private @Nullable EventLoop eventLoop;
    private boolean asserted;
    private boolean closed;
    /** When the event asked of the loop is due by the host's clock; null if none is. An event with another due time is an old one. */
    private @Nullable Instant eventDue;

    private int index;
    private int flags;
    /** How far the guest's clock is ahead of the host's, in seconds. */
    private long offsetSeconds;

    private Instant lastSeen;

    /**
     * Creates the device.
     *
     * @param clock tells the time; its zone does not matter
     */
    public Cmos(Clock clock) {
        this.clock = Objects.requireNonNull(clock, "clock");
        bytes[A] = A_INITIAL;
        bytes[B] = B_24_HOURS;
        lastSeen = clock.instant();
    }

    @Override
    public String name() {
        return "cmos";
    }

    @Override
    public void attach(Bus bus) {
        line = bus.interruptLine(GSI);
        eventLoop = bus.eventLoop();
        bus.claimPorts(PORT, 2, new Registers(), name());
    }

    private final class Registers implements ByteRegisters {
        @Override
        public int readByte(int offset) {
            synchronized (lock) {
                // The index is only written.
                return offset == 0 ? 0xFF : readIndexed();
            }
        }

        @Override
        public void writeByte(int offset, int value) {
            synchronized (lock) {
                if (offset == 0) {
                    // Bit 7 masks the NMI, of which there is none here.
                    index = value & INDEX_MASK;
                } else {
                    writeIndexed(value);
                }
            }
        }
    }

    private int readIndexed() {
        return switch (index) {
            case A -> bytes[A] | (updateInProgress() ? A_UPDATE_IN_PROGRESS : 0);
            case C -> readFlags();
            case D -> D_VALID;
            default -> {
                if (isTime(index) && !held()) {
                    showTime();
                }
                yield bytes[index];
            }
        };
    }

    private void writeIndexed(int value) {
        noteTime();
        switch (index) {
            case A -> bytes[A] = value & ~A_UPDATE_IN_PROGRESS;
            case B -> writeControl(value);
            case C, D -> {
                // Only read.
            }
            default -> {
                if (isTime(index) && !held()) {
                    showTime();
                    bytes[index] = value;
                    takeTime();
                } else {
                    bytes[index] = value;
                }
            }
        }
        updateLine();
        scheduleEvent();
    }

    private void writeControl(int value) {
        boolean wasHeld = held();
        // SET stops updates and takes back UIE (DS, "Register B").
        bytes[B] = (value & B_SET) != 0 ? value & ~B_UPDATE : value;
        if (wasHeld && !held()) {
            takeTime();
        } else if (!wasHeld && held()) {
            showTime();
        }
    }

    private boolean held() {
        return (bytes[B] & B_SET) != 0;
    }

    private boolean updateInProgress() {
        return !held() && nanosOfSecond(clock.instant()) >= NANOS_PER_SECOND - UPDATE_NOTICE_NANOS;
    }

    private int readFlags() {
        noteTime();
        int value = flags | ((flags & bytes[B] & B_INTERRUPTS) != 0 ? C_INTERRUPT : 0);
        flags = 0;
        updateLine();
        scheduleEvent();
        return value;
    }

    private static boolean isTime(int index) {
        for (int time : TIME_BYTES) {
            if (time == index) {
                return true;
            }
        }
        return false;
    }

    private Instant guestTime() {
        return clock.instant().plusSeconds(offsetSeconds);
    }

    /** Puts the present time into the bytes, in the format that register B asks for. */
    private void showTime() {
        var time = LocalDateTime.ofInstant(guestTime(), ZoneOffset.UTC);
        bytes[SECONDS] = encode(time.getSecond());
        bytes[MINUTES] = encode(time.getMinute());
        bytes[HOURS] = encodeHour(time.getHour());
        // Sunday is day 1.
        bytes[DAY_OF_WEEK] = encode(time.getDayOfWeek().getValue() % 7 + 1);
        bytes[DAY] = encode(time.getDayOfMonth());
        bytes[MONTH] = encode(time.getMonthValue());
        bytes[YEAR] = encode(Math.floorMod(time.getYear(), 100));
        // The century is a byte of the board's, in decimal whatever register B says.
        bytes[CENTURY] = decimal(Math.floorMod(time.getYear() / 100, 100));
    }

    /** Sets the guest's clock to the time in the bytes, if that is one. */
    private void takeTime() {
        try {
            int year = fromDecimal(bytes[CENTURY]) * 100 + decode(bytes[YEAR]);
            var time = LocalDateTime.of(
                    year,
                    decode(bytes[MONTH]),
                    decode(bytes[DAY]),
                    decodeHour(bytes[HOURS]),
                    decode(bytes[MINUTES]),
                    decode(bytes[SECONDS]));
            offsetSeconds = time.toEpochSecond(ZoneOffset.UTC) - clock.instant().getEpochSecond();
            lastSeen = guestTime();
        } catch (DateTimeException e) {
            // No such time, such as a date half written: the clock goes on as it was.
            showTime();
        }
    }

    private int encode(int value) {
        return (bytes[B] & B_BINARY) != 0 ? value : decimal(value);
    }

    private int decode(int value) {
        return (bytes[B] & B_BINARY) != 0 ? value : fromDecimal(value);
    }

    private int encodeHour(int hour) {
        if ((bytes[B] & B_24_HOURS) != 0) {
            return encode(hour);
        }
        int half = hour % 12 == 0 ? 12 : hour % 12;
        return encode(half) | (hour >= 12 ? HOURS_PM : 0);
    }

    private int decodeHour(int value) {
        if ((bytes[B] & B_24_HOURS) != 0) {
            return decode(value);
        }
        int half = decode(value & ~HOURS_PM) % 12;
        return (value & HOURS_PM) != 0 ? half + 12 : half;
    }

    private static int decimal(int value) {
        return ((value / 10) << 4) | (value % 10);
    }

    private static int fromDecimal(int value) {
        return (value >> 4) * 10 + (value & 0x0F);
    }

    /** Sets the flags of what has happened since this was last called. */
    private void noteTime() {
        Instant now = guestTime();
        Instant before = lastSeen;
        lastSeen = now;
        if (!now.isAfter(before)) {
            return;
        }
        int rate = rateShift();
        if (rate >= 0 && baseTicks(now) >> rate != baseTicks(before) >> rate) {
            flags |= B_PERIODIC;
        }
        long first = before.getEpochSecond() + 1;
        long last = now.getEpochSecond();
        if (held() || first > last) {
            return;
        }
        flags |= B_UPDATE;
        // An alarm comes once a day at least, or never.
        for (long second = Math.max(first, last - SECONDS_PER_DAY); second <= last; second++) {
            if (alarmMatches(second)) {
                flags |= B_ALARM;
                return;
            }
        }
    }

    private boolean alarmMatches(long second) {
        int ofDay = (int) Math.floorMod(second, SECONDS_PER_DAY);
        return matches(SECONDS_ALARM, encode(ofDay % 60))
                && matches(MINUTES_ALARM, encode(ofDay / 60 % 60))
                && matches(HOURS_ALARM, encodeHour(ofDay / 3600));
    }

    private boolean matches(int alarm, int value) {
        return (bytes[alarm] & ALARM_ANY) == ALARM_ANY || bytes[alarm] == value;
    }

    /** The periodic interrupt comes every 2^shift ticks of 32768 Hz; -1 for never (DS, "Periodic Interrupt Selection"). */
    private int rateShift() {
        int rate = bytes[A] & A_RATE;
        if (rate == 0) {
            return -1;
        }
        return rate <= 2 ? rate + 6 : rate - 1;
    }

    private static long baseTicks(Instant time) {
        return time.getEpochSecond() * BASE_HZ + nanosOfSecond(time) * BASE_HZ / NANOS_PER_SECOND;
    }

    private static long nanosOfSecond(Instant time) {
        return time.get(ChronoField.NANO_OF_SECOND);
    }

    private void updateLine() {
        boolean level = (flags & bytes[B] & B_INTERRUPTS) != 0;
        InterruptLine now = line;
        if (now == null || closed || level == asserted) {
            return;
        }
        asserted = level;
        if (level) {
            now.raise();
        } else {
            now.lower();
        }
    }

    /** Has the loop look at the clock when the next interrupt that the guest wants may be due. */
    private void scheduleEvent() {
        int awaited = bytes[B] & B_INTERRUPTS & ~flags;
        EventLoop loop = eventLoop;
        if (loop == null || closed || awaited == 0 || asserted) {
            return;
        }
        Instant now = guestTime();
        long delay = Long.MAX_VALUE;
        if ((awaited & (B_ALARM | B_UPDATE)) != 0 && !held()) {
            delay = NANOS_PER_SECOND - nanosOfSecond(now);
        }
        int rate = rateShift();
        if ((awaited & B_PERIODIC) != 0 && rate >= 0) {
            long period = 1L << rate;
            long ticks = period - baseTicks(now) % period;
            delay = Math.min(delay, ticks * NANOS_PER_SECOND / BASE_HZ);
        }
        if (delay == Long.MAX_VALUE) {
            return;
        }
        Instant due = clock.instant().plusNanos(delay);
        Instant pending = eventDue;
        if (pending != null && !pending.isAfter(due) && pending.isAfter(due.minusNanos(delay))) {
            // One that comes no later looks again: guests that write in a loop must not pile up events.
            return;
        }
        eventDue = due;
        loop.schedule(Duration.ofNanos(delay), () -> {
            synchronized (lock) {
                if (due.equals(eventDue) && !closed) {
                    eventDue = null;
                    noteTime();
                    updateLine();
                    scheduleEvent();
                }
            }
        });
    }

    @Override
    public void reset() {
        synchronized (lock) {
            // The battery keeps time and memory; interrupts are off (DS, "RESET").
            bytes[B] &= ~B_INTERRUPTS;
            flags = 0;
            index = 0;
            updateLine();
            scheduleEvent();
        }
    }

    @Override
    public void save(DeviceState state) {
        synchronized (lock) {
            noteTime();
            byte[] memory = new byte[SIZE];
            for (int i = 0; i < SIZE; i++) {
                memory[i] = (byte) bytes[i];
            }
            state.putBytes("memory", memory);
            state.putNumber("index", index);
            state.putNumber("flags", flags);
            state.putNumber("offsetSeconds", offsetSeconds);
        }
    }

    @Override
    public void restore(DeviceState state) {
        byte[] memory = state.bytes("memory", SIZE);
        if (memory.length != SIZE) {
            throw new IllegalArgumentException(
                    "state entry 'memory' has " + memory.length + " bytes; it must have " + SIZE);
        }
        int newIndex = (int) state.number("index", 0, INDEX_MASK);
        int newFlags = (int) state.number("flags", 0, 0xFF) & B_INTERRUPTS;
        long newOffset = state.number("offsetSeconds", -MAX_OFFSET, MAX_OFFSET);
        synchronized (lock) {
            for (int i = 0; i < SIZE; i++) {
                bytes[i] = memory[i] & 0xFF;
            }
            bytes[A] &= ~A_UPDATE_IN_PROGRESS;
            index = newIndex;
            flags = newFlags;
            offsetSeconds = newOffset;
            lastSeen = guestTime();
            updateLine();
            scheduleEvent();
        }
    }

    @Override
    public void close() {
        synchronized (lock) {
            closed = true;
        }
    }
}
