package io.github.jkvm.virtio.net;

import io.github.jkvm.Bus;
import io.github.jkvm.DeviceState;
import io.github.jkvm.EventLoop;
import io.github.jkvm.virtio.ConfigSpace;
import io.github.jkvm.virtio.DeviceQueue;
import io.github.jkvm.virtio.RateLimiter;
import io.github.jkvm.virtio.VirtioDevice;
import java.time.Duration;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.Objects;
import java.util.Set;

/**
 * A network interface of a guest: virtio 1.2, 5.1.
 *
 * <p>{@snippet lang = java :
 * var net = NetDevice.builder("net0", TapBackend.open("tap0"))
 *         .mac(MacAddress.of("52:54:00:12:34:56"))
 *         .build();
 * Machine.builder(hypervisor).device(new VirtioMmio(net));
 * }
 *
 * <p>The device offers what its backend can do. It closes the backend when it is closed itself.
 */
public final class NetDevice extends VirtioDevice {
    /** {@code VIRTIO_ID_NET}: what a network device is known by (virtio 1.2, 5). */
    private static final int DEVICE_ID = 1;

    // The configuration space (virtio 1.2, 5.1.4).
    private static final int STATUS_OFFSET = 6;
    private static final int PAIRS_OFFSET = 8;
    private static final int MTU_OFFSET = 10;
    private static final int CONFIG_SIZE = 12;

    private static final int LINK_UP = 1;
    private static final int ANNOUNCE = 2;

    private static final int ETHERNET_HEADER = 14;
    private static final int VLAN_TAG = 4;
    private static final int USUAL_MTU = 1500;

    private final NetBackend backend;
    private final MacAddress ownMac;
    private final int mtu;
    private final int maxPairs;
    private final RateLimiter receiveLimit;
    private final RateLimiter transmitLimit;
    private final int queueSize;
    private final NetCounters counters = new NetCounters(this::counter);
    private final ReceiveFilter filter = new ReceiveFilter();
    private final ControlQueue control = new ControlQueue(this, counters);
    private final BackendEvents events = new BackendEvents();
    private ReceiveQueue[] receiveQueues = {};
    private TransmitQueue[] transmitQueues = {};

    private volatile LinkState link = LinkState.UP;
    private volatile boolean attached;

    /** What the guest has agreed to have left to it, and has not switched off. */
    private Set<Offload> guestAccepts = Set.of();

    private long mac;
    private int pairs = 1;
    private boolean announcing;
    private boolean started;

    private NetDevice(Builder builder) {
        super(builder.name, DEVICE_ID, new ConfigSpace(CONFIG_SIZE), queueSizes(builder));
        backend = builder.backend;
        ownMac = builder.mac;
        mtu = builder.mtu;
        maxPairs = builder.queuePairs;
        queueSize = builder.queueSize;
        receiveLimit = builder.receiveLimit;
        transmitLimit = builder.transmitLimit;
        mac = ownMac.value();
        filter.reset(false);
        config().setBytes(0, ownMac.toBytes());
        config().setShort(PAIRS_OFFSET, maxPairs);
        config().setShort(MTU_OFFSET, mtu);
        config().setShort(STATUS_OFFSET, statusBits());
    }

    /** In pairs of a receive and a transmit queue, and the control queue last (virtio 1.2, 5.1.2). */
    private static int[] queueSizes(Builder builder) {
        int[] sizes = new int[2 * builder.queuePairs + 1];
        Arrays.fill(sizes, builder.queueSize);
        sizes[sizes.length - 1] = Builder.CONTROL_QUEUE_SIZE;
        return sizes;
    }

    /**
     * Begins a network device.
     *
     * @param name a name for messages and saved state, unique in its machine, such as {@code net0}
     * @param backend what it is plugged into; closed with the device
     * @return a builder
     */
    public static Builder builder(String name, NetBackend backend) {
        return new Builder(name, backend);
    }

    /**
     * Plugs the cable in or pulls it out. The guest is told. May be called on any thread.
     *
     * @param state how it is from now on; the guest has a link if its backend has one as well
     * @throws IllegalStateException if the machine is closed
     */
    public void setLink(LinkState state) {
        link = Objects.requireNonNull(state, "state");
        if (attached) {
            loop().execute(this::showStatus);
        }
    }

    /**
     * Asks the guest to tell the network where it is now, as it must when it was moved to another place of the network (virtio 1.2, 5.1.6.5.4). May be
     * called on any thread. Done by itself when the device is restored.
     *
     * @throws IllegalStateException if the device is not attached, or the machine is closed
     */
    public void announce() {
        loop().execute(() -> {
            if (isActive() && hasFeature(NetFeature.GUEST_ANNOUNCE)) {
                announcing = true;
                showStatus();
            }
        });
    }

