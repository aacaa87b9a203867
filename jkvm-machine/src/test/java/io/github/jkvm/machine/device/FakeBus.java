package io.github.jkvm.machine.device;

import io.github.jkvm.Bus;
import io.github.jkvm.Doorbell;
import io.github.jkvm.EventLoop;
import io.github.jkvm.EventSource;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.Interrupt;
import io.github.jkvm.InterruptLine;
import io.github.jkvm.IoHandler;
import io.github.jkvm.MessageInterrupt;
import io.github.jkvm.PciBus;
import io.github.jkvm.PlatformSlot;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.IntConsumer;

/** A bus with ports and interrupt lines only, and an event loop that runs what it was given when the test says so. */
final class FakeBus implements Bus {
    private final TreeMap<Integer, IoHandler> ports = new TreeMap<>();
    private final Map<Integer, Line> lines = new HashMap<>();
    final Loop loop = new Loop();

    static final class Line implements InterruptLine {
        private final int gsi;
        boolean level;
        int edges;
        int calls;

        Line(int gsi) {
            this.gsi = gsi;
        }

        @Override
        public int gsi() {
            return gsi;
        }

        @Override
        public void raise() {
            calls++;
            edges += level ? 0 : 1;
            level = true;
        }

        @Override
        public void lower() {
            calls++;
            level = false;
        }
    }

    static final class Loop implements EventLoop {
        record Event(Duration delay, Runnable action) {}

        final List<Event> events = new ArrayList<>();

        Duration runNext() {
            Event event = events.removeFirst();
            event.action().run();
            return event.delay();
        }

        @Override
        public Registration onRing(Doorbell doorbell, Runnable action) {
            throw new UnsupportedOperationException();
        }

        @Override
        public Registration onReady(EventSource source, IntConsumer action) {
            throw new UnsupportedOperationException();
        }

        @Override
        public Registration schedule(Duration delay, Runnable action) {
            var event = new Event(delay, action);
            events.add(event);
            return () -> events.remove(event);
        }

        @Override
        public void execute(Runnable action) {
            schedule(Duration.ZERO, action);
        }

        @Override
        public boolean inLoop() {
            return true;
        }

        @Override
        public void close() {}
    }

    int in(int port) {
        return (int) in(port, 1);
    }

    long in(int port, int size) {
        var entry = ports.floorEntry(port);
        long mask = size == Long.BYTES ? -1 : (1L << (size * Byte.SIZE)) - 1;
        return entry.getValue().read(port - entry.getKey(), size) & mask;
    }

    void out(int port, int value) {
        out(port, 1, value);
    }

    void out(int port, int size, long value) {
        var entry = ports.floorEntry(port);
        entry.getValue().write(port - entry.getKey(), size, value);
    }

    Line line(int gsi) {
        return lines.computeIfAbsent(gsi, Line::new);
    }

    @Override
    public Claim claimPorts(int first, int count, IoHandler handler, String owner) {
        ports.put(first, handler);
        return () -> ports.remove(first);
    }

    @Override
    public InterruptLine interruptLine(int gsi) {
        return line(gsi);
    }

    @Override
    public EventLoop eventLoop() {
        return loop;
    }

    @Override
    public GuestMemory memory() {
        throw new UnsupportedOperationException();
    }

    @Override
    public Claim claimMmio(GuestAddress base, long size, IoHandler handler, String owner) {
        throw new UnsupportedOperationException();
    }

    @Override
    public Interrupt interrupt(int gsi) {
        throw new UnsupportedOperationException();
    }

    @Override
    public PlatformSlot platformSlot(String hardwareId, long size) {
        throw new UnsupportedOperationException();
    }

    @Override
    public MessageInterrupt messageInterrupt() {
        throw new UnsupportedOperationException();
    }

    @Override
    public PciBus pci() {
        throw new UnsupportedOperationException();
    }

    @Override
    public Doorbell doorbell(Doorbell.Match match) {
        throw new UnsupportedOperationException();
    }
}
