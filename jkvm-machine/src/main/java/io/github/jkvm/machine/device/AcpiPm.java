package io.github.jkvm.machine.device;

import io.github.jkvm.Bus;
import io.github.jkvm.Device;
import io.github.jkvm.DeviceState;
import io.github.jkvm.EventLoop;
import io.github.jkvm.InterruptLine;
import java.time.Duration;
import java.util.Objects;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * The fixed power-management registers of an ACPI machine: event block, control block and timer (ACPI 6.5, 4.8.3).
 *
 * <p>There is no system management mode, so the machine is in ACPI mode from the start: SCI_EN is always set and the FADT gives no SMI
 * command port. Of the sleep states there is S5, soft off.
 *
 * <p>Safe for use by many threads.
 */
public final class AcpiPm implements Device {
    /** First port of the event block: status, then enable, 16 bits each. */
    public static final int EVENT_PORT = 0x600;

    /** Length of the event block in bytes. */
    public static final int EVENT_LENGTH = 4;

    /** First port of the control block. */
    public static final int CONTROL_PORT = 0x604;

    /** Length of the control block in bytes. */
    public static final int CONTROL_LENGTH = 2;

    /** First port of the timer. */
    public static final int TIMER_PORT = 0x608;

    /** Length of the timer in bytes: it counts to 32 bits (FADT flag TMR_VAL_EXT). */
    public static final int TIMER_LENGTH = 4;

    /** Frequency of the timer in hertz (ACPI 6.5, 4.8.2.1). */
    public static final int TIMER_HZ = 3_579_545;

    /** The system control interrupt. */
    public static final int SCI = 9;

    /** What a guest writes as sleep type to switch off: the value of the {@code \_S5} object. */
    public static final int SLEEP_TYPE_S5 = 5;

    private static final int STATUS_TIMER = 1;
    private static final int STATUS_POWER_BUTTON = 1 << 8;
    private static final int STATUS_WAKE = 1 << 15;
    /** TMR, BM, GBL, PWRBTN, SLPBTN, RTC, WAK: the bits that a write of 1 clears (ACPI 6.5, table 4.11). */
    private static final int STATUS_ALL =
            STATUS_TIMER | 1 << 4 | 1 << 5 | STATUS_POWER_BUTTON | 1 << 9 | 1 << 10 | STATUS_WAKE;

    /** TMR, GBL, PWRBTN, SLPBTN, RTC (ACPI 6.5, table 4.12). */
    private static final int ENABLE_ALL = 1 | 1 << 5 | 1 << 8 | 1 << 9 | 1 << 10;

    private static final int CONTROL_SCI_EN = 1;
    private static final int CONTROL_BM_RLD = 1 << 1;
    private static final int CONTROL_SLEEP_TYPE = 7 << 10;
    private static final int CONTROL_SLEEP_ENABLE = 1 << 13;
    private static final int CONTROL_KEPT = CONTROL_BM_RLD | CONTROL_SLEEP_TYPE;

    private static final long NANOS_PER_SECOND = 1_000_000_000L;
    private static final long HALF_RANGE = 1L << 31;

    private final Consumer<? super GuestRequest> listener;
    private final LongSupplier nanoTime;
    private final Object lock = new Object();

    private @Nullable InterruptLine sci;
    private @Nullable EventLoop eventLoop;
    private boolean timerScheduled;
    private boolean asserted;
    private boolean closed;

    private int status;
    private int enable;
    private int control;
    /** The time at which the timer stood at 0, and how often its top bit had changed when that was last looked at. */
    private long timerZero;

    private long halvesSeen;

    /**
     * Creates the device.
     *
     * @param listener gets a {@link GuestRequest.PowerOff}, on the thread of the vCPU that asks
     */
    public AcpiPm(Consumer<? super GuestRequest> listener) {
        this(listener, System::nanoTime);
    }

    /** As the public constructor, with a clock that tests move. */
    AcpiPm(Consumer<? super GuestRequest> listener, LongSupplier nanoTime) {
        this.listener = Objects.requireNonNull(listener, "listener");
        this.nanoTime = nanoTime;
        this.timerZero = nanoTime.getAsLong();
    }

    @Override
    public String name() {
        return "acpi-pm";
    }

    @Override
    public void attach(Bus bus) {
        sci = bus.interruptLine(SCI);
        eventLoop = bus.eventLoop();
        bus.claimPorts(EVENT_PORT, TIMER_PORT + TIMER_LENGTH - EVENT_PORT, new Registers(), name());
    }

    /**
     * Presses the power button for a moment: the guest, if it listens, shuts down in good order. Does nothing once the device is closed.
     */
    public void pressPowerButton() {
        synchronized (lock) {
            status |= STATUS_POWER_BUTTON;
            updateLine();
        }
    }

