package io.github.jkvm.virtio.vsock;

import io.github.jkvm.DeviceState;
import io.github.jkvm.EventLoop;
import io.github.jkvm.virtio.ConfigSpace;
import io.github.jkvm.virtio.DeviceQueue;
import io.github.jkvm.virtio.Feature;
import io.github.jkvm.virtio.VirtioDevice;
import io.github.jkvm.virtio.queue.DescriptorChain;
import io.github.jkvm.virtio.vsock.Connection.State;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.net.BindException;
import java.net.ConnectException;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * The socket device (virtio 1.2, 5.10): stream connections between programs of the guest, which use {@code AF_VSOCK}, and the host program,
 * without a network.
 *
 * <p>{@snippet lang = java :
 * VsockDevice vsock = VsockDevice.builder("vsock0", 3).build();
 * VsockListener listener = vsock.listen(5000);            // the guest connects to CID 2, port 5000
 * VsockChannel fromGuest = listener.accept();
 * VsockChannel toGuest = vsock.connect(22, Duration.ofSeconds(5)); // something in the guest listens on port 22
 * }
 *
 * <p>For programs that know Firecracker's convention of Unix sockets, see {@link #unixSockets}.
 *
 * <p>All connections are served by the machine's event loop. Each has two buffers of a fixed size, and there is a limit on their number: the guest
 * can't make the host use more. A guest that sends more than it was told there is room for loses the connection. Connections do not outlast a
 * reset of the device or a restore of a saved state: then their channels end, and the guest is told the end of each. A guest that is restored with
 * another address is told to read it, upon which it drops all connections it has at that moment (virtio 1.2, 5.10.6.7).
 *
 * <p>Counters: {@code bytesFromGuest}, {@code bytesToGuest}, {@code connections} made either way, those {@code refused}, {@code badPackets} that
 * no driver should send, {@code shortBuffers} without room for a header, {@code resetsDropped} that the guest gave no buffers for.
 */
public final class VsockDevice extends VirtioDevice {
    /** What it is (virtio 1.2, 5.10.1). */
    public static final int DEVICE_ID = 19;

    /** The host's address (virtio 1.2, 5.10.4). */
    public static final int HOST_CID = 2;

    /** {@code VIRTIO_VSOCK_F_STREAM}: stream sockets. */
    private static final int STREAM = 0;

    private static final int RECEIVE = 0;
    private static final int TRANSMIT = 1;
    private static final int EVENT = 2;
    private static final int QUEUE_SIZE = 256;
    private static final int EVENT_QUEUE_SIZE = 16;
    private static final int CONFIG_BYTES = 8;

    /** {@code VIRTIO_VSOCK_EVENT_TRANSPORT_RESET} (virtio 1.2, 5.10.6.7). */
    private static final int TRANSPORT_RESET = 0;

    /** Where the ports begin that connections of the program come from, beyond those that people choose. */
    private static final int FIRST_EPHEMERAL = 0x4000_0000;

    private static final int EPHEMERAL_PORTS = 0x4000_0000;

    private final int guestCid;
    private final int bufferSize;
    private final Budget budget;
    private final Map<Integer, VsockListener> listeners = new ConcurrentHashMap<>();
    private final AtomicInteger ephemeral = new AtomicInteger();
    private volatile @Nullable VsockUnixSockets otherPorts;
    private volatile boolean closed;

    private final Connections connections;
    private final DescriptorChain eventChain = new DescriptorChain();

    /** Whether the guest is still to be told to drop its connections. On the loop. */
    private boolean resetDue;

    VsockDevice(VsockBuilder builder) {
        super(
                builder.name(),
                DEVICE_ID,
                new ConfigSpace(CONFIG_BYTES).setLong(0, builder.guestCid()),
                QUEUE_SIZE,
                QUEUE_SIZE,
                EVENT_QUEUE_SIZE);
        guestCid = builder.guestCid();
        bufferSize = builder.bufferSize();
        budget = new Budget(builder.maxConnections());
        connections = new Connections(this, builder.maxConnections(), builder.linger(), this::counter);
    }

