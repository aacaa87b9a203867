package io.github.jkvm.kvm;

import io.github.jkvm.DirtyPages;
import io.github.jkvm.kvm.ffi.Libc;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Optional;

/**
 * What the kernel tells of this process's pages in {@code /proc/self/pagemap}: 64 bits for each (Linux, Documentation/admin-guide/mm/pagemap.rst). Where
 * in memory a page is, an ordinary user is not told; what is asked here, everyone is.
 */
final class PageMap {
    private static final String FILE = "/proc/self/pagemap";

    /** "Bit 61: page is file-page or shared-anon": no copy of this process. */
    private static final long FILE_PAGE = 1L << 61;

    /** "Bit 62: page swapped". */
    private static final long SWAPPED = 1L << 62;

    /** "Bit 63: page present". */
    private static final long PRESENT = 1L << 63;

    /** How many entries are read at a time: those of 256 MiB. */
    private static final int BATCH = 1 << 16;

    private PageMap() {}

    /**
     * Returns the pages of private memory that this process has of its own, rather than none or those of the file behind it.
     *
     * @param memory memory of whole pages of {@link DirtyPages#PAGE_SIZE}
     * @return the pages; empty if the kernel does not tell
     */
    static Optional<DirtyPages> privatePages(MemorySegment memory) {
        long pages = memory.byteSize() / DirtyPages.PAGE_SIZE;
        long first = memory.address() / DirtyPages.PAGE_SIZE;
        try (Arena temporary = Arena.ofConfined()) {
            int fd = Libc.open(temporary.allocateFrom(FILE), Libc.O_RDONLY | Libc.O_CLOEXEC, 0);
            if (fd < 0) {
                return Optional.empty();
            }
            try {
                long[] bits = new long[Math.toIntExact(Math.ceilDiv(pages, Long.SIZE))];
                MemorySegment entries = temporary.allocate(ValueLayout.JAVA_LONG, Math.min(BATCH, pages));
                for (long page = 0; page < pages; page += BATCH) {
                    long bytes = Math.min(BATCH, pages - page) * Long.BYTES;
                    if (Libc.pread(fd, entries, bytes, (first + page) * Long.BYTES) != bytes) {
                        return Optional.empty();
                    }
                    note(entries, bytes / Long.BYTES, bits, page);
                }
                return Optional.of(DirtyPages.ofBits(bits));
            } finally {
                Libc.close(fd);
            }
        }
    }

    private static void note(MemorySegment entries, long count, long[] bits, long page) {
        for (long i = 0; i < count; i++) {
            long entry = entries.getAtIndex(ValueLayout.JAVA_LONG, i);
            if ((entry & (PRESENT | SWAPPED)) != 0 && (entry & FILE_PAGE) == 0) {
                bits[(int) ((page + i) >>> 6)] |= 1L << (page + i);
            }
        }
    }
}
