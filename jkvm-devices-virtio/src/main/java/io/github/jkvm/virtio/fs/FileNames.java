package io.github.jkvm.virtio.fs;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import io.github.jkvm.kvm.ffi.Errno;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/** What is a name in a folder: one that leads nowhere else. */
final class FileNames {
    /** {@code NAME_MAX} (Linux, include/uapi/linux/limits.h). */
    static final int LONGEST = 255;

    private FileNames() {}

    /**
     * Checks a name.
     *
     * @param name the name with its NUL, or null if it had no end
     * @return 0, or {@code -errno}
     */
    static int check(@Nullable MemorySegment name) {
        if (name == null) {
            return -Errno.EINVAL;
        }
        long length = name.byteSize() - 1;
        if (length > LONGEST) {
            return -Errno.ENAMETOOLONG;
        }
        if (length == 0 || isDots(name, length)) {
            return -Errno.EINVAL;
        }
        for (long i = 0; i < length; i++) {
            if (name.get(JAVA_BYTE, i) == '/') {
                return -Errno.EINVAL;
            }
        }
        return 0;
    }

    private static boolean isDots(MemorySegment name, long length) {
        return name.get(JAVA_BYTE, 0) == '.' && (length == 1 || (length == 2 && name.get(JAVA_BYTE, 1) == '.'));
    }
}
