package io.github.jkvm.virtio.queue;

import io.github.jkvm.MemoryRegion;

/** Is shown the pieces of a chain where they lie in guest memory, such as for a vectored system call. */
@FunctionalInterface
public interface ChainPart {
    /**
     * Is shown one piece, which is all in one region.
     *
     * @param region the region
     * @param offset where the piece begins in the region, in bytes
     * @param length length of the piece in bytes, 1 or more
     * @return true to be shown the next one too
     */
    boolean accept(MemoryRegion region, long offset, long length);
}
