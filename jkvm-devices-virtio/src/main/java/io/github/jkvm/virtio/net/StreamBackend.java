package io.github.jkvm.virtio.net;

import io.github.jkvm.EventLoop;
import io.github.jkvm.EventSource;
import io.github.jkvm.HypervisorException;
import io.github.jkvm.kvm.KvmException;
import io.github.jkvm.kvm.ffi.Errno;
import java.lang.System.Logger.Level;
import java.net.SocketAddress;
import java.time.Duration;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A stream socket to a program that is the network, such as {@code passt}, or to another virtual machine monitor. Each frame is preceded by its
 * length in four bytes, the highest first, as with QEMU's {@code -netdev stream}.
 *
 * <p>{@snippet lang = java :
 * // passt --socket /run/user/1000/net.socket
 * var socket = UnixDomainSocketAddress.of("/run/user/1000/net.socket");
 * var net = NetDevice.builder("net0", StreamBackend.connect(socket)).mtu(65520).build();
 * }
 *
 * <p>The backend connects at once and stays connected while the guest's driver comes and goes. If the peer ends the connection, the guest sees its
 * link go down; whether and when to connect again is up to the program. Frames carry their checksums: nothing is left to the peer.
 */
public final class StreamBackend implements NetBackend {
    private static final System.Logger LOG = System.getLogger(StreamBackend.class.getName());

    private final SocketAddress address;
    private final @Nullable Duration reconnectAfter;
    private final StreamBuffer incoming = new StreamBuffer();
    private volatile @Nullable StreamSocket socket;
    private volatile LinkState link = LinkState.DOWN;
    private volatile boolean closed;
    private @Nullable EventLoop loop;
    private @Nullable Events events;
    private EventLoop.@Nullable Registration registration;
    private EventLoop.@Nullable Registration timer;

    private StreamBackend(SocketAddress address, @Nullable Duration reconnectAfter) {
        this.address = address;
        this.reconnectAfter = reconnectAfter;
    }

    /**
     * Connects once. When the connection ends, the guest's link is down for good.
     *
     * @param address a {@link java.net.UnixDomainSocketAddress} or an {@link java.net.InetSocketAddress}
     * @return the backend
     * @throws IllegalArgumentException if the address is of another kind, its host is not found, or its path is too long
     * @throws HypervisorException if there is nobody to connect to; the text tells what to do
     */
    public static StreamBackend connect(SocketAddress address) {
        var backend = new StreamBackend(address, null);
        backend.open();
        return backend;
    }

    /**
     * Connects, and again whenever the connection has ended. Nobody has to be there yet.
     *
     * @param address a {@link java.net.UnixDomainSocketAddress} or an {@link java.net.InetSocketAddress}
     * @param pause how long to wait before each new try, more than zero
     * @return the backend
     * @throws IllegalArgumentException if the pause is not positive, the address is of another kind, its host is not found, or its path is
     *     too long
     */
    public static StreamBackend connectAgain(SocketAddress address, Duration pause) {
        if (!pause.isPositive()) {
            throw new IllegalArgumentException("pause " + pause + " between connections must be more than zero");
        }
        var backend = new StreamBackend(address, pause);
        try {
            backend.open();
        } catch (KvmException e) {
            LOG.log(Level.DEBUG, "nobody is at {0} yet: {1}", address, e.getMessage());
        }
        return backend;
    }

    private void open() {
        StreamSocket opened = StreamSocket.open(address);
        incoming.clear();
        socket = opened;
        link = opened.isConnected() ? LinkState.UP : LinkState.DOWN;
    }

    @Override
    public int maxQueuePairs() {
        return 1;
    }

    @Override
    public Set<Offload> offloads() {
        return Set.of();
    }

    @Override
    public LinkState link() {
        return link;
    }

    @Override
    public void start(EventLoop on, Events to) {
        loop = on;
        events = to;
        if (socket == null) {
            reconnect();
        } else {
            watch();
        }
    }

    private void watch() {
        EventLoop on = loop;
        StreamSocket now = socket;
        if (on != null && now != null) {
            registration = on.onReady(now.fd(), this::ready);
        }
    }

