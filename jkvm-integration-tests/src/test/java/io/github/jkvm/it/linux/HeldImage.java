package io.github.jkvm.it.linux;

import io.github.jkvm.virtio.block.DiskImage;
import io.github.jkvm.virtio.block.ZeroMode;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * A disk whose writes get stuck at one moment: after so many of them, each waits until all are let go. So a test can do something while a guest is
 * certainly amid its writes. Its device is to leave them to its workers.
 */
final class HeldImage implements DiskImage {
    private final DiskImage image;
    private final AtomicInteger writesBefore;
    private final CountDownLatch held = new CountDownLatch(1);
    private final CountDownLatch letGo = new CountDownLatch(1);

    /** Makes a disk of an image, which is closed with it, that takes so many writes before one waits. */
    HeldImage(DiskImage image, int writes) {
        this.image = image;
        this.writesBefore = new AtomicInteger(writes);
    }

    /** Waits until a write waits. */
    void awaitHeld() throws InterruptedException {
        held.await();
    }

    /** Lets all writes pass, from now on. */
    void letGo() {
        letGo.countDown();
    }

    @Override
    public long size() {
        return image.size();
    }

    @Override
    public boolean isReadOnly() {
        return image.isReadOnly();
    }

    @Override
    public void read(long offset, List<MemorySegment> targets) throws IOException {
        image.read(offset, targets);
    }

    @Override
    public void write(long offset, List<MemorySegment> sources) throws IOException {
        if (writesBefore.getAndDecrement() <= 0) {
            held.countDown();
            try {
                letGo.await();
            } catch (InterruptedException e) {
                throw new IOException("interrupted while a write was held", e);
            }
        }
        image.write(offset, sources);
    }

    @Override
    public void flush() throws IOException {
        image.flush();
    }

    @Override
    public void discard(long offset, long length) throws IOException {
        image.discard(offset, length);
    }

    @Override
    public void writeZeroes(long offset, long length, ZeroMode mode) throws IOException {
        image.writeZeroes(offset, length, mode);
    }

    @Override
    public void close() throws IOException {
        letGo();
        image.close();
    }
}
