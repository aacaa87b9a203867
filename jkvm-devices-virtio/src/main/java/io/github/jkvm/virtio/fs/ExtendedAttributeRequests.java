package io.github.jkvm.virtio.fs;

import static io.github.jkvm.virtio.fs.FuseLayout.GETXATTR_IN;
import static io.github.jkvm.virtio.fs.FuseLayout.GETXATTR_OUT;
import static io.github.jkvm.virtio.fs.FuseLayout.GETXATTR_OUT_SIZE;
import static io.github.jkvm.virtio.fs.FuseLayout.GETXATTR_SIZE;
import static io.github.jkvm.virtio.fs.FuseLayout.SETXATTR_FLAGS;
import static io.github.jkvm.virtio.fs.FuseLayout.SETXATTR_IN;
import static io.github.jkvm.virtio.fs.FuseLayout.SETXATTR_SIZE;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import io.github.jkvm.kvm.ffi.Errno;
import io.github.jkvm.kvm.ffi.PathCalls;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/**
 * Requests about extended attributes: those of the namespace {@code user}. The others have a meaning to the host itself, such as
 * what a program may do when it is run there. Each request returns the bytes of its reply, or {@code -errno}.
 */
final class ExtendedAttributeRequests {
    private static final byte[] NAMESPACE = "user.".getBytes(StandardCharsets.US_ASCII);

    private final SharedFolder folder;

    ExtendedAttributeRequests(SharedFolder folder) {
        this.folder = folder;
    }

    int set(FuseExchange x, Inode file) {
        if (!x.hasArguments(SETXATTR_IN)) {
            return -Errno.EINVAL;
        }
        MemorySegment name = x.text(SETXATTR_IN);
        int refused = check(name);
        if (refused != 0 || name == null) {
            return refused;
        }
        int value = SETXATTR_IN + (int) name.byteSize();
        long size = Integer.toUnsignedLong(x.argumentInt(SETXATTR_SIZE));
        if (size > x.argumentBytes() - value) {
            return -Errno.EINVAL;
        }
        return folder.isReadOnly()
                ? -Errno.EROFS
                : PathCalls.setxattr(
                        x.scratch().place(file.fd()),
                        name,
                        x.arguments(value, (int) size),
                        size,
                        x.argumentInt(SETXATTR_FLAGS));
    }

    int remove(FuseExchange x, Inode file) {
        MemorySegment name = x.text(0);
        int refused = check(name);
        if (refused != 0 || name == null) {
            return refused;
        }
        return folder.isReadOnly()
                ? -Errno.EROFS
                : PathCalls.removexattr(x.scratch().place(file.fd()), name);
    }

    int get(FuseExchange x, Inode file) {
        if (!x.hasArguments(GETXATTR_IN) || x.room() < GETXATTR_OUT) {
            return -Errno.EINVAL;
        }
        MemorySegment name = x.text(GETXATTR_IN);
        int refused = check(name);
        if (refused != 0 || name == null) {
            return refused;
        }
        // With no size the host tells the size too.
        int size = size(x);
        long result = PathCalls.getxattr(x.scratch().place(file.fd()), name, x.replyBytes(0, size), size);
        return result < 0 || asked(x) != 0 ? (int) result : sizeReply(x, (int) result);
    }

    int list(FuseExchange x, Inode file) {
        if (!x.hasArguments(GETXATTR_IN) || x.room() < GETXATTR_OUT) {
            return -Errno.EINVAL;
        }
        MemorySegment names = x.replyBytes(0, FuseExchange.REPLY_BYTES);
        long bytes = PathCalls.listxattr(x.scratch().place(file.fd()), names, names.byteSize());
        if (bytes < 0) {
            return (int) bytes;
        }
        int kept = keepNamespace(names, (int) bytes);
        if (asked(x) == 0) {
            return sizeReply(x, kept);
        }
        return kept > size(x) ? -Errno.ERANGE : kept;
    }

    /** Moves the names of the namespace to the front. Returns their bytes. */
    private static int keepNamespace(MemorySegment names, int bytes) {
        int kept = 0;
        for (int at = 0; at < bytes; ) {
            int end = at;
            while (end < bytes && names.get(JAVA_BYTE, end) != 0) {
                end++;
            }
            int length = Math.min(end + 1, bytes) - at;
            if (inNamespace(names.asSlice(at, length))) {
                MemorySegment.copy(names, at, names, kept, length);
                kept += length;
            }
            at += length;
        }
        return kept;
    }

    private static long asked(FuseExchange x) {
        return Integer.toUnsignedLong(x.argumentInt(GETXATTR_SIZE));
    }

    /** Room for what was asked. */
    private static int size(FuseExchange x) {
        return (int) Math.min(asked(x), x.replyRoom());
    }

    private static int sizeReply(FuseExchange x, int size) {
        x.clearReply(0, GETXATTR_OUT);
        x.putInt(GETXATTR_OUT_SIZE, size);
        return GETXATTR_OUT;
    }

    private static int check(@Nullable MemorySegment name) {
        if (name == null) {
            return -Errno.EINVAL;
        }
        if (name.byteSize() - 1 > FileNames.LONGEST) {
            return -Errno.ERANGE;
        }
        return inNamespace(name) ? 0 : -Errno.EOPNOTSUPP;
    }

    private static boolean inNamespace(MemorySegment name) {
        return name.byteSize() > NAMESPACE.length
                && name.asSlice(0, NAMESPACE.length).mismatch(MemorySegment.ofArray(NAMESPACE)) == -1;
    }
}
