package io.github.jkvm.virtio.pipe;

import io.github.jkvm.virtio.queue.ChainReader;
import io.github.jkvm.virtio.queue.ChainWriter;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.net.SocketTimeoutException;
import java.nio.channels.ClosedChannelException;
import java.time.Duration;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * A pipe of bytes with a bound, one end of which is a device on its event loop and the other one threads of the program.
 *
 * <p>The device's end never waits: {@link #fill} and {@link #drain} move what there is or what there is room for, and the loop is woken when there is
 * more. The program's end waits: {@link #read} and {@link #write}. Either end can be closed: a closed writer is the end of the stream for the
 * reader once all is read; a closed reader fails the writer, and what was under way is dropped.
 *
 * <p>Safe for use by many threads.
 */
public final class BytePipe {
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();
    private final ByteRing ring;
    private final Runnable wakeLoop;
    private boolean writerClosed;
    private boolean readerClosed;

    /** What the program wants to be run when the loop has changed something; it does not wait then. */
    private volatile Runnable onChange = () -> {};

    /** Set while the loop has bytes for the pipe that did not fit. */
    private boolean loopWantsRoom;

    /** Set while the loop could take bytes from the pipe. */
    private boolean loopWantsData = true;

    /**
     * Creates an empty pipe.
     *
     * @param capacity how many bytes it holds, 1 or more
     * @param wakeLoop has the loop look at the pipe again; called on any thread, with no lock held
     */
    public BytePipe(int capacity, Runnable wakeLoop) {
        this.ring = new ByteRing(capacity);
        this.wakeLoop = wakeLoop;
    }

    /* The program's end. */

    /**
     * Waits for bytes and takes as many as there are and as fit.
     *
     * @param target where they go; not empty
     * @param timeout how long to wait at most; null for as long as it takes
     * @return how many were taken, or -1 at the end of the stream
     * @throws ClosedChannelException if the reader's end is closed, before or meanwhile
     * @throws SocketTimeoutException if no byte came in time
     * @throws InterruptedException if the thread is interrupted while it waits
     */
    public int read(MemorySegment target, @Nullable Duration timeout) throws IOException, InterruptedException {
        int taken;
        boolean wake;
        lock.lockInterruptibly();
        try {
            var patience = new Patience(timeout);
            while (ring.count() == 0 && !writerClosed && !readerClosed) {
                patience.await(changed, "read");
            }
            if (readerClosed) {
                throw new ClosedChannelException();
            }
            if (ring.count() == 0) {
                return -1;
            }
            taken = ring.take(target);
            wake = takeWakeForRoom();
            changed.signalAll();
        } finally {
            lock.unlock();
        }
        if (wake) {
            wakeLoop.run();
        }
        return taken;
    }

