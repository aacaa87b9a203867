package io.github.jkvm.virtio.vsock;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.net.SocketTimeoutException;
import java.nio.channels.AsynchronousCloseException;
import java.nio.channels.Channel;
import java.nio.channels.ClosedChannelException;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/** Takes the guest's connections to one port. Safe for use by many threads. */
public final class VsockListener implements Channel {
    /** How many connections wait to be accepted, at most; the guest's further ones are refused. */
    public static final int BACKLOG = 128;

    private final VsockDevice device;
    private final int port;
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();
    private final Queue<VsockChannel> waiting = new ArrayDeque<>();
    private boolean closed;

    VsockListener(VsockDevice device, int port) {
        this.device = device;
        this.port = port;
    }

    int rawPort() {
        return port;
    }

    /**
     * Returns the port that the guest connects to.
     *
     * @return the port, 0 to 2<sup>32</sup>-2
     */
    public long port() {
        return Integer.toUnsignedLong(port);
    }

    /**
     * Waits for a connection.
     *
     * @return the connection
     * @throws ClosedChannelException if the listener is closed, before or meanwhile
     * @throws InterruptedIOException if the thread is interrupted while it waits
     */
    public VsockChannel accept() throws IOException {
        return acceptWithin(null);
    }

    /**
     * Waits for a connection.
     *
     * @param timeout how long, at most
     * @return the connection
     * @throws SocketTimeoutException if there is none in time
     * @throws ClosedChannelException if the listener is closed, before or meanwhile
     * @throws InterruptedIOException if the thread is interrupted while it waits
     */
    public VsockChannel accept(Duration timeout) throws IOException {
        return acceptWithin(timeout);
    }

    private VsockChannel acceptWithin(@Nullable Duration timeout) throws IOException {
        long left = timeout == null ? 0 : timeout.toNanos();
        lock.lock();
        try {
            if (closed) {
                throw new ClosedChannelException();
            }
            while (waiting.isEmpty() && !closed) {
                if (timeout == null) {
                    changed.await();
                } else if (left <= 0) {
                    throw new SocketTimeoutException("no connection of the guest to port " + port() + " in " + timeout);
                } else {
                    left = changed.awaitNanos(left);
                }
            }
            VsockChannel next = waiting.poll();
            if (next == null) {
                throw new AsynchronousCloseException();
            }
            return next;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new InterruptedIOException("interrupted while waiting for a connection to port " + port());
        } finally {
            lock.unlock();
        }
    }

    /** Takes a connection, or refuses it. On the loop. */
    void requested(Connection connection) {
        boolean taken;
        lock.lock();
        try {
            taken = !closed && waiting.size() < BACKLOG;
            if (taken) {
                waiting.add(new VsockChannel(connection));
                changed.signal();
            }
        } finally {
            lock.unlock();
        }
        if (taken) {
            connection.accept();
        } else {
            connection.refuse();
        }
    }

    @Override
    public boolean isOpen() {
        lock.lock();
        try {
            return !closed;
        } finally {
            lock.unlock();
        }
    }

    /** Listens no more, and closes the connections that were not accepted. Closing twice does nothing. */
    @Override
    public void close() {
        List<VsockChannel> left;
        lock.lock();
        try {
            closed = true;
            left = new ArrayList<>(waiting);
            waiting.clear();
            changed.signalAll();
        } finally {
            lock.unlock();
        }
        device.unlisten(this);
        for (VsockChannel channel : left) {
            try {
                channel.close();
            } catch (IOException e) {
                throw new AssertionError("closing a connection does nothing that fails", e);
            }
        }
    }

    /** Returns the port. */
    @Override
    public String toString() {
        return "listener on port " + port() + " of " + device.name();
    }
}
