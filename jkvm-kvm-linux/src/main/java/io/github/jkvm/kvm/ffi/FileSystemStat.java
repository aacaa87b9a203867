package io.github.jkvm.kvm.ffi;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Of what type a file system is, and how full: {@code struct statfs} (Linux, include/uapi/asm-generic/statfs.h) of a 64-bit machine. Filled by {@link #read};
 * what it tells before is 0. Belongs to one thread at a time.
 */
public final class FileSystemStat {
    private static final long SIZE = 120;
    private static final long TYPE = 0;
    private static final long BLOCK_SIZE = 8;
    private static final long BLOCKS = 16;
    private static final long FREE = 24;
    private static final long AVAILABLE = 32;
    private static final long FILES = 40;
    private static final long FREE_FILES = 48;
    private static final long NAME_LENGTH = 64;
    private static final long FRAGMENT_SIZE = 72;

    /** {@code TMPFS_MAGIC} (Linux, include/uapi/linux/magic.h). */
    private static final long TMPFS = 0x0102_1994;

    /** {@code RAMFS_MAGIC} (as above). */
    private static final long RAMFS = 0x8584_58F6L;

    private final MemorySegment segment;

    /**
     * Allocates one.
     *
     * @param arena its lifetime
     */
    public FileSystemStat(Arena arena) {
        segment = arena.allocate(SIZE, Long.BYTES);
    }

    /**
     * Reads the figures of the file system that an open file is in.
     *
     * @param fd the file
     * @return 0, or {@code -errno}
     */
    public int read(int fd) {
        return FileCalls.fstatfs(fd, segment);
    }

    /** Tells whether its files are kept in memory, and nowhere else. */
    public boolean isInMemory() {
        long type = segment.get(JAVA_LONG, TYPE);
        return type == TMPFS || type == RAMFS;
    }

    /** Returns the size that transfers are best done in, in bytes. */
    public long blockSize() {
        return segment.get(JAVA_LONG, BLOCK_SIZE);
    }

    /** Returns the unit of the counts, in bytes. */
    public long fragmentSize() {
        return segment.get(JAVA_LONG, FRAGMENT_SIZE);
    }

    /** Returns the number of units. */
    public long blocks() {
        return segment.get(JAVA_LONG, BLOCKS);
    }

    /** Returns the number of free units. */
    public long free() {
        return segment.get(JAVA_LONG, FREE);
    }

    /** Returns the number of free units that root is not needed for. */
    public long available() {
        return segment.get(JAVA_LONG, AVAILABLE);
    }

    /** Returns how many files there can be. */
    public long files() {
        return segment.get(JAVA_LONG, FILES);
    }

    /** Returns how many more files there can be. */
    public long freeFiles() {
        return segment.get(JAVA_LONG, FREE_FILES);
    }

    /** Returns the length of the longest name in bytes. */
    public long nameLength() {
        return segment.get(JAVA_LONG, NAME_LENGTH);
    }
}
