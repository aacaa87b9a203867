package io.github.jkvm.virtio.vsock;

import java.io.IOException;
import java.lang.System.Logger.Level;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;

/**
 * Offers a {@link VsockDevice} to programs of the host through Unix sockets, by Firecracker's convention (Firecracker, docs/vsock.md). Made by
 * {@link VsockDevice#unixSockets}.
 *
 * <p>All of its sockets are served by one thread. Safe for use by many threads.
 */
public final class VsockUnixSockets implements AutoCloseable {
    private static final System.Logger LOG = System.getLogger(VsockUnixSockets.class.getName());

    private final VsockDevice device;
    private final Path path;
    private final Selector selector;
    private final ServerSocketChannel server;
    private final Thread thread;
    private final Queue<Runnable> tasks = new ConcurrentLinkedQueue<>();
    private final Set<UnixRelay> relays = new HashSet<>();
    private volatile boolean closing;

    /** Set when nothing is served any more. Code given after that finds all closed, and gives up what it has. */
    private volatile boolean ended;

    private VsockUnixSockets(VsockDevice device, Path path, Selector selector, ServerSocketChannel server) {
        this.device = device;
        this.path = path;
        this.selector = selector;
        this.server = server;
        this.thread = Thread.ofPlatform()
                .daemon()
                .name(device.name() + " unix sockets")
                .unstarted(this::serve);
    }

    static VsockUnixSockets open(VsockDevice device, Path path) throws IOException {
        Selector selector = Selector.open();
        ServerSocketChannel server = null;
        try {
            server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
            server.bind(UnixDomainSocketAddress.of(path));
            server.configureBlocking(false);
            server.register(selector, SelectionKey.OP_ACCEPT);
            var sockets = new VsockUnixSockets(device, path, selector, server);
            sockets.thread.start();
            return sockets;
        } catch (Throwable t) {
            selector.close();
            if (server != null) {
                server.close();
            }
            throw t;
        }
    }

    /**
     * Returns where host programs connect to.
     *
     * @return the path of the socket
     */
    public Path path() {
        return path;
    }

    /** On the device's loop; connecting is for this object's thread. */
    void requested(Connection connection) {
        run(() -> toHost(connection));
    }

    /** Has code run on the thread of the sockets. */
    void run(Runnable code) {
        tasks.add(code);
        if (ended) {
            runTasks();
        } else {
            selector.wakeup();
        }
    }

    private void runTasks() {
        Runnable task = tasks.poll();
        while (task != null) {
            task.run();
            task = tasks.poll();
        }
    }

    private void toHost(Connection connection) {
        Path target = Path.of(path + "_" + Integer.toUnsignedString(connection.hostPort()));
        try {
            SocketChannel socket = SocketChannel.open(StandardProtocolFamily.UNIX);
            try {
                socket.configureBlocking(false);
                if (!socket.connect(UnixDomainSocketAddress.of(target))) {
                    throw new IOException(target + " does not accept connections fast enough");
                }
                var relay = new UnixRelay(this, device, socket, socket.register(selector, 0));
                relays.add(relay);
                connection.accept();
                relay.relay(connection);
            } catch (IOException | RuntimeException e) {
                socket.close();
                throw e;
            }
        } catch (IOException | RuntimeException e) {
            LOG.log(Level.DEBUG, "a connection of the guest is refused", e);
            connection.refuse();
        }
    }

    private void accept() throws IOException {
        SocketChannel socket = server.accept();
        if (socket == null) {
            return;
        }
        if (relays.size() >= 2 * VsockBuilder.MOST_CONNECTIONS) {
            socket.close();
            return;
        }
        socket.configureBlocking(false);
        SelectionKey key = socket.register(selector, SelectionKey.OP_READ);
        var relay = new UnixRelay(this, device, socket, key);
        key.attach(relay);
        relays.add(relay);
    }

    /** A relay is over. On the thread of the sockets. */
    void ended(UnixRelay relay) {
        relays.remove(relay);
    }

    private void serve() {
        try {
            while (!closing) {
                selector.select();
                runTasks();
                for (SelectionKey key : selector.selectedKeys()) {
                    serve(key);
                }
                selector.selectedKeys().clear();
            }
        } catch (IOException | RuntimeException e) {
            LOG.log(Level.ERROR, "the Unix sockets of " + device.name() + " are closed, since they failed", e);
        } finally {
            end();
        }
    }

    private void serve(SelectionKey key) {
        if (key.attachment() instanceof UnixRelay relay) {
            relay.ready();
        } else {
            try {
                accept();
            } catch (IOException e) {
                LOG.log(Level.WARNING, "a program of the host could not connect to " + path, e);
            }
        }
    }

    private void end() {
        closing = true;
        for (UnixRelay relay : Set.copyOf(relays)) {
            relay.close();
        }
        try {
            server.close();
            selector.close();
            Files.deleteIfExists(path);
        } catch (IOException e) {
            LOG.log(Level.WARNING, "the Unix socket " + path + " could not be removed", e);
        }
        ended = true;
        runTasks();
        device.unixSocketsClosed();
    }

    /** Ends all connections made through the sockets, and removes the socket. Closing twice does nothing. */
    @Override
    public void close() {
        closing = true;
        selector.wakeup();
        boolean interrupted = false;
        while (!Thread.currentThread().equals(thread)) {
            try {
                thread.join();
                break;
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
