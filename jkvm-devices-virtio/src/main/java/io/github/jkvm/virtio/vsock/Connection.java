package io.github.jkvm.virtio.vsock;

import io.github.jkvm.EventLoop;
import io.github.jkvm.virtio.pipe.BytePipe;
import io.github.jkvm.virtio.queue.ChainReader;
import java.io.IOException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * One connection: its two pipes, how far it is, and what the guest is to be told of it (virtio 1.2, 5.10.6).
 *
 * <p>The pipes and {@link #consumed} are used by threads of the program; all else is on the loop. What is to be told is a set of flags and what is
 * in the pipe, so that it takes a bounded space however long the guest gives no buffers.
 */
final class Connection {
    /** How far a connection is. */
    enum State {
        /** The guest has asked for it. */
        REQUESTED,
        /** The program has asked for it. */
        CONNECTING,
        ESTABLISHED,
        /** It is no more; what was received can still be read. */
        CLOSED
    }

    private static final int REQUEST = 1;
    private static final int RESPONSE = 2;
    private static final int CREDIT_UPDATE = 4;
    private static final int CREDIT_REQUEST = 8;

    private final VsockDevice device;
    private final int hostPort;
    private final int guestPort;
    private final BytePipe fromGuest;
    private final BytePipe toGuest;
    private final int bufferSize;
    private final CompletableFuture<Connection> established = new CompletableFuture<>();

    /** How many bytes the program has taken in all, modulo 2^32. */
    private final AtomicInteger forwarded = new AtomicInteger();

    /** Who still has it: the device's table, and the program. */
    private final AtomicInteger holders = new AtomicInteger(2);

    private final AtomicBoolean programDone = new AtomicBoolean();
    private State state;
    private int pending;
    private boolean requestSent;
    private boolean queued;

    /** What the guest last told of itself, and how many bytes it was sent in all, modulo 2^32. */
    private int peerBufferSize;

    private int peerForwarded;
    private int sent;
    private boolean creditAsked;

    /** What the guest was last told, and how many bytes it has sent in all, modulo 2^32. */
    private volatile int forwardedTold;

    private int received;

    private int shutdownSent;
    private int shutdownReceived;
    private EventLoop.@Nullable Registration timer;

    Connection(VsockDevice device, int hostPort, int guestPort, int bufferSize, State state) {
        this.device = device;
        this.hostPort = hostPort;
        this.guestPort = guestPort;
        this.bufferSize = bufferSize;
        this.state = state;
        Runnable wake = () -> device.connections().wake(this);
        this.fromGuest = new BytePipe(bufferSize, wake);
        this.toGuest = new BytePipe(bufferSize, wake);
    }

    long key() {
        return ConnectionTable.key(hostPort, guestPort);
    }

    int hostPort() {
        return hostPort;
    }

    int guestPort() {
        return guestPort;
    }

    BytePipe fromGuest() {
        return fromGuest;
    }

    BytePipe toGuest() {
        return toGuest;
    }

    VsockDevice device() {
        return device;
    }

    /** Done when it is established, or failed if it can't be. */
    CompletableFuture<Connection> established() {
        return established;
    }

    /* What the program does, on any thread. */

    /** The program has taken bytes: the guest may send as many more. */
    void consumed(int bytes) {
        int total = forwarded.addAndGet(bytes);
        // Telling it each few bytes would cost a packet each; a guest that waits for room is told before it has none.
        if (total - forwardedTold >= bufferSize / 4) {
            device.connections().wake(this);
        }
    }

    /** Lets the guest have the connection that it asked for. */
    void accept() {
        device.connections().acceptSoon(this);
    }

    /** Does not let the guest have the connection that it asked for. */
    void refuse() {
        device.connections().endSoon(this, "the program does not want it");
        release();
    }

    /** The program has no more use of it: both ends are closed, what was written is still sent. */
    void release() {
        if (!programDone.compareAndSet(false, true)) {
            return;
        }
        // Before the guest can learn of it: one that answers at once finds the place free.
        drop();
        fromGuest.closeReader();
        toGuest.closeWriter();
        device.connections().wake(this);
    }

    /** One who had it has it no more. */
    private void drop() {
        if (holders.decrementAndGet() == 0) {
            device.budget().giveBack();
        }
    }

    /* On the loop. */

    State state() {
        return state;
    }

    boolean isQueued() {
        return queued;
    }

    void setQueued(boolean inQueue) {
        queued = inQueue;
    }

    EventLoop.@Nullable Registration timer() {
        return timer;
    }

    void setTimer(EventLoop.@Nullable Registration newTimer) {
        EventLoop.Registration old = timer;
        timer = newTimer;
        if (old != null) {
            old.close();
        }
    }

    void request() {
        pending |= REQUEST;
    }

    void answerCredit() {
        pending |= CREDIT_UPDATE;
    }

    /** The program wants the connection that the guest asked for; false if it is no more. */
    boolean accepted() {
        if (state != State.REQUESTED) {
            return false;
        }
        state = State.ESTABLISHED;
        pending |= RESPONSE;
        return true;
    }

    /** The guest has answered; false if it was not asked. */
    boolean answered() {
        if (state != State.CONNECTING || !requestSent) {
            return false;
        }
        state = State.ESTABLISHED;
        established.complete(this);
        return true;
    }

    boolean guestKnows() {
        return state == State.REQUESTED || state == State.ESTABLISHED || requestSent;
    }

    /** Takes note of what each packet of the guest tells of its buffer. */
    void peerCredit(PacketHeader header) {
        peerBufferSize = header.bufferSize;
        peerForwarded = header.forwarded;
        creditAsked = false;
    }

    /** How many bytes the guest has room for, in as far as it can be believed. */
    int credit() {
        long inFlight = Integer.toUnsignedLong(sent - peerForwarded);
        long room = Integer.toUnsignedLong(peerBufferSize) - inFlight;
        return (int) Math.max(0, Math.min(room, Integer.MAX_VALUE));
    }

    /** Takes bytes of the guest; false if it has sent more than it was told there is room for. */
    boolean receive(ChainReader reader, int length) {
        if ((shutdownReceived & PacketHeader.SHUTDOWN_SEND) != 0) {
            return false;
        }
        if (fromGuest.isReaderClosed()) {
            // No one is there to take them, so they count as taken.
            received += length;
            forwarded.addAndGet(length);
            reader.skip(length);
            return true;
        }
        if (Integer.toUnsignedLong(received + length - forwarded.get()) > bufferSize) {
            return false;
        }
        received += length;
        return fromGuest.fill(reader, length) == length;
    }

    /** The guest ends a direction, or both; true if both are ended now. */
    boolean shutdown(int flags) {
        shutdownReceived |= flags & PacketHeader.SHUTDOWN_BOTH;
        if ((shutdownReceived & PacketHeader.SHUTDOWN_SEND) != 0) {
            fromGuest.closeWriter();
        }
        if ((shutdownReceived & PacketHeader.SHUTDOWN_RECEIVE) != 0) {
            toGuest.closeReader();
        }
        return shutdownReceived == PacketHeader.SHUTDOWN_BOTH;
    }

    /** Ends it, taken out of the table: what was received can be read, and nothing can be written. */
    void end(IOException why) {
        state = State.CLOSED;
        pending = 0;
        setTimer(null);
        fromGuest.closeWriter();
        toGuest.closeReader();
        established.completeExceptionally(why);
        drop();
    }

    boolean isProgramDone() {
        return programDone.get();
    }

    /** Which directions the program has ended, all of whose bytes are on their way. */
    private int shutdownDue() {
        int due = fromGuest.isReaderClosed() ? PacketHeader.SHUTDOWN_RECEIVE : 0;
        if (toGuest.isWriterClosed() && toGuest.pending() == 0) {
            due |= PacketHeader.SHUTDOWN_SEND;
        }
        return due & ~shutdownSent;
    }

    boolean creditDue() {
        int untold = forwarded.get() - forwardedTold;
        return (pending & CREDIT_UPDATE) != 0 || (untold >= bufferSize / 4 && !fromGuest.isReaderClosed());
    }

    /** Whether there is a packet to be sent now. */
    boolean hasPacket() {
        if (state == State.CLOSED) {
            return false;
        }
        if ((pending & (REQUEST | RESPONSE)) != 0) {
            return true;
        }
        if (state != State.ESTABLISHED) {
            return false;
        }
        if (toGuest.pending() > 0) {
            if (credit() > 0) {
                return true;
            }
            if (!creditAsked) {
                pending |= CREDIT_REQUEST;
            }
        }
        return shutdownDue() != 0 || creditDue() || (pending & CREDIT_REQUEST) != 0;
    }

    /**
     * Fills in the header of the next packet.
     *
     * @param room how many bytes may follow it
     */
    void next(PacketHeader header, long room) {
        header.sourcePort = hostPort;
        header.destinationPort = guestPort;
        header.type = PacketHeader.TYPE_STREAM;
        header.length = 0;
        header.flags = 0;
        header.bufferSize = bufferSize;
        int taken = forwarded.get();
        header.forwarded = taken;
        forwardedTold = taken;
        if ((pending & REQUEST) != 0) {
            pending &= ~REQUEST;
            requestSent = true;
            header.operation = PacketHeader.OP_REQUEST;
        } else if ((pending & RESPONSE) != 0) {
            pending &= ~RESPONSE;
            header.operation = PacketHeader.OP_RESPONSE;
        } else {
            nextOfEstablished(header, room);
        }
    }

    private void nextOfEstablished(PacketHeader header, long room) {
        int waiting = toGuest.pending();
        int fits = (int) Math.min(Math.min(waiting, room), Math.min(credit(), PacketHeader.MAX_PAYLOAD));
        int due = shutdownDue();
        if (fits > 0) {
            header.operation = PacketHeader.OP_RW;
            header.length = fits;
            sent += fits;
            pending &= ~CREDIT_UPDATE;
        } else if (due != 0) {
            shutdownSent |= due;
            header.operation = PacketHeader.OP_SHUTDOWN;
            header.flags = shutdownSent;
            pending &= ~CREDIT_UPDATE;
        } else if ((pending & CREDIT_REQUEST) != 0) {
            pending &= ~(CREDIT_REQUEST | CREDIT_UPDATE);
            creditAsked = true;
            header.operation = PacketHeader.OP_CREDIT_REQUEST;
        } else {
            pending &= ~CREDIT_UPDATE;
            header.operation = PacketHeader.OP_CREDIT_UPDATE;
        }
    }

    /** Returns the ports and how far it is. */
    @Override
    public String toString() {
        return "connection of host port " + Integer.toUnsignedString(hostPort) + " and guest port "
                + Integer.toUnsignedString(guestPort) + ", " + state;
    }
}
