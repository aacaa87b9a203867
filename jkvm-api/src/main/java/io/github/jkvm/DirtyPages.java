package io.github.jkvm;

import java.util.BitSet;
import java.util.stream.LongStream;

/** Which pages of a memory region were written. Immutable. Offsets are relative to the region. */
public final class DirtyPages {
    /** Size of a page in bytes. */
    public static final long PAGE_SIZE = 4096;

    private final BitSet pages;

    private DirtyPages(BitSet pages) {
        this.pages = pages;
    }

    /**
     * Returns the pages whose bits are set, as {@code KVM_GET_DIRTY_LOG} gives them: bit 0 of the first word is the first page.
     *
     * @param bits the bitmap, copied
     * @return the pages
     */
    public static DirtyPages ofBits(long[] bits) {
        return new DirtyPages(BitSet.valueOf(bits));
    }

    /**
     * Returns the number of written pages.
     *
     * @return the count
     */
    public int count() {
        return pages.cardinality();
    }

    /**
     * Tells whether no page was written.
     *
     * @return true if none was
     */
    public boolean isEmpty() {
        return pages.isEmpty();
    }

    /**
     * Tells whether the page that holds a byte was written.
     *
     * @param offset the byte, relative to the region, 0 or more
     * @return true if it was
     * @throws IllegalArgumentException if the offset is negative
     */
    public boolean contains(long offset) {
        if (offset < 0) {
            throw new IllegalArgumentException("offset " + offset + " must be 0 or more");
        }
        long page = offset / PAGE_SIZE;
        return page <= Integer.MAX_VALUE && pages.get((int) page);
    }

    /**
     * Returns the first byte of each written page, in order.
     *
     * @return offsets in bytes, relative to the region
     */
    public LongStream offsets() {
        return pages.stream().mapToLong(page -> page * PAGE_SIZE);
    }

    /**
     * Returns the pages that are in this set or in another.
     *
     * @param other the other set
     * @return a new set
     */
    public DirtyPages union(DirtyPages other) {
        BitSet both = (BitSet) pages.clone();
        both.or(other.pages);
        return new DirtyPages(both);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof DirtyPages that && pages.equals(that.pages);
    }

    @Override
    public int hashCode() {
        return pages.hashCode();
    }

    /** Returns how many pages and which, by number. */
    @Override
    public String toString() {
        return count() + " dirty pages " + pages;
    }
}
