package io.github.jkvm.virtio.vsock;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.ByteChannel;
import java.nio.channels.spi.AbstractInterruptibleChannel;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * A connection between the program and the guest: a stream of bytes each way.
 *
 * <p>Reads and writes wait; any thread may close the channel meanwhile, and a thread that is interrupted while it waits closes it, as is the rule for
 * {@link java.nio.channels.InterruptibleChannel}s. {@link java.nio.channels.Channels} makes streams of it. What was written before it was closed
 * is still sent, as long as the guest takes it within the device's {@linkplain VsockBuilder#linger linger time}.
 *
 * <p>Safe for use by many threads; bytes of writes at the same time may mix.
 */
public final class VsockChannel extends AbstractInterruptibleChannel implements ByteChannel {
    private final Connection connection;
    private volatile @Nullable Duration timeout;

    VsockChannel(Connection connection) {
        this.connection = connection;
    }

    /**
     * Returns the port on the host's side.
     *
     * @return the port, 0 to 2<sup>32</sup>-1
     */
    public long hostPort() {
        return Integer.toUnsignedLong(connection.hostPort());
    }

    /**
     * Returns the port on the guest's side.
     *
     * @return the port, 0 to 2<sup>32</sup>-1
     */
    public long guestPort() {
        return Integer.toUnsignedLong(connection.guestPort());
    }

    /**
     * Limits how long a read or a write waits for the guest, from the next one on.
     *
     * @param longest how long, at most; null for as long as it takes, which is what it is if not set
     */
    public void setTimeout(@Nullable Duration longest) {
        timeout = longest;
    }

    /**
     * Reads bytes, at least one if there is room for it.
     *
     * @param target where they go
     * @return how many were read; -1 once the guest has ended its direction, or the connection, and all is read
     * @throws java.net.SocketTimeoutException if there are none within the timeout
     * @throws java.nio.channels.ClosedByInterruptException if the thread is interrupted, before or meanwhile
     * @throws java.nio.channels.ClosedChannelException if the channel is closed, before or meanwhile
     */
    @Override
    public int read(ByteBuffer target) throws IOException {
        if (!target.hasRemaining()) {
            return 0;
        }
        boolean done = false;
        int count = 0;
        begin();
        try {
            count = connection.fromGuest().read(MemorySegment.ofBuffer(target), timeout);
            done = true;
        } catch (InterruptedException e) {
            closeInterrupted();
        } finally {
            end(done);
        }
        if (count > 0) {
            target.position(target.position() + count);
            connection.consumed(count);
        }
        return count;
    }

    /**
     * Writes all bytes. Waits while the guest has no room for them.
     *
     * @param source the bytes; after an exception, its position tells how many were written
     * @return how many there were
     * @throws java.net.SocketTimeoutException if there is no room for even one within the timeout
     * @throws java.nio.channels.ClosedByInterruptException if the thread is interrupted, before or meanwhile
     * @throws java.nio.channels.ClosedChannelException if the channel or its output is closed, before or meanwhile
     * @throws IOException if the guest has ended the connection or takes no more bytes
     */
    @Override
    public int write(ByteBuffer source) throws IOException {
        int total = source.remaining();
        boolean done = false;
        begin();
        try {
            while (source.hasRemaining()) {
                int count = connection.toGuest().write(MemorySegment.ofBuffer(source), timeout);
                source.position(source.position() + count);
            }
            done = true;
        } catch (InterruptedException e) {
            closeInterrupted();
        } finally {
            end(done);
        }
        return total;
    }

    /**
     * Closes the channel in a thread whose waiting was interrupted. The one who interrupts does so as well, but may not have come to it yet; {@link #end}
     * throws {@link java.nio.channels.ClosedByInterruptException} only if it was done by {@link #begin} or by that one.
     */
    private void closeInterrupted() {
        Thread.currentThread().interrupt();
        begin();
    }

    /** Ends the stream to the guest, after what was written. Reading goes on. */
    public void shutdownOutput() {
        connection.toGuest().closeWriter();
    }

    /** Ends the stream from the guest, which is told so; what it sent and was not read is dropped. Writing goes on. */
    public void shutdownInput() {
        connection.fromGuest().closeReader();
    }

    @Override
    protected void implCloseChannel() {
        connection.release();
    }

    /** Returns the ports and the state. */
    @Override
    public String toString() {
        return connection.toString();
    }
}