    private void ready(int ready) {
        StreamSocket now = socket;
        Events to = events;
        if (now == null || to == null) {
            return;
        }
        if (!now.isConnected()) {
            int error = now.finishConnecting(ready);
            if (error != 0) {
                disconnect("could not connect: " + Errno.name(error));
                return;
            }
            if (!now.isConnected()) {
                return;
            }
            setLink(LinkState.UP);
        }
        if ((ready & EventSource.WRITABLE) != 0 && now.isFull()) {
            int error = now.flush();
            if (error != 0) {
                disconnect("could not send: " + Errno.name(error));
                return;
            }
            if (!now.isFull()) {
                to.writable(0);
            }
        }
        if ((ready & (EventSource.READABLE | EventSource.HANG_UP | EventSource.ERROR)) != 0) {
            to.readable(0);
        }
    }

    @Override
    public void guestAccepts(Set<Offload> accepted) {}

    @Override
    public void usePairs(int pairs) {}

    @Override
    public Sent send(int pair, Frame frame) {
        StreamSocket now = socket;
        if (now == null || !now.isConnected()) {
            return Sent.DROPPED;
        }
        if (now.isFull()) {
            return Sent.FULL;
        }
        int error = now.send(frame);
        if (error != 0) {
            disconnect("could not send: " + Errno.name(error));
            return Sent.DROPPED;
        }
        return Sent.TAKEN;
    }

    @Override
    public long receive(int pair, Frame room) {
        StreamSocket now = socket;
        if (now == null || !now.isConnected()) {
            return 0;
        }
        while (true) {
            long size = incoming.next(room);
            if (size > 0) {
                return size;
            }
            if (size == StreamBuffer.BROKEN) {
                disconnect("the peer announced a frame that is longer than " + Frame.MAX_SIZE + " bytes");
                return 0;
            }
            long count = now.fd().tryRead(incoming.room());
            if (count > 0) {
                incoming.added(count);
            } else if (count == 0) {
                disconnect("the peer has ended the connection");
                return 0;
            } else if (count == -Errno.EAGAIN) {
                return 0;
            } else if (count != -Errno.EINTR) {
                disconnect("could not receive: " + Errno.name((int) -count));
                return 0;
            }
        }
    }

    private void disconnect(String why) {
        LOG.log(Level.DEBUG, "connection to {0} is over: {1}", address, why);
        boolean waited = drop();
        setLink(LinkState.DOWN);
        EventLoop on = loop;
        Events to = events;
        if (waited && on != null && to != null) {
            // What the guest could not send so far is lost now, instead of being held up. Not from within a call of the
            // device.
            on.execute(() -> {
                if (to.equals(events)) {
                    to.writable(0);
                }
            });
        }
        reconnectLater();
    }

    /** Gives the socket back; tells whether the guest waits to send. */
    private boolean drop() {
        EventLoop.Registration watching = registration;
        registration = null;
        if (watching != null) {
            watching.close();
        }
        StreamSocket now = socket;
        socket = null;
        if (now == null) {
            return false;
        }
        now.close();
        return now.isFull();
    }

    private void setLink(LinkState state) {
        Events to = events;
        if (link != state) {
            link = state;
            if (to != null) {
                to.linkChanged(state);
            }
        }
    }

    private void reconnectLater() {
        EventLoop on = loop;
        Duration pause = reconnectAfter;
        if (on != null && pause != null && timer == null) {
            timer = on.schedule(pause, () -> {
                timer = null;
                reconnect();
            });
        }
    }

    private void reconnect() {
        if (reconnectAfter == null || closed || events == null) {
            return;
        }
        try {
            open();
        } catch (KvmException e) {
            LOG.log(Level.DEBUG, "nobody is at {0} yet: {1}", address, e.getMessage());
            reconnectLater();
            return;
        }
        if (link == LinkState.UP) {
            link = LinkState.DOWN;
            setLink(LinkState.UP);
        }
        watch();
    }

    @Override
    public void stop() {
        events = null;
        loop = null;
        EventLoop.Registration watching = registration;
        registration = null;
        if (watching != null) {
            watching.close();
        }
        EventLoop.Registration waiting = timer;
        timer = null;
        if (waiting != null) {
            waiting.close();
        }
    }

    @Override
    public void close() {
        closed = true;
        drop();
        link = LinkState.DOWN;
    }

    /** Returns the address. */
    @Override
    public String toString() {
        return "stream to " + address;
    }
}
