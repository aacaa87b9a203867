package io.github.jkvm.sandbox.linux;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.io.OutputStream;
import java.util.Objects;

/** What a command reads. A write waits until the command has taken most of what was written before. */
final class CommandInput extends OutputStream {
    /** As much as the agent keeps for a command that does not read. */
    private static final int WINDOW = 65_536;

    private final AgentConnection connection;

    /** Guarded by this, as is the rest. */
    private int room = WINDOW;

    private boolean deaf;
    private boolean closed;

    CommandInput(AgentConnection connection) {
        this.connection = connection;
    }

    /** Says that the command has taken bytes. */
    synchronized void grant(int bytes) {
        if (bytes <= 0 || bytes > WINDOW - room) {
            throw new AgentFault("the agent took more input than it was given: " + bytes);
        }
        room += bytes;
        notifyAll();
    }

    /** Says that no one reads any more. */
    synchronized void deafen() {
        deaf = true;
        notifyAll();
    }

    @Override
    public void write(int value) throws IOException {
        write(new byte[] {(byte) value}, 0, 1);
    }

    /**
     * Writes bytes.
     *
     * @throws IOException if the command reads no more, or this is closed
     */
    @Override
    public void write(byte[] bytes, int offset, int length) throws IOException {
        Objects.checkFromIndexSize(offset, length, bytes.length);
        int done = 0;
        while (done < length) {
            int from = offset + done;
            int count = takeRoom(length - done);
            try {
                connection.send(FrameType.INPUT, out -> out.put(bytes, from, count));
            } catch (AgentFault fault) {
                throw new IOException("the command is over", fault);
            }
            done += count;
        }
    }

    private synchronized int takeRoom(int wanted) throws IOException {
        try {
            while (room == 0 && !deaf && !closed) {
                wait();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            var interrupted = new InterruptedIOException("interrupted while the command does not read");
            interrupted.initCause(e);
            throw interrupted;
        }
        if (closed || deaf) {
            throw new IOException(closed ? "the command's input is closed" : "the command reads no more input");
        }
        int count = Math.min(room, wanted);
        room -= count;
        return count;
    }

    /** Ends the input. Closing twice, or after the command has ended, does nothing. */
    @Override
    public void close() {
        synchronized (this) {
            boolean tell = !closed && !deaf;
            closed = true;
            notifyAll();
            if (!tell) {
                return;
            }
        }
        try {
            connection.send(FrameType.END);
        } catch (AgentFault fault) {
            // There is no one left who could read; who waits for the command's end hears why.
            deafen();
        }
    }
}
