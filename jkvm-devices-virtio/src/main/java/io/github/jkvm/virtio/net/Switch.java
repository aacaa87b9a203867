package io.github.jkvm.virtio.net;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.LongSupplier;

/**
 * An Ethernet switch between virtual machines of one program. It learns where stations are from the frames they send, and sends what is
 * for a station it does not know to all.
 *
 * <p>{@snippet lang = java :
 * try (var network = Switch.builder().build()) {
 *     var web = NetDevice.builder("net0", network.newPort()).build();
 *     var db = NetDevice.builder("net0", network.newPort()).build();
 *     // each is for a machine of its own
 * }
 * }
 *
 * <p>Machines run on loops of their own. A frame is copied once into the bounded queue of each port it is for, and lost if that is full, as
 * switches do. It keeps what is left to do on it; long TCP frames are cut for machines that do not take them. Safe for use by many threads.
 */
public final class Switch implements AutoCloseable {
    /** Frames between neighbours, which switches keep to themselves: 01-80-C2-00-00-00 to -0F (IEEE 802.1D, 7.12.6). */
    private static final long NEIGHBOURS = 0x0180_C200_0000L;

    private static final long NEIGHBOURS_MASK = 0xFFFF_FFFF_FFF0L;

    private static final int MAX_PORTS = 1024;

    /** How often a station that sends is learned anew, at most: the age of an entry need not be exact. */
    private static final int REFRESHES = 8;

    private final int queueBytes;
    private final MacTable table;
    private final long refreshNanos;
    private final LongSupplier clock;

    /** Replaced as a whole. */
    private volatile List<SwitchPort> ports = List.of();

    private int nextPort;
    private volatile boolean closed;

    private Switch(Builder builder) {
        queueBytes = builder.queueBytes;
        clock = builder.clock;
        refreshNanos = builder.age.toNanos() / REFRESHES;
        table = new MacTable(builder.addresses, Math.max(1, builder.addresses / 4), builder.age.toNanos());
    }

    /**
     * Begins a switch.
     *
     * @return a builder with the usual settings
     */
    public static Builder builder() {
        return new Builder();
    }

    /**
     * Makes a port to plug a device into.
     *
     * @return a new port; unplugged when it is closed, which its device does
     * @throws IllegalStateException if the switch is closed or has 1024 ports
     */
    public synchronized SwitchPort newPort() {
        if (closed) {
            throw new IllegalStateException("the switch is closed");
        }
        if (ports.size() == MAX_PORTS) {
            throw new IllegalStateException("the switch has " + MAX_PORTS + " ports; close one or use another switch");
        }
        var port = new SwitchPort(this, nextPort++, queueBytes);
        List<SwitchPort> next = new ArrayList<>(ports);
        next.add(port);
        ports = List.copyOf(next);
        return port;
    }

    /**
     * Returns the ports that are plugged in.
     *
     * @return an immutable list, in the order in which they were made
     */
    public List<SwitchPort> ports() {
        return ports;
    }

    NetBackend.Sent forward(SwitchPort from, Frame frame) {
        long target = frame.number(0, MacAddress.BYTES);
        long source = frame.number(MacAddress.BYTES, MacAddress.BYTES);
        long now = clock.getAsLong();
        if (!MacAddress.isGroup(source) && from.isNews(source, now, refreshNanos)) {
            table.learn(source, from, now);
        }
        if ((target & NEIGHBOURS_MASK) == NEIGHBOURS) {
            return NetBackend.Sent.DROPPED;
        }
        SwitchPort known = MacAddress.isGroup(target) ? null : table.find(target, now);
        if (known != null) {
            boolean passed = !known.equals(from) && from.passTo(known, frame);
            return passed ? NetBackend.Sent.TAKEN : NetBackend.Sent.DROPPED;
        }
        boolean passed = false;
        List<SwitchPort> all = ports;
        for (int i = 0; i < all.size(); i++) {
            SwitchPort each = all.get(i);
            passed |= !each.equals(from) && from.passTo(each, frame);
        }
        return passed ? NetBackend.Sent.TAKEN : NetBackend.Sent.DROPPED;
    }

    void forget(SwitchPort port) {
        table.forget(port);
    }

    synchronized void remove(SwitchPort port) {
        List<SwitchPort> next = new ArrayList<>(ports);
        next.remove(port);
        ports = List.copyOf(next);
    }

    boolean isClosed() {
        return closed;
    }

    /** Unplugs all. The devices live on, with nothing to talk to. Closing twice does nothing. */
    @Override
    public synchronized void close() {
        closed = true;
        ports = List.of();
    }

    /** Says what a switch is like. */
    public static final class Builder {
        private int queueBytes = 4 << 20;
        private int addresses = 1024;
        private Duration age = Duration.ofMinutes(5);
        private LongSupplier clock = System::nanoTime;

        private Builder() {}

        /**
         * Sets how much may wait in each port; 4 MiB if left out.
         *
         * @param bytes a power of two, from 256 KiB to 64 MiB
         * @return this
         * @throws IllegalArgumentException if it is none of these
         */
        public Builder queueBytes(int bytes) {
            if (bytes < FrameRing.MIN_CAPACITY || bytes > 64 << 20 || Integer.bitCount(bytes) != 1) {
                throw new IllegalArgumentException("a queue of " + bytes + " bytes: it must be a power of two from "
                        + FrameRing.MIN_CAPACITY + " to " + (64 << 20));
            }
            queueBytes = bytes;
            return this;
        }

        /**
         * Sets how many stations are remembered, of which one port may have a quarter; 1024 if left out.
         *
         * @param count a power of two, from 16 to 65536
         * @return this
         * @throws IllegalArgumentException if it is none of these
         */
        public Builder addresses(int count) {
            if (count < 16 || count > 65_536 || Integer.bitCount(count) != 1) {
                throw new IllegalArgumentException(count + " addresses: it must be a power of two from 16 to 65536");
            }
            addresses = count;
            return this;
        }

        /**
         * Sets how long a station is remembered that sends nothing; five minutes if left out.
         *
         * @param time more than zero
         * @return this
         * @throws IllegalArgumentException if it is not positive
         */
        public Builder age(Duration time) {
            if (!time.isPositive()) {
                throw new IllegalArgumentException("age " + time + " must be more than zero");
            }
            age = time;
            return this;
        }

        /**
         * Takes the time from elsewhere than {@link System#nanoTime}.
         *
         * @param nanoTime the time in nanoseconds from any origin; never goes back; called on many threads
         * @return this
         */
        public Builder clock(LongSupplier nanoTime) {
            clock = Objects.requireNonNull(nanoTime, "nanoTime");
            return this;
        }

        /**
         * Makes the switch.
         *
         * @return a new one, without ports
         */
        public Switch build() {
            return new Switch(this);
        }
    }
}
