package io.github.jkvm.machine.snapshot;

import io.github.jkvm.MemoryBacking;
import io.github.jkvm.machine.boot.GuestRange;
import java.lang.foreign.MemorySegment;
import java.util.List;

/** What is in a guest's memory, kept: its parts one after the other. */
public interface GuestContents extends AutoCloseable {
    /** Size of the pages that are looked at as a whole, in bytes. */
    int PAGE = 4096;

    /**
     * Returns memory that begins with the contents of a part.
     *
     * @param offset where the part begins in the whole
     * @param size its size
     * @return the backing, of which copies are made of pages that are written
     */
    MemoryBacking backing(long offset, long size);

    /**
     * Returns the bytes.
     *
     * @return all of them, readable until this is closed
     */
    MemorySegment bytes();

    /** Gives the contents back. Memory that began with them stays as it is. */
    @Override
    void close();

    /**
     * Returns where a part begins in the whole.
     *
     * @param ram all parts
     * @param range one of them
     * @return the offset in bytes
     */
    static long offsetOf(List<GuestRange> ram, GuestRange range) {
        return ram.stream()
                .takeWhile(each -> !each.equals(range))
                .mapToLong(GuestRange::size)
                .sum();
    }
}