    private final class Registers implements ByteRegisters {
        @Override
        public long read(long offset, int size) {
            if (offset == TIMER_PORT - EVENT_PORT && size == TIMER_LENGTH) {
                // In one piece: a timer put together from bytes read one after another could jump.
                synchronized (lock) {
                    return ticks() & 0xFFFF_FFFFL;
                }
            }
            return ByteRegisters.super.read(offset, size);
        }

        @Override
        public int readByte(int offset) {
            synchronized (lock) {
                noteTimer();
                long word = switch (offset >> 1) {
                    case 0 -> status;
                    case 1 -> enable;
                    case 2 -> control | CONTROL_SCI_EN;
                    case 4 -> ticks();
                    case 5 -> ticks() >>> Short.SIZE;
                    default -> 0;
                };
                return (int) (word >>> ((offset & 1) * Byte.SIZE)) & 0xFF;
            }
        }

        @Override
        public void writeByte(int offset, int value) {
            boolean off = false;
            synchronized (lock) {
                noteTimer();
                int shift = (offset & 1) * Byte.SIZE;
                int bits = value << shift;
                int others = ~(0xFF << shift);
                switch (offset >> 1) {
                    case 0 -> status &= ~(bits & STATUS_ALL);
                    case 1 -> enable = (enable & others) | (bits & ENABLE_ALL);
                    case 2 -> {
                        control = (control & others) | (bits & CONTROL_KEPT);
                        off = (bits & CONTROL_SLEEP_ENABLE) != 0
                                && (control & CONTROL_SLEEP_TYPE) == SLEEP_TYPE_S5 << 10;
                    }
                    default -> {
                        // The timer is only read.
                    }
                }
                updateLine();
                scheduleTimer();
            }
            if (off) {
                listener.accept(new GuestRequest.PowerOff(name()));
            }
        }
    }

    private long ticks() {
        long nanos = nanoTime.getAsLong() - timerZero;
        return nanos / NANOS_PER_SECOND * TIMER_HZ + nanos % NANOS_PER_SECOND * TIMER_HZ / NANOS_PER_SECOND;
    }

    /** TMR_STS is set whenever the timer's top bit changes (ACPI 6.5, 4.8.3.1.1). */
    private void noteTimer() {
        long halves = ticks() / HALF_RANGE;
        if (halves != halvesSeen) {
            halvesSeen = halves;
            status |= STATUS_TIMER;
        }
    }

    private void updateLine() {
        boolean level = (status & enable) != 0;
        InterruptLine line = sci;
        if (line == null || closed || level == asserted) {
            return;
        }
        asserted = level;
        if (level) {
            line.raise();
        } else {
            line.lower();
        }
    }

    /** Has the loop look at the timer when its top bit changes next, if the guest wants an interrupt for it. */
    private void scheduleTimer() {
        EventLoop loop = eventLoop;
        if ((enable & STATUS_TIMER) == 0 || (status & STATUS_TIMER) != 0 || closed || timerScheduled || loop == null) {
            return;
        }
        timerScheduled = true;
        long ticksLeft = HALF_RANGE - ticks() % HALF_RANGE;
        loop.schedule(Duration.ofNanos(ticksLeft * NANOS_PER_SECOND / TIMER_HZ + 1), () -> {
            synchronized (lock) {
                timerScheduled = false;
                noteTimer();
                updateLine();
                scheduleTimer();
            }
        });
    }

    @Override
    public void reset() {
        synchronized (lock) {
            status = 0;
            enable = 0;
            control = 0;
            timerZero = nanoTime.getAsLong();
            halvesSeen = 0;
            timerScheduled = false;
            updateLine();
        }
    }

    @Override
    public void save(DeviceState state) {
        synchronized (lock) {
            noteTimer();
            state.putNumber("status", status);
            state.putNumber("enable", enable);
            state.putNumber("control", control);
            state.putNumber("timerNanos", nanoTime.getAsLong() - timerZero);
        }
    }

    @Override
    public void restore(DeviceState state) {
        int newStatus = (int) state.number("status", 0, 0xFFFF) & STATUS_ALL;
        int newEnable = (int) state.number("enable", 0, 0xFFFF) & ENABLE_ALL;
        int newControl = (int) state.number("control", 0, 0xFFFF) & CONTROL_KEPT;
        // A hundred years is more than any guest runs, and far from overflow.
        long newNanos = state.number("timerNanos", 0, Duration.ofDays(36_525).toNanos());
        synchronized (lock) {
            status = newStatus;
            enable = newEnable;
            control = newControl;
            timerZero = nanoTime.getAsLong() - newNanos;
            halvesSeen = ticks() / HALF_RANGE;
            timerScheduled = false;
            updateLine();
            scheduleTimer();
        }
    }

    @Override
    public void close() {
        synchronized (lock) {
            closed = true;
        }
    }
}