    /**
     * Waits for room and puts as many bytes in as fit.
     *
     * @param source the bytes; not empty
     * @param timeout how long to wait at most; null for as long as it takes
     * @return how many were put in, from the first on; at least 1
     * @throws ClosedChannelException if the writer's end is closed, before or meanwhile
     * @throws IOException if the reader's end is closed
     * @throws SocketTimeoutException if there was no room in time
     * @throws InterruptedException if the thread is interrupted while it waits
     */
    public int write(MemorySegment source, @Nullable Duration timeout) throws IOException, InterruptedException {
        int put;
        boolean wake;
        lock.lockInterruptibly();
        try {
            var patience = new Patience(timeout);
            while (ring.room() == 0 && !writerClosed && !readerClosed) {
                patience.await(changed, "write");
            }
            if (writerClosed) {
                throw new ClosedChannelException();
            }
            if (readerClosed) {
                throw new IOException("the guest's side is closed; nothing takes what is written");
            }
            put = ring.put(source);
            wake = loopWantsData;
            loopWantsData = false;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
        if (wake) {
            wakeLoop.run();
        }
        return put;
    }

    /**
     * Tells the program how much it can read without waiting.
     *
     * @return the number of bytes in the pipe
     */
    public int available() {
        lock.lock();
        try {
            return ring.count();
        } finally {
            lock.unlock();
        }
    }

    /**
     * Tells the program how much it can write without waiting.
     *
     * @return the number of bytes that fit
     */
    public int free() {
        lock.lock();
        try {
            return ring.room();
        } finally {
            lock.unlock();
        }
    }

    /**
     * Sets what is run when bytes have come or gone at the loop's end, or an end was closed: for a program that does not wait.
     *
     * @param code the code; called on any thread, with no lock held
     */
    public void onChange(Runnable code) {
        onChange = code;
    }

    /** Ends the stream after what is in the pipe. Closing twice does nothing. */
    public void closeWriter() {
        boolean wake;
        lock.lock();
        try {
            wake = !writerClosed;
            writerClosed = true;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
        if (wake) {
            wakeLoop.run();
            onChange.run();
        }
    }

    /** Drops what is in the pipe, and all that is to come. Closing twice does nothing. */
    public void closeReader() {
        boolean wake;
        lock.lock();
        try {
            wake = !readerClosed;
            readerClosed = true;
            ring.clear();
            changed.signalAll();
        } finally {
            lock.unlock();
        }
        if (wake) {
            wakeLoop.run();
            onChange.run();
        }
    }

    /* The loop's end. */

    /**
     * Takes bytes of a chain, as many as there is room for. The loop is woken when there is room again for what is left.
     *
     * @param source the chain's bytes
     * @param limit greatest number of bytes, 0 or more
     * @return how many were taken; if the reader's end is closed, all up to the limit, and they are dropped
     */
    public long fill(ChainReader source, long limit) {
        long wanted = Math.min(limit, source.remaining());
        int fits;
        lock.lock();
        try {
            if (readerClosed) {
                source.skip(wanted);
                return wanted;
            }
            fits = (int) Math.min(ring.room(), wanted);
            for (int left = fits; left > 0; ) {
                MemorySegment part = ring.freePart(left);
                source.readExactly(part);
                ring.added((int) part.byteSize());
                left -= (int) part.byteSize();
            }
            loopWantsRoom = fits < wanted;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
        onChange.run();
        return fits;
    }

    /**
     * Gives bytes to a chain, as many as there are and as it has room for. The loop is woken when there are bytes again after the last one.
     *
     * @param target the chain's room
     * @param limit greatest number of bytes, 0 or more
     * @return how many were given
     */
    public long drain(ChainWriter target, long limit) {
        int fits;
        lock.lock();
        try {
            fits = (int) Math.min(Math.min(ring.count(), limit), target.remaining());
            for (int left = fits; left > 0; ) {
                MemorySegment part = ring.fullPart(left);
                target.writeExactly(part);
                ring.removed((int) part.byteSize());
                left -= (int) part.byteSize();
            }
            loopWantsData = ring.count() == 0;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
        onChange.run();
        return fits;
    }

    /**
     * Tells the loop whether there are bytes; if not, it is woken when there are.
     *
     * @return the number of bytes in the pipe
     */
    public int pending() {
        lock.lock();
        try {
            loopWantsData = ring.count() == 0;
            return ring.count();
        } finally {
            lock.unlock();
        }
    }

    /**
     * Tells the loop whether there is room; if not, it is woken when there is.
     *
     * @return the number of bytes that fit
     */
    public int room() {
        lock.lock();
        try {
            loopWantsRoom = ring.room() == 0;
            return ring.room();
        } finally {
            lock.unlock();
        }
    }

    /* Either end, without waiting. */

    /** What moves bytes between the pipe and a file. */
    @FunctionalInterface
    public interface Transfer {
        /**
         * Moves bytes.
         *
         * @param part native memory, not empty, good until the return
         * @return how many bytes were moved, or a negative number if none could be
         */
        long move(MemorySegment part);
    }

    /**
     * Has bytes taken away where they lie.
     *
     * @param transfer takes bytes from the start of the part
     * @return how many were taken; negative as the transfer returned it; 0 if there are none
     */
    public long takeWith(Transfer transfer) {
        long taken;
        boolean wake;
        lock.lock();
        try {
            if (ring.count() == 0) {
                return 0;
            }
            taken = transfer.move(ring.fullPart(ring.count()));
            if (taken > 0) {
                ring.removed((int) taken);
                changed.signalAll();
            }
            wake = takeWakeForRoom();
        } finally {
            lock.unlock();
        }
        if (wake) {
            wakeLoop.run();
        }
        return taken;
    }

    /**
     * Has bytes put where there is room for them.
     *
     * @param transfer puts bytes at the start of the part
     * @return how many were put; negative as the transfer returned it; 0 if there is no room
     */
    public long putWith(Transfer transfer) {
        long put;
        boolean wake;
        lock.lock();
        try {
            if (ring.room() == 0) {
                return 0;
            }
            put = transfer.move(ring.freePart(ring.room()));
            if (put > 0) {
                ring.added((int) put);
                changed.signalAll();
            }
            wake = put > 0 && loopWantsData;
            loopWantsData &= !wake;
        } finally {
            lock.unlock();
        }
        if (wake) {
            wakeLoop.run();
        }
        return put;
    }

    /** Whether the loop is to be woken for room: half of the pipe at once costs less than each few bytes. */
    private boolean takeWakeForRoom() {
        boolean wake = loopWantsRoom && ring.room() >= ring.count();
        loopWantsRoom &= !wake;
        return wake;
    }

    /**
     * Drops the oldest bytes.
     *
     * @param bytes how many, at most; 0 or more
     * @return how many were dropped
     */
    public int drop(int bytes) {
        lock.lock();
        try {
            int dropped = Math.min(bytes, ring.count());
            ring.removed(dropped);
            changed.signalAll();
            return dropped;
        } finally {
            lock.unlock();
        }
    }

    /**
     * Tells whether the writer's end is closed.
     *
     * @return true if nothing more is written
     */
    public boolean isWriterClosed() {
        lock.lock();
        try {
            return writerClosed;
        } finally {
            lock.unlock();
        }
    }

    /**
     * Tells whether the reader's end is closed.
     *
     * @return true if nothing more is read
     */
    public boolean isReaderClosed() {
        lock.lock();
        try {
            return readerClosed;
        } finally {
            lock.unlock();
        }
    }

    /**
     * Returns a copy of what is in the pipe.
     *
     * @return the bytes, the oldest first
     */
    public byte[] contents() {
        lock.lock();
        try {
            return ring.contents();
        } finally {
            lock.unlock();
        }
    }

    /**
     * Replaces what is in the pipe.
     *
     * @param bytes the new contents, at most as many as the pipe holds
     * @throws IllegalArgumentException if they are more
     */
    public void setContents(byte[] bytes) {
        if (bytes.length > ring.capacity()) {
            throw new IllegalArgumentException(bytes.length + " bytes do not fit a pipe of " + ring.capacity());
        }
        lock.lock();
        try {
            ring.clear();
            if (!readerClosed) {
                ring.put(MemorySegment.ofArray(bytes));
            }
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /** How long a thread still waits. */
    private static final class Patience {
        private final @Nullable Duration timeout;
        private long left;

        Patience(@Nullable Duration timeout) {
            this.timeout = timeout;
            this.left = timeout == null ? 0 : timeout.toNanos();
        }

        @SuppressWarnings("WaitNotInLoop") // the loop is the caller's
        void await(Condition condition, String what) throws InterruptedException, SocketTimeoutException {
            if (timeout == null) {
                condition.await();
                return;
            }
            if (left <= 0) {
                throw new SocketTimeoutException(
                        what + " did not get anywhere in " + timeout + "; the guest may be slow or stopped");
            }
            left = condition.awaitNanos(left);
        }
    }
}
