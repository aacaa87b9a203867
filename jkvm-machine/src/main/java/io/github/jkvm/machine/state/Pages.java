package io.github.jkvm.machine.state;

import java.lang.foreign.MemorySegment;

/** Looks at memory page by page. Pages of zeros are most of a guest's memory, and take no room where they are left out. */
public final class Pages {
    /** Size of the pages that are looked at as a whole, in bytes. */
    public static final int SIZE = 4096;

    private static final MemorySegment ZEROS =
            MemorySegment.ofArray(new byte[SIZE]).asReadOnly();

    private Pages() {}

    /**
     * Returns where a page begins.
     *
     * @param page its number
     * @return its offset in bytes
     */
    public static long offset(int page) {
        return (long) page * SIZE;
    }

    /**
     * Copies the pages of a range but those of zeros, each to its own place.
     *
     * @param from memory that nobody writes meanwhile
     * @param to memory of zeros, as long
     * @param start where the range begins, a multiple of the page size
     * @param end where it ends, a multiple of the page size
     */
    public static void copyNonzero(MemorySegment from, MemorySegment to, long start, long end) {
        long page = start;
        while ((page = nextNonzero(from, page, end)) < end) {
            long runEnd = nextZero(from, page, end);
            MemorySegment.copy(from, page, to, page, runEnd - page);
            page = runEnd;
        }
    }

    /**
     * Finds a page that is not all zeros.
     *
     * @param memory the memory
     * @param offset where a page begins
     * @param end where the last one ends
     * @return where the first such page at or after the offset begins; the end if there is none
     */
    public static long nextNonzero(MemorySegment memory, long offset, long end) {
        long page = offset;
        while (page < end && isZero(memory, page)) {
            page += SIZE;
        }
        return page;
    }

    /**
     * Finds a page of zeros.
     *
     * @param memory the memory
     * @param offset where a page begins
     * @param end where the last one ends
     * @return where the first such page at or after the offset begins; the end if there is none
     */
    public static long nextZero(MemorySegment memory, long offset, long end) {
        long page = offset;
        while (page < end && !isZero(memory, page)) {
            page += SIZE;
        }
        return page;
    }

    /**
     * Compares two pages.
     *
     * @param memory where one is
     * @param offset where it begins
     * @param other where the other is
     * @param otherOffset where that begins
     * @return whether they are the same
     */
    public static boolean same(MemorySegment memory, long offset, MemorySegment other, long otherOffset) {
        return MemorySegment.mismatch(memory, offset, offset + SIZE, other, otherOffset, otherOffset + SIZE) < 0;
    }

    /**
     * Tells whether a page is all zeros.
     *
     * @param memory the memory
     * @param offset where the page begins
     * @return true if it is
     */
    public static boolean isZero(MemorySegment memory, long offset) {
        return same(memory, offset, ZEROS, 0);
    }
}
