package io.github.jkvm.it.linux;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.util.HashSet;
import java.util.Set;

/** A host that sends back what comes on each TCP connection, and forgets its connections when it is closed, as a host does that is switched off. */
final class EchoPeer implements AutoCloseable {
    private static final int BYTES = 8192;

    private final ServerSocketChannel server;
    private final Set<SocketChannel> connections = new HashSet<>();
    private boolean closed;

    /** Serves at a port of an address of this host. */
    EchoPeer(InetAddress address, int port) throws IOException {
        server = ServerSocketChannel.open().bind(new InetSocketAddress(address, port));
        Thread.ofPlatform().daemon().name("echo").start(this::acceptAll);
    }

    private void acceptAll() {
        try {
            while (true) {
                SocketChannel connection = server.accept();
                // Closing sends no end of the stream: what the guest sends next is answered by a reset.
                connection.setOption(StandardSocketOptions.SO_LINGER, 0);
                if (!add(connection)) {
                    connection.close();
                    return;
                }
                Thread.ofPlatform().daemon().name("echo connection").start(() -> echo(connection));
            }
        } catch (IOException closing) {
            Thread.currentThread().setName("echo, ended by " + closing);
        }
    }

    private synchronized boolean add(SocketChannel connection) {
        return !closed && connections.add(connection);
    }

    private synchronized void remove(SocketChannel connection) {
        connections.remove(connection);
    }

    private void echo(SocketChannel connection) {
        try (connection) {
            ByteBuffer buffer = ByteBuffer.allocate(BYTES);
            while (connection.read(buffer.clear()) >= 0) {
                buffer.flip();
                while (buffer.hasRemaining()) {
                    connection.write(buffer);
                }
            }
            // This end is in good order: what was sent is to arrive.
            connection.setOption(StandardSocketOptions.SO_LINGER, -1);
        } catch (IOException gone) {
            Thread.currentThread().setName("echo, ended by " + gone);
        } finally {
            remove(connection);
        }
    }

    @Override
    public synchronized void close() throws IOException {
        closed = true;
        server.close();
        for (SocketChannel connection : connections) {
            connection.close();
        }
    }
}
