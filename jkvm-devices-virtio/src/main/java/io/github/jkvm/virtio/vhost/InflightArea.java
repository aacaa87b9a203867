package io.github.jkvm.virtio.vhost;

import io.github.jkvm.kvm.ffi.OwnedFd;
import java.nio.ByteBuffer;

/**
 * Memory in which a back end notes the chains that it has taken, made by it and kept here for the one that comes after it. Never looked into: what is in it is
 * between back ends.
 *
 * @param file the memory, closed with this
 * @param size its size in bytes
 * @param offset where in the file it begins
 * @param queues for how many queues
 * @param queueSize size of the largest of them
 */
record InflightArea(OwnedFd file, long size, long offset, int queues, int queueSize) implements AutoCloseable {
    /** Two numbers of 64 bits, two of 16, and what the compiler of QEMU adds to make it a multiple of 8 bytes. */
    static final int BYTES = 24;

    /** Writes what the protocol calls the inflight description. */
    static void describe(ByteBuffer to, long size, long offset, int queues, int queueSize) {
        to.putLong(size).putLong(offset).putShort((short) queues).putShort((short) queueSize);
        to.putInt(0);
    }

    void describe(ByteBuffer to) {
        describe(to, size, offset, queues, queueSize);
    }

    @Override
    public void close() {
        file.close();
    }
}
