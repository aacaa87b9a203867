package io.github.jkvm.virtio.vhost;

import io.github.jkvm.Bus;
import io.github.jkvm.EventLoop;
import io.github.jkvm.HostFile;
import io.github.jkvm.HypervisorException;
import io.github.jkvm.kvm.ffi.UnixSocket;
import io.github.jkvm.virtio.ConfigSpace;
import io.github.jkvm.virtio.Counter;
import io.github.jkvm.virtio.DeviceQueue;
import io.github.jkvm.virtio.Feature;
import io.github.jkvm.virtio.VirtioDevice;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A device whose queues another process serves, the back end of the vhost-user protocol. This side hands it memory, rings and events: the driver's doorbells
 * signal the back end without this process, and the back end's signals interrupt the driver without it where the transport can do that, over PCI with
 * MSI-X. Over MMIO, and over PCI with the pin, the driver reads a register to learn what an interrupt is for, so that they go by the device's thread.
 *
 * <p>The device has a thread of its own, which talks to the back end. A driver that resets the device, says that it is ready or writes configuration waits for the back end:
 * for {@link #PATIENCE} at most, and as long for what the device was at before. Other devices do not wait. The configuration space is read when the back end is connected, and again whenever the back end says that it
 * has changed, if it can say so; the driver reads what was read last.
 *
 * <p>When a back end is gone, answers nonsense or does not answer in time, what happens depends on what it has left. A disk with split rings of which no request
 * is under way, or whose back end has noted which are ({@code VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD}), can go on: the device looks for another back end
 * as long as it takes, and the driver notices nothing but the time. Otherwise no one knows which requests are done: the device asks the driver for a reset, and
 * connects anew after that. The back end is trusted with the guest's memory and with nothing else.
 *
 * <p>What the back end itself remembers is not part of a saved state.
 */
public abstract sealed class VhostUserDevice extends VirtioDevice permits VhostUserBlock, VhostUserFs, VhostUserNet {
    /** How long a back end may take for one thing that is asked of it, such as to take over all queues. */
    public static final Duration PATIENCE = Duration.ofSeconds(5);

    /** Time between two looks for a back end that was lost. */
    private static final Duration RETRY = Duration.ofMillis(200);

    /** How many requests of a back end are taken before other work gets its turn. */
    private static final int TURN = 16;

    private static final System.Logger LOG = System.getLogger(VhostUserDevice.class.getName());

    private final BackEndAddress address;
    private final Set<ProtocolFeature> wanted;
    private final long understood;
    private final List<VhostRing> rings = new ArrayList<>();
    private final List<EventLoop.Registration> watches = new ArrayList<>();
    private final Counter kicks = counter("kicks");
    private final Counter calls = counter("calls");
    private final Counter connections = counter("connections");
    private final Counter losses = counter("backEndLosses");
    private final Counter resumptions = counter("resumptions");
    private final Counter configChanges = counter("configChanges");
    private final int queues;

    private @Nullable EventLoop ownLoop;
    private @Nullable VhostConnection connection;
    private @Nullable InflightArea inflight;

    /** What the back end offers, known once the device is attached. */
    private volatile long offered;

    private State state = State.IDLE;

    private enum State {
        /** The queues are this side's. */
        IDLE,
        /** They are the back end's. */
        STARTED,
        /** They were a back end's that is gone, and wait for its successor. */
        ORPHANED,
        /** The driver is asked for a reset. */
        LOST
    }

    /** Where the back end is, and how long it is waited for. */
    interface BackEndAddress {
        VhostWire connect() throws IOException;

        default Duration patience() {
            return PATIENCE;
        }
    }

    VhostUserDevice(
            String name,
            int deviceId,
            ConfigSpace config,
            BackEndAddress address,
            Set<ProtocolFeature> wanted,
            long understood,
            int... queueSizes) {
        super(name, deviceId, config, queueSizes);
        this.address = address;
        this.wanted = wanted;
        this.understood = understood;
        this.queues = queueSizes.length;
    }

    static BackEndAddress at(Path socket) {
        return () -> VhostWire.over(UnixSocket.connect(socket));
    }

    /* What kinds of devices differ in. */

    /** Fills in what the back end tells of the configuration space. */
    void describe(VhostConnection backEnd) throws IOException {}

    /** Returns how many queues the back end must have, as it counts them. */
    long queuesNeeded() {
        return queues;
    }

    /** Whether a queue is the back end's, and not served here, with the features agreed on. */
    boolean isHandedOver(int queue) {
        return true;
    }

    /** Whether the back end is to serve a queue from the beginning. */
    VhostConnection.RingUse firstUse(int queue) {
        return VhostConnection.RingUse.ENABLED;
    }

    /** Whether any other back end can take over where one has ended, as far as the rings go. */
    boolean outlivesBackEnds() {
        return false;
    }

    /** Serves a queue that is not the back end's. */
    void serveHere(DeviceQueue queue) {}

    /** Tells the back end more, which has been handed all queues. */
    void handedOver(VhostConnection backEnd) throws IOException {}

    /* The device's life. */

    @Override
    protected EventLoop chooseLoop(Bus bus) {
        EventLoop made = bus.createEventLoop(name() + "-vhost");
        ownLoop = made;
        return made;
    }

    /**
     * Connects to the back end.
     *
     * @throws HypervisorException if there is none, it lacks what is needed, or the guest's memory can't be shared
     */
    @Override
    protected void attached(Bus bus) {
        try {
            SharedMemory.of(bus.memory());
            VhostConnection first = connect();
            offered = first.features();
            if ((offered & Feature.mask(Feature.VERSION_1)) == 0) {
                throw new IOException(first + " serves legacy drivers only: it does not offer VIRTIO_F_VERSION_1");
            }
            // A queue can't be reset alone: the protocol has no message for it.
            limitRingFeatures(offered & ~Feature.mask(Feature.RING_RESET));
            for (int i = 0; i < queues; i++) {
                rings.add(new VhostRing(name() + " queue " + i));
            }
        } catch (IOException e) {
            close();
            throw new HypervisorException("device " + name() + " can't use its back end: " + e.getMessage(), e);
        } catch (RuntimeException e) {
            close();
            throw e;
        }
    }

    private VhostConnection connect() throws IOException {
        VhostConnection opened = VhostConnection.open(address.connect(), address.patience(), wanted);
        connection = opened;
        connections.increment();
        long most = opened.queues();
        if (most < queuesNeeded()) {
            throw new IOException(opened + " has " + most + " queues; " + name() + " needs " + queuesNeeded());
        }
        describe(opened);
        return opened;
    }

    @Override
    protected long features() {
        return offered & understood;
    }

    @Override
    protected Optional<HostFile> notificationEvent(int queue) {
        return Optional.of(rings.get(queue).kick().fd());
    }

    @Override
    protected void activate() {
        start();
    }

    @Override
    protected void notified(DeviceQueue queue) {
        if (state == State.IDLE) {
            // It was saved, and goes on; or it is restored.
            start();
        }
        if (!isHandedOver(queue.index())) {
            serveHere(queue);
        } else {
            kicks.increment();
            rings.get(queue.index()).kick().signal();
        }
    }

    /** Hands the queues over, to a back end that knows nothing of them yet. */
    private void start() {
        if (state != State.IDLE) {
            return;
        }
        try {
            VhostConnection backEnd = connection;
            if (backEnd != null) {
                backEnd.begin();
            } else {
                backEnd = connect();
            }
            if ((backEnd.features() & offered) != offered) {
                throw new IOException(backEnd + " offers less than the one before it");
            }
            handOver(backEnd);
        } catch (IOException e) {
            lost(e);
        }
    }

    private void handOver(VhostConnection backEnd) throws IOException {
        backEnd.setFeatures(chosen(backEnd));
        SharedMemory memory = SharedMemory.of(memory());
        backEnd.setMemory(memory);
        if (backEnd.has(ProtocolFeature.INFLIGHT)) {
            InflightArea area = inflight != null ? inflight : backEnd.newInflightArea(queues, largestRing());
            inflight = area;
            backEnd.setInflightArea(area);
        }
        for (int i = 0; i < queues; i++) {
            if (queue(i).isActive()) {
                if (isHandedOver(i)) {
                    startRing(backEnd, memory, queue(i));
                } else {
                    listenHere(queue(i));
                }
            }
        }
        watches.add(loop().onReady(backEnd.watched(), events -> watched(backEnd)));
        BackEndChannel channel = backEnd.channel();
        if (channel != null) {
            watches.add(loop().onReady(channel.watched(), events -> requested(backEnd, channel)));
        }
        state = State.STARTED;
        handedOver(backEnd);
    }

    private int largestRing() {
        int largest = 0;
        for (int i = 0; i < queues; i++) {
            largest = Math.max(largest, queue(i).layout().size());
        }
        return largest;
    }

    private long chosen(VhostConnection backEnd) {
        long chosen = Feature.mask(VhostConnection.PROTOCOL_FEATURES);
        for (int bit = 0; bit < Long.SIZE; bit++) {
            if (hasFeature(bit)) {
                chosen |= Feature.mask(bit);
            }
        }
        return chosen & backEnd.features();
    }

    private void startRing(VhostConnection backEnd, SharedMemory memory, DeviceQueue queue) throws IOException {
        int index = queue.index();
        VhostRing ring = rings.get(index);
        ring.listen(loop(), queue, calls);
        int position = state == State.ORPHANED ? usedIndex(queue) : queue.position();
        // A packed ring has two places, of what is available and what is used, which are the same with none in flight.
        int base = hasFeature(Feature.PACKED_RING) ? position << Short.SIZE | position : position;
        backEnd.startRing(
                index,
                memory.place(queue.layout()),
                base,
                ring.kick().fd(),
                ring.call().fd());
        backEnd.enableRing(index, firstUse(index));
    }

    /** How far a split ring's used part is: what was taken after that is in flight, or was not taken. */
    private int usedIndex(DeviceQueue queue) {
        return memory().readShortAcquire(queue.layout().device() + Short.BYTES) & 0xFFFF;
    }

    private int availableIndex(DeviceQueue queue) {
        return memory().readShortAcquire(queue.layout().driver() + Short.BYTES) & 0xFFFF;
    }

    /** A queue served here whose doorbell is made to signal an event. */
    private void listenHere(DeviceQueue queue) {
        VhostRing ring = rings.get(queue.index());
        watches.add(loop().onReady(ring.kick().fd(), events -> {
            if (ring.kick().take() && queue.isActive()) {
                serveHere(queue);
            }
        }));
    }

    private void watched(VhostConnection backEnd) {
        if (isServing(backEnd) && !backEnd.isQuiet()) {
            lost(new IOException(backEnd + " is gone, or says what it was not asked for"));
        }
    }

    private boolean isServing(VhostConnection backEnd) {
        return state == State.STARTED && backEnd.equals(connection);
    }

    /** The back end makes requests. */
    private void requested(VhostConnection backEnd, BackEndChannel channel) {
        backEnd.begin();
        try {
            for (int i = 0; i < TURN; i++) {
                if (!isServing(backEnd) || channel.take(backEnd.deadline()) == BackEndChannel.Found.NOTHING) {
                    return;
                }
                describe(backEnd);
                configChanges.increment();
                configChanged();
            }
            runOnLoop(() -> requested(backEnd, channel));
        } catch (IOException e) {
            lost(e);
        }
    }

    /** Does something with a back end that serves the queues. If that fails, it is lost. */
    final void tell(Told what) {
        VhostConnection backEnd = connection;
        if (backEnd != null && state != State.ORPHANED) {
            backEnd.begin();
            try {
                what.to(backEnd);
            } catch (IOException e) {
                lost(e);
            }
        }
    }

    /** Something that a back end is told. */
    interface Told {
        void to(VhostConnection backEnd) throws IOException;
    }

    /** The back end is of no use any more: another one goes on with what it has left, or the driver is asked for a reset. */
    private void lost(IOException why) {
        // Only the first time as a warning: a guest may bring it about as often as it likes.
        Level level = losses.value() == 0 ? Level.WARNING : Level.DEBUG;
        LOG.log(level, "device {0} has lost its back end: {1}", name(), why.getMessage());
        losses.increment();
        boolean goesOn = state == State.STARTED
                && outlivesBackEnds()
                && !hasFeature(Feature.PACKED_RING)
                && (inflight != null || nothingIsUnderWay());
        letGo();
        disconnect();
        if (goesOn) {
            state = State.ORPHANED;
            lookAgain();
        } else {
            giveUp(why);
        }
    }

    /** Whether the rings of a back end that is gone show that it has completed all. */
    private boolean nothingIsUnderWay() {
        for (int i = 0; i < queues; i++) {
            if (rings.get(i).isInUse() && usedIndex(queue(i)) != availableIndex(queue(i))) {
                return false;
            }
        }
        return true;
    }

    private void giveUp(IOException why) {
        state = State.LOST;
        needsReset(String.valueOf(why.getMessage()));
    }

    private void lookAgain() {
        watches.add(loop().schedule(RETRY, this::resume));
    }

    /** Looks for a back end that goes on with what its predecessor has left. */
    private void resume() {
        if (state != State.ORPHANED) {
            return;
        }
        letGo();
        try {
            VhostConnection backEnd = connect();
            boolean knowsLess = inflight != null && !backEnd.has(ProtocolFeature.INFLIGHT);
            if ((backEnd.features() & offered) != offered || knowsLess) {
                disconnect();
                giveUp(new IOException(backEnd + " can't go on where the one before it has ended"));
                return;
            }
            handOver(backEnd);
        } catch (IOException notYet) {
            LOG.log(Level.DEBUG, "device {0} still has no back end: {1}", name(), notYet.getMessage());
            letGo();
            disconnect();
            state = State.ORPHANED;
            lookAgain();
            return;
        }
        resumptions.increment();
        for (int i = 0; i < queues; i++) {
            if (rings.get(i).isInUse()) {
                // What its predecessor was told, and what it may have had no time to tell.
                rings.get(i).kick().signal();
                queue(i).signal();
            }
        }
        configChanged();
    }

    /** Takes the queues back. On return, the back end touches nothing of them, unless it does not answer. */
    private void stop() {
        VhostConnection backEnd = connection;
        if (state == State.STARTED && backEnd != null) {
            backEnd.begin();
            try {
                for (int i = 0; i < queues; i++) {
                    if (rings.get(i).isInUse()) {
                        takeBack(queue(i), backEnd);
                    }
                }
                state = State.IDLE;
            } catch (IOException e) {
                lost(e);
            }
        }
        if (state == State.IDLE) {
            letGo();
            forgetInflight();
        }
    }

    private void takeBack(DeviceQueue queue, VhostConnection backEnd) throws IOException {
        int position = backEnd.stopRing(queue.index());
        if (!queue.isActive()) {
            return;
        }
        if (!hasFeature(Feature.PACKED_RING)) {
            awaitUsed(queue, position, backEnd);
        }
        if (!queue.moveTo(position)) {
            throw new IOException(backEnd + " leaves ring " + queue.index() + " at " + position + ", which it has not");
        }
        rings.get(queue.index()).passOn(queue, calls);
    }

    /** Waits until the back end has completed what it has taken: some answer before that. */
    private void awaitUsed(DeviceQueue queue, int position, VhostConnection backEnd) throws IOException {
        try {
            while (usedIndex(queue) != position) {
                if (System.nanoTime() - backEnd.deadline() >= 0) {
                    throw new IOException(backEnd + " has taken chains of ring " + queue.index() + " up to " + position
                            + ", but completes no more than up to " + usedIndex(queue));
                }
                Thread.sleep(1);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted while " + backEnd + " was to come to an end", e);
        }
    }

    private void letGo() {
        watches.forEach(EventLoop.Registration::close);
        watches.clear();
        rings.forEach(VhostRing::rest);
    }

    private void forgetInflight() {
        InflightArea now = inflight;
        if (now != null) {
            now.close();
            inflight = null;
        }
    }

    private void disconnect() {
        VhostConnection now = connection;
        if (now != null) {
            connection = null;
            now.close();
        }
    }

    @Override
    protected void reset() {
        stop();
        letGo();
        forgetInflight();
        state = State.IDLE;
    }

    @Override
    protected void queueStopped(DeviceQueue queue) {
        // Without queue reset, a driver does this to a queue only before it resets the device.
        stop();
    }

    /**
     * Takes the queues back, until the guest goes on.
     *
     * @throws IllegalStateException if the back end is gone and another one is to go on
     */
    @Override
    protected void quiesce() {
        stop();
        if (state == State.ORPHANED) {
            throw new IllegalStateException(
                    "device " + name() + " can't be saved now: its back end is gone; start another one and try again");
        }
    }

    @Override
    public void close() {
        EventLoop loop = ownLoop;
        if (loop != null) {
            ownLoop = null;
            loop.close();
        }
        letGo();
        disconnect();
        forgetInflight();
        rings.forEach(VhostRing::close);
    }
}