    /**
     * Begins a device.
     *
     * @param name a name, unique in its machine, such as {@code vsock0}
     * @param guestCid the guest's address, 3 to 2147483647
     * @return a builder
     * @throws IllegalArgumentException if the address is out of range
     */
    public static VsockBuilder builder(String name, int guestCid) {
        return new VsockBuilder(name, guestCid);
    }

    /**
     * Returns the guest's address.
     *
     * @return the CID
     */
    public int guestCid() {
        return guestCid;
    }

    /**
     * Connects to a program in the guest. Waits, also for a guest that has not started its driver yet.
     *
     * @param port what the program listens on, 0 to 2<sup>32</sup>-2
     * @param timeout how long to wait at most
     * @return the connection
     * @throws ConnectException if nothing listens there
     * @throws SocketTimeoutException if the guest does not answer in time
     * @throws InterruptedIOException if the thread is interrupted while it waits
     * @throws IOException if there are as many connections as there may be, or the device is reset or closed meanwhile
     * @throws IllegalArgumentException if the port is out of range
     * @throws IllegalStateException if the device is not attached to a machine yet
     */
    public VsockChannel connect(long port, Duration timeout) throws IOException {
        Connection connection = begin(checkPort(port));
        try {
            connection.established().get(timeout.toNanos(), TimeUnit.NANOSECONDS);
            return new VsockChannel(connection);
        } catch (ExecutionException e) {
            connection.release();
            throw failed(port, e.getCause());
        } catch (TimeoutException e) {
            giveUp(connection);
            throw new SocketTimeoutException(name() + ": the guest did not answer on port " + port + " in " + timeout
                    + "; is its driver loaded?");
        } catch (InterruptedException e) {
            giveUp(connection);
            Thread.currentThread().interrupt();
            throw new InterruptedIOException("interrupted while connecting to port " + port + " of " + name());
        }
    }

    private static IOException failed(long port, @Nullable Throwable cause) {
        String text = "no connection to port " + port + " of the guest: " + (cause == null ? "" : cause.getMessage());
        IOException e = cause instanceof ConnectException ? new ConnectException(text) : new IOException(text);
        e.initCause(cause);
        return e;
    }

    private void giveUp(Connection connection) {
        connections.endSoon(connection, "the program gave up");
        connection.release();
    }

    /** Begins to connect; what comes of it is in the connection's future. */
    Connection begin(int guestPort) throws IOException {
        loop();
        if (closed) {
            throw new SocketException(name() + " is closed");
        }
        if (!budget.tryTake()) {
            throw new SocketException(name() + " has " + budget.limit()
                    + " connections, which is its limit; close some or raise maxConnections");
        }
        int hostPort = FIRST_EPHEMERAL + Math.floorMod(ephemeral.getAndIncrement(), EPHEMERAL_PORTS);
        var connection = new Connection(this, hostPort, guestPort, bufferSize, State.CONNECTING);
        runOnLoop(() -> connections.begin(connection, closed));
        return connection;
    }

    /**
     * Listens for connections of the guest.
     *
     * @param port the port that the guest connects to, 0 to 2<sup>32</sup>-2
     * @return the listener
     * @throws BindException if something listens there already
     * @throws IllegalArgumentException if the port is out of range
     */
    public VsockListener listen(long port) throws BindException {
        var listener = new VsockListener(this, checkPort(port));
        if (closed || listeners.putIfAbsent(listener.rawPort(), listener) != null) {
            throw new BindException(
                    "port " + port + " of " + name() + " has a listener already, or the device is closed");
        }
        return listener;
    }

    @Nullable
    VsockListener listenerOn(int port) {
        return listeners.get(port);
    }

    void unlisten(VsockListener listener) {
        listeners.remove(listener.rawPort(), listener);
    }

