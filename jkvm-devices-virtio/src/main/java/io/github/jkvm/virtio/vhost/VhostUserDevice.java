package io.github.jkvm.virtio.vhost;

import io.github.jkvm.Bus;
import io.github.jkvm.EventLoop;
import io.github.jkvm.HypervisorException;
import io.github.jkvm.kvm.ffi.EventFd;
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
import org.jspecify.annotations.Nullable;

/**
 * A device whose queues another process serves, the back end of the vhost-user protocol. This side hands it memory, rings and event counters; then
 * the guest's requests do not pass this process, but for its notifications and interrupts.
 *
 * <p>A back end that ends, answers nonsense or does not answer in time has the device ask the driver for a reset; after that the device connects anew. The
 * back end is trusted with the guest's memory and with nothing else.
 *
 * <p>What the back end itself remembers is not part of a saved state.
 */
public abstract sealed class VhostUserDevice extends VirtioDevice permits VhostUserBlock, VhostUserFs, VhostUserNet {
    /** How long a back end may take for one answer. */
    public static final Duration PATIENCE = Duration.ofSeconds(5);

    private static final System.Logger LOG = System.getLogger(VhostUserDevice.class.getName());

    private final Connector connector;
    private final @Nullable Ring[] rings;
    private final long understood;
    private final Counter kicks = counter("kicks");
    private final Counter calls = counter("calls");
    private final Counter connections = counter("connections");
    private final Counter losses = counter("backEndLosses");

    private @Nullable VhostConnection connection;
    private EventLoop.@Nullable Registration watch;

    /** What the back end offers, known once the device is attached. */
    private volatile long offered;

    private boolean started;

    /** Whether the driver is asked for a reset, until it comes. */
    private boolean isLost;

    /** How the back end is reached. */
    interface Connector {
        UnixSocket connect() throws IOException;
    }

    /** A queue that the back end serves. */
    private record Ring(EventFd kick, EventFd call, EventLoop.Registration calls) {
        void close() {
            calls.close();
            call.close();
            kick.close();
        }
    }

    VhostUserDevice(
            String name, int deviceId, ConfigSpace config, Connector connector, long understood, int... queueSizes) {
        super(name, deviceId, config, queueSizes);
        this.connector = connector;
        this.understood = understood;
        this.rings = new @Nullable Ring[queueSizes.length];
    }

    static Connector at(Path socket) {
        return () -> UnixSocket.connect(socket);
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
            describe(first);
        } catch (IOException e) {
            disconnect();
            throw new HypervisorException("device " + name() + " can't use its back end: " + e.getMessage(), e);
        }
    }

    /** Fills in what the back end tells of the configuration space. */
    void describe(VhostConnection backEnd) throws IOException {}

    private VhostConnection connect() throws IOException {
        VhostConnection opened = VhostConnection.open(connector.connect(), PATIENCE);
        connection = opened;
        connections.increment();
        long most = opened.queues();
        if (most < rings.length) {
            throw new IOException(opened + " has " + most + " queues; " + name() + " needs " + rings.length);
        }
        return opened;
    }

    @Override
    protected long features() {
        return offered & understood;
    }

    @Override
    protected void activate() {
        start();
    }

    @Override
    protected void notified(DeviceQueue queue) {
        if (!started) {
            // It was saved, and goes on; or it is restored.
            start();
        }
        Ring ring = rings[queue.index()];
        if (ring != null) {
            kicks.increment();
            ring.kick().signal();
        }
    }

    /** Hands the queues over. */
    private void start() {
        if (isLost) {
            return;
        }
        try {
            VhostConnection backEnd = connection != null ? connection : connect();
            if ((backEnd.features() & offered) != offered) {
                throw new IOException(backEnd + " offers less than it did before it was lost");
            }
            backEnd.setFeatures(chosen(backEnd));
            SharedMemory memory = SharedMemory.of(memory());
            backEnd.setMemory(memory);
            for (int i = 0; i < rings.length; i++) {
                if (queue(i).isActive()) {
                    startRing(backEnd, memory, queue(i));
                }
            }
            watch = loop().onReady(backEnd.watched(), events -> watched(backEnd));
            started = true;
        } catch (IOException e) {
            lost(e);
        }
    }

    private long chosen(VhostConnection backEnd) {
        long chosen = backEnd.features() & Feature.mask(VhostConnection.PROTOCOL_FEATURES);
        for (int bit = 0; bit < Long.SIZE; bit++) {
            if (hasFeature(bit)) {
                chosen |= Feature.mask(bit) & backEnd.features();
            }
        }
        return chosen;
    }

    private void startRing(VhostConnection backEnd, SharedMemory memory, DeviceQueue queue) throws IOException {
        int index = queue.index();
        EventFd kick = EventFd.create(name() + " kick " + index);
        EventFd call = EventFd.create(name() + " call " + index);
        EventLoop.Registration registration = loop().onReady(call.fd(), events -> {
            if (call.take()) {
                calls.increment();
                queue.signal();
            }
        });
        rings[index] = new Ring(kick, call, registration);
        int position = queue.position();
        // A packed ring has two places, of what is available and what is used, which are the same with none in flight.
        int base = hasFeature(Feature.PACKED_RING) ? position << Short.SIZE | position : position;
        backEnd.startRing(index, memory.place(queue.layout()), base, kick.fd(), call.fd());
    }

    private void watched(VhostConnection backEnd) {
        if (started && backEnd.equals(connection) && !backEnd.isQuiet()) {
            lost(new IOException(backEnd + " is gone, or says what it was not asked for"));
        }
    }

    /** The back end is of no use any more: the driver is asked for a reset, after which there may be another one. */
    private void lost(IOException why) {
        LOG.log(Level.WARNING, "device " + name() + " has lost its back end", why);
        losses.increment();
        isLost = true;
        letGo();
        disconnect();
        needsReset(String.valueOf(why.getMessage()));
    }

    /** Takes the queues back. On return, the back end touches nothing of them, unless it does not answer. */
    private void stop() {
        VhostConnection backEnd = connection;
        if (started && backEnd != null) {
            try {
                for (int i = 0; i < rings.length; i++) {
                    if (rings[i] != null) {
                        takeBack(queue(i), backEnd);
                    }
                }
            } catch (IOException e) {
                lost(e);
            }
        }
        letGo();
    }

    private static void takeBack(DeviceQueue queue, VhostConnection backEnd) throws IOException {
        int position = backEnd.stopRing(queue.index());
        if (queue.isActive() && !queue.moveTo(position)) {
            throw new IOException(backEnd + " leaves ring " + queue.index() + " at " + position + ", which it has not");
        }
    }

    private void letGo() {
        started = false;
        EventLoop.Registration now = watch;
        if (now != null) {
            now.close();
            watch = null;
        }
        for (int i = 0; i < rings.length; i++) {
            Ring ring = rings[i];
            if (ring != null) {
                ring.close();
                rings[i] = null;
            }
        }
    }

    private void disconnect() {
        VhostConnection now = connection;
        if (now != null) {
            now.close();
            connection = null;
        }
    }

    @Override
    protected void reset() {
        stop();
        isLost = false;
    }

    @Override
    protected void queueStopped(DeviceQueue queue) {
        // Without queue reset, a driver does this to a queue only before it resets the device.
        stop();
    }

    @Override
    protected void quiesce() {
        stop();
        for (int i = 0; i < rings.length; i++) {
            if (queue(i).isActive()) {
                queue(i).notifyLater();
            }
        }
    }

    @Override
    public void close() {
        letGo();
        disconnect();
    }
}
