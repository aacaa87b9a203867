package io.github.jkvm.machine.device;

import io.github.jkvm.Bus;
import io.github.jkvm.Device;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;

/**
 * The port by which a guest's kernel tells that it has crashed (QEMU, docs/specs/pvpanic.rst). Linux finds it through ACPI as
 * {@code QEMU0001}.
 */
public final class PvPanic implements Device {
    /** The port. */
    public static final int PORT = 0x505;

    /** Event bit: the kernel crashed, and the host is to deal with it. */
    public static final int PANICKED = 1;

    /** Event bit: the kernel crashed and deals with it itself, by a crash kernel; the host only takes note. */
    public static final int CRASH_LOADED = 1 << 1;

    /** Event bit: the guest shut down in good order. */
    public static final int SHUTDOWN = 1 << 2;

    private static final int EVENTS = PANICKED | CRASH_LOADED | SHUTDOWN;
    private static final System.Logger LOG = System.getLogger(PvPanic.class.getName());

    private final Consumer<? super GuestRequest> listener;
    private final AtomicInteger crashesHandledByGuest = new AtomicInteger();

    /**
     * Creates the device.
     *
     * @param listener gets a {@link GuestRequest.Panic} or {@link GuestRequest.PowerOff}, on the thread of the vCPU that tells
     */
    public PvPanic(Consumer<? super GuestRequest> listener) {
        this.listener = Objects.requireNonNull(listener, "listener");
    }

    @Override
    public String name() {
        return "pvpanic";
    }

    @Override
    public void attach(Bus bus) {
        bus.claimPorts(PORT, 1, new Register(), name());
    }

    /**
     * Returns how many crashes the guest said it deals with itself.
     *
     * @return the count
     */
    public int crashesHandledByGuest() {
        return crashesHandledByGuest.get();
    }

    private final class Register implements ByteRegisters {
        @Override
        public int readByte(int offset) {
            // "Reads back a bit mask of the events that the host supports."
            return EVENTS;
        }

        @Override
        public void writeByte(int offset, int value) {
            if ((value & PANICKED) != 0) {
                listener.accept(new GuestRequest.Panic(name()));
            } else if ((value & SHUTDOWN) != 0) {
                listener.accept(new GuestRequest.PowerOff(name()));
            } else if ((value & CRASH_LOADED) != 0 && crashesHandledByGuest.incrementAndGet() == 1) {
                LOG.log(System.Logger.Level.INFO, "the guest's kernel crashed and starts its crash kernel");
            }
        }
    }

    @Override
    public void close() {}
}