    /**
     * Offers the device to programs of the host as Firecracker does: a program that connects to a Unix socket at {@code path} and sends
     * {@code CONNECT} with a port gets {@code OK} and is connected to that port of the guest; a connection of the guest to a port on which no
     * {@link #listen listener} is goes to the Unix socket at {@code path}{@code _}{@code port}.
     *
     * @param path where the socket is made; must not exist, and is removed in the end
     * @return what offers it; closing it ends its connections
     * @throws IOException if the socket can't be made
     * @throws IllegalStateException if there is one already
     */
    public VsockUnixSockets unixSockets(Path path) throws IOException {
        synchronized (listeners) {
            if (closed || otherPorts != null) {
                throw new IllegalStateException(name() + " offers Unix sockets already, or is closed");
            }
            VsockUnixSockets sockets = VsockUnixSockets.open(this, path);
            otherPorts = sockets;
            return sockets;
        }
    }

    void unixSocketsClosed() {
        otherPorts = null;
    }

    private static int checkPort(long port) {
        // The greatest number means any port (Linux, include/uapi/linux/vm_sockets.h, VMADDR_PORT_ANY).
        if (port < 0 || port >= 0xFFFF_FFFFL) {
            throw new IllegalArgumentException("port " + port + " must be from 0 to 4294967294");
        }
        return (int) port;
    }

    Budget budget() {
        return budget;
    }

    /* For connections. */

    Connections connections() {
        return connections;
    }

    int bufferSize() {
        return bufferSize;
    }

    boolean isLive() {
        return isActive();
    }

    DeviceQueue receiveQueue() {
        return queue(RECEIVE);
    }

    DeviceQueue transmitQueue() {
        return queue(TRANSMIT);
    }

    void post(Runnable code) {
        runOnLoop(code);
    }

    EventLoop.Registration after(Duration delay, Runnable code) {
        return loop().schedule(delay, code);
    }

    /** Whether the program may want a connection of the guest to a port. */
    boolean listensOn(int port) {
        return listeners.containsKey(port) || otherPorts != null;
    }

    /** Lets the program decide about a connection of the guest. */
    void requested(Connection connection) {
        VsockListener listener = listenerOn(connection.hostPort());
        VsockUnixSockets sockets = otherPorts;
        if (listener != null) {
            listener.requested(connection);
        } else if (sockets != null) {
            sockets.requested(connection);
        } else {
            connection.refuse();
        }
    }

    /* The device, on the loop. */

    @Override
    protected long features() {
        return Feature.mask(STREAM);
    }

    @Override
    protected void activate() {
        resetDue = false;
    }

    @Override
    protected void notified(DeviceQueue queue) {
        switch (queue.index()) {
            case RECEIVE -> connections.send();
            case TRANSMIT -> connections.receive();
            default -> sendEvent();
        }
    }

    private void sendEvent() {
        if (!isActive()) {
            return;
        }
        DeviceQueue queue = queue(EVENT);
        while (resetDue) {
            if (queue.pop(eventChain)) {
                if (eventChain.writer().has(Integer.BYTES)) {
                    eventChain.writer().putInt(TRANSPORT_RESET);
                    resetDue = false;
                }
                queue.complete(eventChain, eventChain.writer().position());
            } else if (!queue.enableNotifications()) {
                break;
            }
        }
        queue.interrupt();
    }

    @Override
    protected void reset() {
        connections.endAll("the guest has reset the device");
    }

    /** Of a connection no more is saved than that the guest knows of it: the other end is not saved. */
    @Override
    protected void save(DeviceState state) {
        connections.save(state);
        state.putNumber("nextPort", ephemeral.get());
    }

    @Override
    protected void restore(DeviceState state) {
        long savedCid = config().get(0, Long.BYTES);
        connections.restore(state, savedCid);
        // The guest's programs may still hold the ends of old connections, whose ports a new one must not have.
        ephemeral.set((int) state.number("nextPort", Integer.MIN_VALUE, Integer.MAX_VALUE));
        // A clone may have another address than the machine that was saved. Only then the guest is to take notice of
        // it; one that keeps its address
        // could do so late, and drop connections that were made meanwhile.
        config().setLong(0, guestCid);
        resetDue = isActive() && savedCid != guestCid;
    }

    @Override
    public void close() {
        closed = true;
        connections.endAll("the device is closed");
        for (VsockListener listener : listeners.values()) {
            listener.close();
        }
        VsockUnixSockets sockets;
        synchronized (listeners) {
            sockets = otherPorts;
        }
        if (sockets != null) {
            sockets.close();
        }
    }
}
