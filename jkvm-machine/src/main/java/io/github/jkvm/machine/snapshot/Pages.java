package io.github.jkvm.machine.snapshot;

import java.lang.foreign.MemorySegment;

/** Looks at memory page by page. Pages of zeros are most of a guest's memory, and take no room where they are left out. */
final class Pages {
    private static final MemorySegment ZEROS =
            MemorySegment.ofArray(new byte[GuestContents.PAGE]).asReadOnly();

    private Pages() {}

    /** Copies all pages but those of zeros. */
    static void copyNonzero(MemorySegment from, MemorySegment to) {
        long size = from.byteSize();
        long page = 0;
        while ((page = nextNonzero(from, page)) < size) {
            long end = nextZero(from, page);
            MemorySegment.copy(from, page, to, page, end - page);
            page = end;
        }
    }

    /** Returns where the first page at or after an offset begins that is not all zeros; the size if there is none. */
    static long nextNonzero(MemorySegment memory, long offset) {
        long page = offset;
        while (page < memory.byteSize() && isZero(memory, page)) {
            page += GuestContents.PAGE;
        }
        return page;
    }

    /** Returns where the first page at or after an offset begins that is all zeros; the size if there is none. */
    static long nextZero(MemorySegment memory, long offset) {
        long page = offset;
        while (page < memory.byteSize() && !isZero(memory, page)) {
            page += GuestContents.PAGE;
        }
        return page;
    }

    private static boolean isZero(MemorySegment memory, long page) {
        return MemorySegment.mismatch(memory, page, page + GuestContents.PAGE, ZEROS, 0, GuestContents.PAGE) < 0;
    }
}
