package io.github.jkvm.testkit;

import io.github.jkvm.ExitHandler;
import io.github.jkvm.IoHandler;
import io.github.jkvm.VCpu;
import io.github.jkvm.VmBus;
import io.github.jkvm.machine.device.DebugConsole;
import java.util.EnumMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** What a {@link MicroGuest}'s port and memory accesses reach: its own few ports, then the bus. Writes each down. */
final class GuestPorts implements ExitHandler {
    private static final int SERIAL = 0x3F8;
    private static final int SERIAL_LAST = SERIAL + 7;
    private static final int SERIAL_LINE_STATUS = SERIAL + 5;

    /** Transmitter empty, holding register empty (PC16550D data sheet, 8.6.3). */
    private static final int READY_TO_SEND = 0x60;

    private final ExitLog exits;
    private final VCpu vcpu;
    private final Map<Port, GuestText> texts = new EnumMap<>(Port.class);
    private @Nullable VmBus bus;
    private @Nullable GuestStop stop;
    private @Nullable Port awaitedPort;
    private byte[] awaited = {};

    GuestPorts(ExitLog exits, VCpu vcpu) {
        this.exits = exits;
        this.vcpu = vcpu;
    }

    /** A run begins. */
    void begin() {
        stop = null;
    }

    /** Returns why the guest was made to stop; null if it was not. */
    @Nullable
    GuestStop stop() {
        return stop;
    }

    void forwardTo(VmBus to) {
        bus = to;
    }

    void await(Port port, byte[] text) {
        awaitedPort = port;
        awaited = text;
    }

    void awaitNothing() {
        awaitedPort = null;
    }

    synchronized GuestText text(Port port) {
        return texts.computeIfAbsent(port, none -> new GuestText());
    }

    @Override
    public long portIn(int port, int size) {
        long value = read(port, size);
        exits.add(ExitKind.PORT_IN, port, size, value & mask(size));
        return value;
    }

    private long read(int port, int size) {
        if (size == 1) {
            if (port == DebugConsole.PORT) {
                return DebugConsole.PORT;
            }
            if (port == SERIAL_LINE_STATUS) {
                return READY_TO_SEND;
            }
            if (port >= SERIAL && port <= SERIAL_LAST) {
                return 0;
            }
        }
        return bus == null ? IoHandler.OPEN_BUS : bus.portIn(port, size);
    }

    @Override
    public void portOut(int port, int size, long value) {
        exits.add(ExitKind.PORT_OUT, port, size, value);
        if (port == MicroGuest.EXIT_PORT) {
            stop(new GuestStop.PoweredOff((int) value));
        } else if (port == MicroGuest.REPORT_PORT) {
            stop(new GuestStop.Reported((int) value));
        } else if (size == 1 && port == DebugConsole.PORT) {
            print(Port.DEBUG, (int) value);
        } else if (size == 1 && port == SERIAL) {
            print(Port.SERIAL, (int) value);
        } else if ((port < SERIAL || port > SERIAL_LAST) && bus != null) {
            bus.portOut(port, size, value);
        }
    }

    private void print(Port port, int value) {
        GuestText text = text(port);
        text.add(value);
        if (port == awaitedPort && text.endsWith(awaited)) {
            stop(new GuestStop.Printed());
        }
    }

    @Override
    public long mmioRead(long address, int size) {
        VmBus now = bus;
        long unclaimed = now == null ? 0 : now.unclaimedAccesses();
        long value = now == null ? IoHandler.OPEN_BUS : now.mmioRead(address, size);
        exits.add(ExitKind.MMIO_READ, address, size, value & mask(size));
        if (now == null || now.unclaimedAccesses() != unclaimed) {
            stop(new GuestStop.TouchedNothing(GuestExit.mmioRead(address, size, value & mask(size))));
        }
        return value;
    }

    @Override
    public void mmioWrite(long address, int size, long value) {
        VmBus now = bus;
        long unclaimed = now == null ? 0 : now.unclaimedAccesses();
        exits.add(ExitKind.MMIO_WRITE, address, size, value);
        if (now != null) {
            now.mmioWrite(address, size, value);
        }
        if (now == null || now.unclaimedAccesses() != unclaimed) {
            stop(new GuestStop.TouchedNothing(GuestExit.mmioWrite(address, size, value)));
        }
    }

    /** Lets the run end after this exit; the first reason counts. */
    private void stop(GuestStop why) {
        if (stop == null) {
            stop = why;
            vcpu.interrupt();
        }
    }

    private static long mask(int size) {
        return size >= Long.BYTES ? -1 : (1L << (size * Byte.SIZE)) - 1;
    }
}