    @Override
    protected long features() {
        long features = NetFeature.mask(
                NetFeature.MAC,
                NetFeature.STATUS,
                NetFeature.MRG_RXBUF,
                NetFeature.CTRL_VQ,
                NetFeature.CTRL_RX,
                NetFeature.CTRL_RX_EXTRA,
                NetFeature.CTRL_VLAN,
                NetFeature.CTRL_MAC_ADDR,
                NetFeature.GUEST_ANNOUNCE);
        for (Offload offload : backend.offloads()) {
            features |=
                    NetFeature.mask(offload.sendFeature(), offload.receiveFeature(), NetFeature.CTRL_GUEST_OFFLOADS);
        }
        if (mtu != 0) {
            features |= NetFeature.mask(NetFeature.MTU);
        }
        if (maxPairs > 1) {
            features |= NetFeature.mask(NetFeature.MQ);
        }
        return features;
    }

    @Override
    protected boolean accepts(long chosen) {
        return NetFeature.consistent(chosen);
    }

    @Override
    protected void attached(Bus bus) {
        receiveQueues = new ReceiveQueue[maxPairs];
        transmitQueues = new TransmitQueue[maxPairs];
        for (int i = 0; i < maxPairs; i++) {
            receiveQueues[i] = new ReceiveQueue(this, queue(2 * i), queueSize, i, receiveLimit, counters);
            transmitQueues[i] = new TransmitQueue(this, queue(2 * i + 1), i, transmitLimit, counters);
        }
        attached = true;
    }

    @Override
    protected void activate() {
        filter.reset(hasFeature(NetFeature.CTRL_VLAN));
        pairs = 1;
        guestAccepts = offloads(agreedGuestOffloads());
        start();
    }

    private void start() {
        started = true;
        backend.start(loop(), events);
        backend.guestAccepts(guestAccepts);
        backend.usePairs(pairs);
        showStatus();
    }

    @Override
    protected void notified(DeviceQueue queue) {
        int index = queue.index();
        if (index == controlIndex()) {
            queue.serve(control);
        } else if (index / 2 >= maxPairs) {
            // The last queue, which has no use if the driver did not agree to several pairs.
            return;
        } else if (index % 2 == 0) {
            receiveQueues[index / 2].pump();
        } else {
            transmitQueues[index / 2].pump();
        }
    }

    /** The control queue follows the pairs that the driver knows of (virtio 1.2, 5.1.2). */
    private int controlIndex() {
        return hasFeature(NetFeature.MQ) ? 2 * maxPairs : 2;
    }

    @Override
    protected void queueStopped(DeviceQueue queue) {
        int index = queue.index();
        if (index / 2 < maxPairs) {
            if (index % 2 == 0) {
                receiveQueues[index / 2].stop();
            } else {
                transmitQueues[index / 2].stop();
            }
        }
    }

    @Override
    protected void reset() {
        if (started) {
            started = false;
            backend.stop();
        }
        for (int i = 0; i < maxPairs; i++) {
            receiveQueues[i].stop();
            transmitQueues[i].stop();
        }
        pairs = 1;
        guestAccepts = Set.of();
        filter.reset(false);
        announcing = false;
        mac = ownMac.value();
        config().setBytes(0, ownMac.toBytes());
        config().setShort(STATUS_OFFSET, statusBits());
    }

    @Override
    protected void quiesce() {
        for (ReceiveQueue queue : receiveQueues) {
            queue.putBack();
        }
        later(this::pumpAll);
    }

    private void pumpAll() {
        for (int i = 0; i < maxPairs; i++) {
            receiveQueues[i].pump();
            transmitQueues[i].pump();
        }
    }

    @Override
    protected void save(DeviceState state) {
        state.putNumber("pairs", pairs);
        state.putNumber("guestOffloads", mask(guestAccepts));
        filter.save(state);
    }

    @Override
    protected void restore(DeviceState state) {
        int savedPairs = (int) state.number("pairs", 1, maxPairs);
        long savedOffloads = state.number("guestOffloads");
        if ((savedOffloads & ~agreedGuestOffloads()) != 0) {
            throw new IllegalArgumentException("saved network device " + name() + " has guest offloads 0x"
                    + Long.toHexString(savedOffloads) + "; its driver has agreed to 0x"
                    + Long.toHexString(agreedGuestOffloads()));
        }
        filter.restore(state);
        mac = 0;
        for (int i = 0; i < MacAddress.BYTES; i++) {
            mac = mac << Byte.SIZE | config().get(i, 1);
        }
        if (isActive()) {
            pairs = savedPairs;
            guestAccepts = offloads(savedOffloads);
            // The guest may be in another place of the network now.
            announcing = hasFeature(NetFeature.GUEST_ANNOUNCE);
            start();
        }
    }

