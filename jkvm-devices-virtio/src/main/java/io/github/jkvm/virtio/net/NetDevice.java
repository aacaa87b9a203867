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
import java.util.Objects;
import org.jspecify.annotations.Nullable;

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
 *
 * <p>Saving the device does not stop it: frames move on right afterwards, as far as the guest has buffers for them, also while the guest's processors
 * rest. A frame that was waiting for buffers at that moment is lost.
 *
 * <p>Two clones of a machine never have the same address on a network, unless the program says so with the same {@link NetDeviceBuilder#mac} or with
 * {@link NetDeviceBuilder#keepSavedMac}: a restored device has the address of its own builder. Drivers read the address only when they start, so a guest that
 * was running does not know of it. Until it takes another address than before, its frames are dropped, and it gets none but those for all or for
 * many. In a Linux guest, something that the program can reach there (an agent, a shell on a console) does one of these:
 *
 * <ul>
 *   <li>{@code ip link set dev eth0 address ADDRESS}, with the address that {@link #macAddress} returns; any other that differs from the old one does as well
 *   <li>{@code echo virtio0 >/sys/bus/virtio/drivers/virtio_net/unbind}, and then the same to {@code bind}: the driver starts anew and reads the address
 * </ul>
 *
 * IP addresses and what else tells two guests apart is up to them. This keeps clones from getting into each other's way, not a hostile guest from sending
 * what it wants.
 */
public final class NetDevice extends VirtioDevice {
    /** {@code VIRTIO_ID_NET}: what a network device is known by (virtio 1.2, 5). */
    private static final int DEVICE_ID = 1;

    private static final int ETHERNET_HEADER = 14;
    private static final int VLAN_TAG = 4;
    private static final int USUAL_MTU = 1500;

    /** No address. */
    private static final long NONE = -1;

    private final NetBackend backend;
    private final MacAddress ownMac;
    private final NetDeviceBuilder.RestoredMac restoredMac;
    private final int mtu;
    private final int maxPairs;
    private final int queueSize;
    private final RateLimiter receiveLimit;
    private final RateLimiter transmitLimit;
    private final NetCounters counters = new NetCounters(this::counter);
    private final ReceiveFilter filter = new ReceiveFilter();
    private final ControlQueue control = new ControlQueue(this, counters);
    private final AgreedOffloads offloads = new AgreedOffloads();
    private final BackendEvents events = new BackendEvents();
    private final NetConfig shown;

    /** Null until the device is attached. */
    private volatile @Nullable QueuePairs pairs;

    private volatile LinkState link = LinkState.UP;

    /** The address on the network. */
    private volatile long mac;

    /** The address that the guest goes by; another one if it was restored and does not know yet. */
    private long guestMac;

    /** The address that a guest had which was restored, now another machine's. */
    private long formerMac = NONE;

    private boolean announcing;
    private boolean started;
    private boolean mergesBuffers;

    NetDevice(NetDeviceBuilder builder) {
        super(builder.name, DEVICE_ID, new ConfigSpace(NetConfig.SIZE), queueSizes(builder));
        backend = builder.backend;
        ownMac = builder.mac;
        restoredMac = builder.restoredMac;
        mtu = builder.mtu;
        maxPairs = builder.queuePairs;
        queueSize = builder.queueSize;
        receiveLimit = builder.receiveLimit;
        transmitLimit = builder.transmitLimit;
        shown = new NetConfig(config(), maxPairs, mtu);
        beginAnew();
    }

    /** In pairs of a receive and a transmit queue, and the control queue last (virtio 1.2, 5.1.2). */
    private static int[] queueSizes(NetDeviceBuilder builder) {
        int[] sizes = new int[2 * builder.queuePairs + 1];
        Arrays.fill(sizes, builder.queueSize);
        sizes[sizes.length - 1] = NetDeviceBuilder.CONTROL_QUEUE_SIZE;
        return sizes;
    }

    /**
     * Begins a network device.
     *
     * @param name a name for messages and saved state, unique in its machine, such as {@code net0}
     * @param backend what it is plugged into; closed with the device
     * @return a builder
     */
    public static NetDeviceBuilder builder(String name, NetBackend backend) {
        return new NetDeviceBuilder(name, backend);
    }

    /**
     * Returns the address that the device has on the network: the builder's, the saved one that it keeps, or one that the guest has set. May be called on
     * any thread.
     *
     * @return the address
     */
    public MacAddress macAddress() {
        return new MacAddress(mac);
    }

    /**
     * Plugs the cable in or pulls it out. The guest is told. May be called on any thread.
     *
     * @param state how it is from now on; the guest has a link if its backend has one as well
     * @throws IllegalStateException if the machine is closed
     */
    public void setLink(LinkState state) {
        link = Objects.requireNonNull(state, "state");
        if (pairs != null) {
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
        return NetFeature.offered(backend.offloads(), mtu != 0, maxPairs > 1);
    }

    @Override
    protected boolean accepts(long chosen) {
        return NetFeature.consistent(chosen);
    }

    @Override
    protected void attached(Bus bus) {
        pairs = new QueuePairs(this, maxPairs, queueSize, this::queue, receiveLimit, transmitLimit, counters);
    }

    @Override
    protected void activate() {
        filter.reset(hasFeature(NetFeature.CTRL_VLAN));
        offloads.agree(this::hasFeature);
        start();
    }

    private void start() {
        started = true;
        mergesBuffers = hasFeature(NetFeature.MRG_RXBUF);
        backend.start(loop(), events);
        backend.guestAccepts(offloads.accepted());
        backend.usePairs(pairs().used());
        showStatus();
    }

    @Override
    protected void notified(DeviceQueue queue) {
        if (queue.index() == controlIndex()) {
            queue.serve(control);
        } else {
            // The last queue is of no use if the driver did not agree to several pairs.
            pairs().notified(queue.index());
        }
    }

    /** The control queue follows the pairs that the driver knows of (virtio 1.2, 5.1.2). */
    private int controlIndex() {
        return hasFeature(NetFeature.MQ) ? 2 * maxPairs : 2;
    }

    @Override
    protected void queueStopped(DeviceQueue queue) {
        pairs().stop(queue.index());
    }

    @Override
    protected void reset() {
        if (started) {
            started = false;
            backend.stop();
        }
        pairs().stopAll();
        beginAnew();
    }

    /** Everything is as if no driver had been there. */
    private void beginAnew() {
        offloads.clear();
        filter.reset(false);
        announcing = false;
        mergesBuffers = false;
        formerMac = NONE;
        guestMac = ownMac.value();
        mac = guestMac;
        shown.setMac(mac);
        setStatus();
    }

    /** Buffers popped ahead go back to the driver. Frames are taken again after that: none would come to a queue that is not notified. */
    @Override
    protected void quiesce() {
        pairs().putBackReceiveBuffers();
        later(this::pumpAll);
    }

    private void pumpAll() {
        pairs().pumpAll();
    }

    @Override
    protected void save(DeviceState state) {
        state.putNumber("pairs", pairs().used());
        state.putNumber("guestOffloads", offloads.acceptedFeatures());
        state.putNumber("guestMac", guestMac);
        filter.save(state);
    }

    @Override
    protected void restore(DeviceState state) {
        int savedPairs = (int) state.number("pairs", 1, maxPairs);
        long savedOffloads = state.number("guestOffloads");
        offloads.agree(this::hasFeature);
        if (!offloads.accept(savedOffloads)) {
            throw new IllegalArgumentException("saved network device " + name() + " has guest offloads 0x"
                    + Long.toHexString(savedOffloads) + "; its driver has agreed to 0x"
                    + Long.toHexString(offloads.agreed()));
        }
        filter.restore(state);
        restoreMac(state.number("guestMac", 0, MacAddress.BROADCAST));
        if (isActive()) {
            pairs().use(savedPairs);
            // The guest may be in another place of the network now; but not by an address that it has to leave.
            announcing = hasFeature(NetFeature.GUEST_ANNOUNCE) && formerMac == NONE;
            start();
            if (formerMac != NONE) {
                configChanged();
            }
        }
    }

    private void restoreMac(long saved) {
        if (MacAddress.isGroup(saved)) {
            throw new IllegalArgumentException("saved network device " + name() + " has the address "
                    + new MacAddress(saved) + ", which stands for many stations");
        }
        if (restoredMac == NetDeviceBuilder.RestoredMac.SAVED) {
            mac = saved;
            guestMac = saved;
        } else if (isActive() && saved != ownMac.value()) {
            formerMac = saved;
            guestMac = saved;
        }
        shown.setMac(mac);
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
        if (MacAddress.isGroup(address) || address == formerMac) {
            return false;
        }
        boolean first = guestMac == formerMac;
        guestMac = address;
        mac = address;
        shown.setMac(address);
        if (first && hasFeature(NetFeature.GUEST_ANNOUNCE)) {
            announcing = true;
            showStatus();
        }
        return true;
    }

    /** Tells whether a frame of the guest comes from an address that is another machine's now. */
    boolean comesFromFormerMac(Frame frame) {
        return formerMac != NONE && frame.number(MacAddress.BYTES, MacAddress.BYTES) == formerMac;
    }

    /** Tells whether the guest would take a frame for its own by an address that is another machine's now. */
    boolean isForFormerMac(Frame frame) {
        return formerMac != NONE && formerMac == guestMac && frame.number(0, MacAddress.BYTES) == formerMac;
    }

    boolean setPairs(int count) {
        if (count < 1 || count > maxPairs) {
            return false;
        }
        backend.usePairs(count);
        pairs().use(count);
        later(this::pumpAll);
        return true;
    }

    boolean setGuestOffloads(long mask) {
        if (!offloads.accept(mask)) {
            return false;
        }
        backend.guestAccepts(offloads.accepted());
        // A frame under way may be of a kind that is not accepted any more.
        pairs().putBackReceiveBuffers();
        later(this::pumpAll);
        return true;
    }

    void announced() {
        announcing = false;
        setStatus();
    }

    /* What the queues ask for. */

    NetBackend backend() {
        return backend;
    }

    boolean usesPair(int pair) {
        return started && pair < pairs().used();
    }

    long mac() {
        return mac;
    }

    boolean isLinkDown() {
        return link == LinkState.DOWN;
    }

    boolean mergesBuffers() {
        return mergesBuffers;
    }

    AgreedOffloads offloads() {
        return offloads;
    }

    /** Returns how much room a frame may take that the guest is to get, in bytes without the offload header (virtio 1.2, 5.1.6.3.1). */
    long longestFrame() {
        return offloads.guestAcceptsLongFrames()
                ? Frame.MAX_SIZE
                : (long) Math.max(mtu, USUAL_MTU) + ETHERNET_HEADER + VLAN_TAG;
    }

    /** Tells whether the guest can be given a frame, apart from its checksum. */
    boolean guestMayReceive(Frame frame, long size) {
        OffloadHeader header = frame.header();
        if (isLinkDown() || !header.fits(size)) {
            return false;
        }
        if (header.gsoType() != OffloadHeader.NOT_CUT) {
            return offloads.guestMayReceiveUncut(header);
        }
        // "MUST NOT pass received packets that exceed mtu" (virtio 1.2, 5.1.4.1)
        return mtu == 0 || size <= mtu + ETHERNET_HEADER + VLAN_TAG || !hasFeature(NetFeature.MTU);
    }

    void later(Runnable code) {
        loop().execute(code);
    }

    EventLoop.Registration after(Duration delay, Runnable code) {
        return loop().schedule(delay, code);
    }

    private QueuePairs pairs() {
        return Objects.requireNonNull(pairs, "not attached");
    }

    /** Writes down what there is of link and announcement; true if the driver does not know yet. */
    private boolean setStatus() {
        boolean up = link == LinkState.UP && backend.link() == LinkState.UP;
        return shown.setStatus(up ? LinkState.UP : LinkState.DOWN, announcing);
    }

    private void showStatus() {
        if (setStatus()) {
            configChanged();
        }
    }

    private final class BackendEvents implements NetBackend.Events {
        @Override
        public void readable(int pair) {
            if (usesPair(pair)) {
                pairs().readable(pair);
            }
        }

        @Override
        public void writable(int pair) {
            if (usesPair(pair)) {
                pairs().writable(pair);
            }
        }

        @Override
        public void linkChanged(LinkState state) {
            if (started) {
                showStatus();
            }
        }
    }
}
