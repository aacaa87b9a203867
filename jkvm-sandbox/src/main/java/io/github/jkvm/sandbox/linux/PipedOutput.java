package io.github.jkvm.sandbox.linux;

import java.io.IOException;
import java.io.InputStream;
import java.io.InterruptedIOException;
import java.nio.ByteBuffer;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** Output that is read when someone likes to: until then the command waits, once it has written {@link CommandSession#WINDOW} bytes. */
public final class PipedOutput extends InputStream implements OutputSink {
    /** Holds as much as may be on its way. Guarded by this, as is the rest. */
    private final byte[] ring = new byte[CommandSession.WINDOW];

    private int start;
    private int size;
    private boolean ended;
    private boolean closed;
    private @Nullable Credit credit;

    /** Creates an empty pipe. */
    public PipedOutput() {}

    @Override
    public synchronized void begin(Credit more) {
        credit = more;
    }

    @Override
    public void accept(ByteBuffer bytes) {
        int count = bytes.remaining();
        if (isDropped()) {
            grant(count);
            return;
        }
        synchronized (this) {
            // There is room: the agent sends no more than was granted, and CommandSession looks after that.
            int end = (start + size) % ring.length;
            int first = Math.min(count, ring.length - end);
            bytes.get(ring, end, first).get(ring, 0, count - first);
            size += count;
            notifyAll();
        }
    }

    private synchronized boolean isDropped() {
        return closed;
    }

    @Override
    public synchronized void end() {
        ended = true;
        notifyAll();
    }

    @Override
    public int read() throws IOException {
        byte[] one = new byte[1];
        return read(one, 0, 1) < 0 ? -1 : Byte.toUnsignedInt(one[0]);
    }

    @Override
    public int read(byte[] target, int offset, int length) throws IOException {
        Objects.checkFromIndexSize(offset, length, target.length);
        if (length == 0) {
            return 0;
        }
        int count = take(target, offset, length);
        if (count > 0) {
            grant(count);
        }
        return count;
    }

    private synchronized int take(byte[] target, int offset, int length) throws IOException {
        try {
            while (size == 0 && !ended && !closed) {
                wait();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            var interrupted = new InterruptedIOException("interrupted while the command writes nothing");
            interrupted.initCause(e);
            throw interrupted;
        }
        if (closed) {
            throw new IOException("this stream is closed");
        }
        if (size == 0) {
            return -1;
        }
        int count = Math.min(length, size);
        int first = Math.min(count, ring.length - start);
        System.arraycopy(ring, start, target, offset, first);
        System.arraycopy(ring, 0, target, offset + first, count - first);
        start = (start + count) % ring.length;
        size -= count;
        return count;
    }

    private void grant(int bytes) {
        try {
            Objects.requireNonNull(credit(), "output comes after the start").grant(bytes);
        } catch (AgentFault fault) {
            // The command is over; who waits for its end hears why.
            end();
        }
    }

    private synchronized @Nullable Credit credit() {
        return credit;
    }

    @Override
    public synchronized int available() {
        return size;
    }

    /** Drops what is there and what comes. */
    @Override
    public void close() {
        int dropped;
        synchronized (this) {
            if (closed) {
                return;
            }
            closed = true;
            dropped = size;
            size = 0;
            notifyAll();
        }
        if (dropped > 0) {
            grant(dropped);
        }
    }
}
