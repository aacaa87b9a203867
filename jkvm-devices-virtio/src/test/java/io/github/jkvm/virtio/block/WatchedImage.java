package io.github.jkvm.virtio.block;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** An image in memory that notes what it is asked for, and can be made to wait or to fail. */
final class WatchedImage implements DiskImage {
    private static final long PATIENCE_SECONDS = 20;

    private final RawImage image;
    final List<String> calls = new ArrayList<>();
    final Semaphore entered = new Semaphore(0);
    private volatile @Nullable CountDownLatch gate;
    private volatile long gatedOffset = -1;
    private volatile @Nullable Exception failure;
    private volatile @Nullable Error breakdown;
    private volatile long delay;
    volatile boolean readOnly;

    WatchedImage(long size) throws IOException {
        image = RawImage.inMemory(size);
    }

    /** Has requests at an offset, or all if it is negative, wait until the gate opens. */
    CountDownLatch holdAt(long offset) {
        CountDownLatch fresh = new CountDownLatch(1);
        gatedOffset = offset;
        gate = fresh;
        return fresh;
    }

    /** Makes the next request take at least this long. */
    void delayNext(Duration time) {
        delay = time.toNanos();
    }

    void failWith(@Nullable Exception why) {
        failure = why;
    }

    /** Makes the next request end in an error of the JVM. */
    void breakDown(Error why) {
        breakdown = why;
    }

    synchronized List<String> takeCalls() {
        List<String> all = List.copyOf(calls);
        calls.clear();
        return all;
    }

    private void enter(String call, long offset) throws IOException {
        synchronized (this) {
            calls.add(call);
        }
        entered.release();
        CountDownLatch now = gate;
        if (now != null && (gatedOffset < 0 || gatedOffset == offset)) {
            try {
                if (!now.await(PATIENCE_SECONDS, TimeUnit.SECONDS)) {
                    throw new AssertionError("nobody opened the gate");
                }
            } catch (InterruptedException e) {
                throw new AssertionError(e);
            }
        }
        for (long end = System.nanoTime() + delay; System.nanoTime() < end; ) {
            Thread.onSpinWait();
        }
        delay = 0;
        Error error = breakdown;
        if (error != null) {
            breakdown = null;
            throw error;
        }
        Exception why = failure;
        if (why instanceof IOException io) {
            throw io;
        }
        if (why instanceof RuntimeException runtime) {
            throw runtime;
        }
    }

    @Override
    public long size() {
        return image.size();
    }

    void grow(long size) throws IOException {
        image.grow(size);
    }

    @Override
    public boolean isReadOnly() {
        return readOnly;
    }

    @Override
    public void read(long offset, List<MemorySegment> targets) throws IOException {
        enter("read " + offset + " " + DiskImage.length(targets), offset);
        image.read(offset, targets);
    }

    @Override
    public void write(long offset, List<MemorySegment> sources) throws IOException {
        enter("write " + offset + " " + DiskImage.length(sources), offset);
        image.write(offset, sources);
    }

    @Override
    public void flush() throws IOException {
        enter("flush", 0);
        image.flush();
    }

    @Override
    public void discard(long offset, long length) throws IOException {
        enter("discard " + offset + " " + length, offset);
        image.discard(offset, length);
    }

    @Override
    public void writeZeroes(long offset, long length, ZeroMode mode) throws IOException {
        enter("zero " + offset + " " + length + " " + mode, offset);
        image.writeZeroes(offset, length, mode);
    }

    @Override
    public void close() throws IOException {
        synchronized (this) {
            calls.add("close");
        }
        image.close();
    }
}
