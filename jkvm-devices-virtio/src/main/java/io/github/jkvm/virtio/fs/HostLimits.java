package io.github.jkvm.virtio.fs;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.github.jkvm.kvm.ffi.FileCalls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** What the host lets this process have. */
final class HostLimits {
    /** What to assume where the host does not tell: what most have at least. */
    private static final int USUAL_OPEN_FILES = 1024;

    private HostLimits() {}

    /** Returns how many descriptors the process can have. */
    static int openFiles() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment limit = arena.allocate(2 * Long.BYTES, Long.BYTES);
            if (FileCalls.getrlimit(FileCalls.RLIMIT_NOFILE, limit) != 0) {
                return USUAL_OPEN_FILES;
            }
            // Unsigned: no limit is the greatest number.
            long now = limit.get(JAVA_LONG, 0);
            return now < 0 ? Integer.MAX_VALUE : (int) Math.min(now, Integer.MAX_VALUE);
        }
    }
}