    @Override
    public void close() {
        backend.close();
    }

    /* What the commands of the driver do. */

    boolean agreed(int feature) {
        return hasFeature(feature);
    }

    ReceiveFilter filter() {
        return filter;
    }

    boolean setMac(long address) {
        if (MacAddress.isGroup(address)) {
            return false;
        }
        mac = address;
        config().setBytes(0, new MacAddress(address).toBytes());
        return true;
    }

    boolean setPairs(int count) {
        if (count < 1 || count > maxPairs) {
            return false;
        }
        int before = pairs;
        pairs = count;
        backend.usePairs(count);
        for (int i = count; i < before; i++) {
            receiveQueues[i].putBack();
            transmitQueues[i].stop();
        }
        later(this::pumpAll);
        return true;
    }

    boolean setGuestOffloads(long mask) {
        if ((mask & ~agreedGuestOffloads()) != 0) {
            return false;
        }
        guestAccepts = offloads(mask);
        backend.guestAccepts(guestAccepts);
        // A frame under way may be of a kind that is not accepted any more.
        for (ReceiveQueue queue : receiveQueues) {
            queue.putBack();
        }
        later(this::pumpAll);
        return true;
    }

    void announced() {
        announcing = false;
        config().setShort(STATUS_OFFSET, statusBits());
    }

    /* What the queues ask for. */

    NetBackend backend() {
        return backend;
    }

    boolean usesPair(int pair) {
        return started && pair < pairs;
    }

    long mac() {
        return mac;
    }

    boolean isLinkDown() {
        return link == LinkState.DOWN;
    }

    boolean mergesBuffers() {
        return hasFeature(NetFeature.MRG_RXBUF);
    }

    boolean guestAccepts(Offload offload) {
        return guestAccepts.contains(offload);
    }

    /** Returns how much room a frame may take that the guest is to get, in bytes without the offload header (virtio 1.2, 5.1.6.3.1). */
    long longestFrame() {
        if (guestAccepts(Offload.TSO4) || guestAccepts(Offload.TSO6)) {
            return Frame.MAX_SIZE;
        }
        return (long) Math.max(mtu, USUAL_MTU) + ETHERNET_HEADER + VLAN_TAG;
    }

    /** Tells whether the guest has agreed to what a frame it sends leaves to the device. */
    boolean guestMaySend(OffloadHeader header) {
        if (header.needsChecksum() && !hasFeature(NetFeature.CSUM)) {
            return false;
        }
        int type = header.gsoType();
        boolean ecn = (type & OffloadHeader.ECN) == 0 || hasFeature(NetFeature.HOST_ECN);
        return switch (type & ~OffloadHeader.ECN) {
            case OffloadHeader.NOT_CUT -> true;
            case OffloadHeader.TCP_V4 -> ecn && hasFeature(NetFeature.HOST_TSO4);
            case OffloadHeader.TCP_V6 -> ecn && hasFeature(NetFeature.HOST_TSO6);
            default -> false;
        };
    }

    /** Tells whether the guest can be given a frame, apart from its checksum. */
    boolean guestMayReceive(Frame frame, long size) {
        OffloadHeader header = frame.header();
        if (isLinkDown() || !header.fits(size)) {
            return false;
        }
        int type = header.gsoType();
        boolean ecn = (type & OffloadHeader.ECN) == 0 || guestAccepts(Offload.TSO_ECN);
        return switch (type & ~OffloadHeader.ECN) {
            case OffloadHeader.TCP_V4 -> ecn && guestAccepts(Offload.TSO4);
            case OffloadHeader.TCP_V6 -> ecn && guestAccepts(Offload.TSO6);
            // "MUST NOT pass received packets that exceed mtu" (virtio 1.2, 5.1.4.1)
            default -> !hasFeature(NetFeature.MTU) || size <= mtu + ETHERNET_HEADER + VLAN_TAG;
        };
    }

    void later(Runnable code) {
        loop().execute(code);
    }

    EventLoop.Registration after(Duration delay, Runnable code) {
        return loop().schedule(delay, code);
    }

    private long agreedGuestOffloads() {
        long mask = 0;
        for (Offload offload : Offload.values()) {
            if (hasFeature(offload.receiveFeature())) {
                mask |= NetFeature.mask(offload.receiveFeature());
            }
        }
        return mask;
    }

    private static Set<Offload> offloads(long mask) {
        Set<Offload> set = EnumSet.noneOf(Offload.class);
        for (Offload offload : Offload.values()) {
            if ((mask & NetFeature.mask(offload.receiveFeature())) != 0) {
                set.add(offload);
            }
        }
        return set;
    }

