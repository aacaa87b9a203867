package io.github.jkvm.machine.snapshot;

import java.lang.foreign.MemorySegment;

/** Looks at memory page by page. Pages of zeros are most of a guest's memory, and take no room where they are left out. */
public final class Pages {
    /** Size of the pages that are looked at as a whole, in bytes. */
    static final int SIZE = 4096;

    private static final MemorySegment ZEROS =
            MemorySegment.ofArray(new byte[SIZE]).asReadOnly();

    private Pages() {}

    /** Returns where a page begins. */
    static long offset(int page) {
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

    /** Returns where the first page at or after an offset begins that is not all zeros; the end if there is none. */
    static long nextNonzero(MemorySegment memory, long offset, long end) {
        long page = offset;
        while (page < end && isZero(memory, page)) {
            page += SIZE;
        }
        return page;
    }

    /** Returns where the first page at or after an offset begins that is all zeros; the end if there is none. */
    static long nextZero(MemorySegment memory, long offset, long end) {
        long page = offset;
        while (page < end && !isZero(memory, page)) {
            page += SIZE;
        }
        return page;
    }

    /** Tells whether a page is the same in both. */
    static boolean same(MemorySegment memory, long offset, MemorySegment other, long otherOffset) {
        return MemorySegment.mismatch(memory, offset, offset + SIZE, other, otherOffset, otherOffset + SIZE) < 0;
    }

    static boolean isZero(MemorySegment memory, long offset) {
        return same(memory, offset, ZEROS, 0);
    }
}
