package io.github.jkvm.kvm.ffi;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * How {@link PathCalls#openat2} opens a file and what its path may not do: {@code struct open_how} (Linux, include/uapi/linux/openat2.h).
 * Belongs to one thread at a time.
 */
public final class OpenHow {
    /** Do not cross into another mount. */
    public static final long RESOLVE_NO_XDEV = 0x01;

    /** Do not follow links of the kind that {@code /proc/self/fd} has. */
    public static final long RESOLVE_NO_MAGICLINKS = 0x02;

    /** Do not follow symbolic links. */
    public static final long RESOLVE_NO_SYMLINKS = 0x04;

    /** Do not leave the folder that the path begins in. */
    public static final long RESOLVE_BENEATH = 0x08;

    private static final long SIZE = 24;
    private static final long FLAGS = 0;
    private static final long MODE = 8;
    private static final long RESOLVE = 16;

    private final MemorySegment segment;

    /**
     * Allocates one.
     *
     * @param arena its lifetime
     */
    public OpenHow(Arena arena) {
        segment = arena.allocate(SIZE, Long.BYTES);
    }

    /**
     * Opens a file.
     *
     * @param folder where the path begins
     * @param path the path, ended with NUL, in native memory
     * @param flags {@code O_*}
     * @param mode permissions of a file that is made, else 0
     * @param resolve {@code RESOLVE_*}
     * @return the descriptor, or {@code -errno}
     */
    public int open(int folder, MemorySegment path, int flags, int mode, long resolve) {
        segment.set(JAVA_LONG, FLAGS, flags);
        segment.set(JAVA_LONG, MODE, mode);
        segment.set(JAVA_LONG, RESOLVE, resolve);
        return PathCalls.openat2(folder, path, segment, SIZE);
    }
}