    private static long mask(Set<Offload> offloads) {
        long mask = 0;
        for (Offload offload : offloads) {
            mask |= NetFeature.mask(offload.receiveFeature());
        }
        return mask;
    }

    private int statusBits() {
        boolean up = link == LinkState.UP && backend.link() == LinkState.UP;
        return (up ? LINK_UP : 0) | (announcing ? ANNOUNCE : 0);
    }

    /** Shows the driver what has changed of link and announcement. */
    private void showStatus() {
        int bits = statusBits();
        if (bits != config().get(STATUS_OFFSET, Short.BYTES)) {
            config().setShort(STATUS_OFFSET, bits);
            configChanged();
        }
    }

    private final class BackendEvents implements NetBackend.Events {
        @Override
        public void readable(int pair) {
            if (usesPair(pair)) {
                receiveQueues[pair].pump();
            }
        }

        @Override
        public void writable(int pair) {
            if (usesPair(pair)) {
                transmitQueues[pair].writable();
            }
        }

        @Override
        public void linkChanged(LinkState state) {
            if (started) {
                showStatus();
            }
        }
    }

    /** Says what a network device is like. */
    public static final class Builder {
        private static final int CONTROL_QUEUE_SIZE = 64;
        private static final int MIN_MTU = 68;
        private static final int MAX_MTU = 65_535;
        private static final int MAX_QUEUE_SIZE = 1024;
        private static final int MAX_PAIRS = 64;

        private final String name;
        private final NetBackend backend;
        private MacAddress mac = MacAddress.random();
        private int mtu;
        private int queuePairs = 1;
        private int queueSize = 256;
        private RateLimiter receiveLimit = RateLimiter.unlimited();
        private RateLimiter transmitLimit = RateLimiter.unlimited();

        private Builder(String name, NetBackend backend) {
            this.name = Objects.requireNonNull(name, "name");
            this.backend = Objects.requireNonNull(backend, "backend");
        }

        /**
         * Sets the address; a random one if left out. The guest may take another.
         *
         * @param address an address of one station
         * @return this
         * @throws IllegalArgumentException if it is multicast
         */
        public Builder mac(MacAddress address) {
            if (address.isGroup()) {
                throw new IllegalArgumentException(
                        "MAC address " + address + " stands for many stations; the first byte must be even");
            }
            mac = address;
            return this;
        }

        /**
         * Tells the guest how long packets may be; if left out, the guest takes what is usual, 1500.
         *
         * @param bytes greatest length of a packet without the Ethernet header in bytes, 68 to 65535
         * @return this
         * @throws IllegalArgumentException if it is out of range
         */
        public Builder mtu(int bytes) {
            if (bytes < MIN_MTU || bytes > MAX_MTU) {
                throw new IllegalArgumentException("MTU " + bytes + " must be from " + MIN_MTU + " to " + MAX_MTU);
            }
            mtu = bytes;
            return this;
        }

        /**
         * Lets the guest use several pairs of queues, about one for each of its processors.
         *
         * @param count 1, as if left out, to what the backend has and 64
         * @return this
         * @throws IllegalArgumentException if it is out of range
         */
        public Builder queuePairs(int count) {
            int most = Math.min(backend.maxQueuePairs(), MAX_PAIRS);
            if (count < 1 || count > most) {
                throw new IllegalArgumentException(
                        count + " queue pairs: this backend takes from 1 to " + most + "; open it with more");
            }
            queuePairs = count;
            return this;
        }

        /**
         * Sets how many descriptors a queue may have; 256 if left out.
         *
         * @param descriptors a power of two from 2 to 1024
         * @return this
         * @throws IllegalArgumentException if it is none of these
         */
        public Builder queueSize(int descriptors) {
            if (descriptors < 2 || descriptors > MAX_QUEUE_SIZE || Integer.bitCount(descriptors) != 1) {
                throw new IllegalArgumentException(
                        "queue size " + descriptors + " must be a power of two from 2 to " + MAX_QUEUE_SIZE);
            }
            queueSize = descriptors;
            return this;
        }

        /**
         * Limits what the guest gets; the device takes no more frames from the backend then.
         *
         * @param limiter the limit, for this device alone; operations are frames
         * @return this
         */
        public Builder receiveLimit(RateLimiter limiter) {
            receiveLimit = Objects.requireNonNull(limiter, "limiter");
            return this;
        }

        /**
         * Limits what the guest sends; frames wait in its queue then.
         *
         * @param limiter the limit, for this device alone; operations are frames
         * @return this
         */
        public Builder transmitLimit(RateLimiter limiter) {
            transmitLimit = Objects.requireNonNull(limiter, "limiter");
            return this;
        }

        /**
         * Makes the device.
         *
         * @return a new device, to be attached by a transport
         */
        public NetDevice build() {
            return new NetDevice(this);
        }
    }
}
