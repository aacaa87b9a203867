package io.github.jkvm.virtio.fs;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.github.jkvm.kvm.ffi.FileStat;
import io.github.jkvm.kvm.ffi.FileSystemStat;
import io.github.jkvm.kvm.ffi.OpenHow;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;

/** Memory for the arguments of the host's calls, made once. Belongs to one thread at a time. */
final class HostScratch {
    /** {@code UTIME_NOW}, in the place of nanoseconds: the present time (Linux, include/linux/stat.h). */
    static final long TIME_NOW = (1L << 30) - 1;

    /** {@code UTIME_OMIT}, in the place of nanoseconds: leave it (as above). */
    static final long TIME_OMIT = (1L << 30) - 2;

    private static final byte[] PROC = "/proc/self/fd/".getBytes(StandardCharsets.US_ASCII);
    private static final int LONGEST_NUMBER = 10;
    private static final int TIMESPEC = 16;

    /** {@code PATH_MAX} (Linux, include/uapi/linux/limits.h): the longest path with its NUL that the host takes or tells, in bytes. */
    static final int LONGEST_PATH = 4096;

    /** Room for entries of a folder as the host gives them. */
    private static final int ENTRY_BYTES = 0x1_0000;

    private final FileStat stat;
    private final OpenHow how;
    private final FileSystemStat fileSystem;
    private final MemorySegment empty;
    private final MemorySegment dot;
    private final MemorySegment place;
    private final MemorySegment times;
    private final MemorySegment offsets;
    private final MemorySegment entries;
    private final MemorySegment path;
    private int failure;

    HostScratch(Arena arena) {
        stat = new FileStat(arena);
        how = new OpenHow(arena);
        fileSystem = new FileSystemStat(arena);
        empty = arena.allocate(1);
        dot = arena.allocateFrom(".");
        place = arena.allocate(PROC.length + LONGEST_NUMBER + 1);
        MemorySegment.copy(PROC, 0, place, JAVA_BYTE, 0, PROC.length);
        times = arena.allocate(2 * TIMESPEC, Long.BYTES);
        offsets = arena.allocate(2 * Long.BYTES, Long.BYTES);
        entries = arena.allocate(ENTRY_BYTES, Long.BYTES);
        path = arena.allocate(LONGEST_PATH);
    }

    FileStat stat() {
        return stat;
    }

    OpenHow how() {
        return how;
    }

    FileSystemStat fileSystem() {
        return fileSystem;
    }

    /** The empty path. */
    MemorySegment empty() {
        return empty;
    }

    /** The path of a folder itself. */
    MemorySegment dot() {
        return dot;
    }

    /** Room for a path. */
    MemorySegment path() {
        return path;
    }

    /** Notes why there is no result. */
    void fail(int error) {
        failure = error;
    }

    /** What was noted last, {@code -errno}. */
    int failure() {
        return failure;
    }

    MemorySegment entries() {
        return entries;
    }

    /**
     * The path of an open file, for calls that do not take a descriptor opened as a place. It leads to that very file, whatever names it has
     * by now; if it is a symbolic link, to the link itself.
     */
    MemorySegment place(int fd) {
        int digits = 1;
        for (int rest = fd / 10; rest > 0; rest /= 10) {
            digits++;
        }
        int rest = fd;
        for (int i = digits - 1; i >= 0; i--) {
            place.set(JAVA_BYTE, PROC.length + i, (byte) ('0' + rest % 10));
            rest /= 10;
        }
        place.set(JAVA_BYTE, PROC.length + digits, (byte) 0);
        return place;
    }

    /** Two {@code struct timespec}: last access and last change. */
    MemorySegment times(long accessed, long accessedNanos, long modified, long modifiedNanos) {
        times.set(JAVA_LONG, 0, accessed);
        times.set(JAVA_LONG, Long.BYTES, accessedNanos);
        times.set(JAVA_LONG, TIMESPEC, modified);
        times.set(JAVA_LONG, TIMESPEC + Long.BYTES, modifiedNanos);
        return times;
    }

    /** One of two offsets that a call reads and writes. */
    MemorySegment offset(int index, long value) {
        MemorySegment offset = offsets.asSlice((long) index * Long.BYTES, Long.BYTES);
        offset.set(JAVA_LONG, 0, value);
        return offset;
    }
}
