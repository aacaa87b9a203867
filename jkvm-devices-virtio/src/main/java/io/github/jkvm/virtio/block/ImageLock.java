package io.github.jkvm.virtio.block;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import io.github.jkvm.kvm.ffi.Errno;
import io.github.jkvm.kvm.ffi.Libc;
import io.github.jkvm.kvm.ffi.OwnedFd;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemoryLayout.PathElement;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.nio.file.FileSystemException;
import java.nio.file.Path;

/**
 * Keeps two users from writing one image.
 *
 * <p>The locks belong to the open file and end with it. Java's own file locks belong to the process: two images of one
 * program would share them, and closing any stream on the file would end them. The bytes that are locked are those that
 * QEMU locks for the same purpose (QEMU, block/file-posix.c: {@code RAW_LOCK_PERM_BASE} 100, {@code RAW_LOCK_SHARED_BASE} 200; one byte for
 * each permission), so that each keeps out the other.
 */
final class ImageLock {
    /** {@code struct flock} (Linux, include/uapi/asm-generic/fcntl.h). */
    private static final StructLayout FLOCK = MemoryLayout.structLayout(
            JAVA_SHORT.withName("l_type"),
            JAVA_SHORT.withName("l_whence"),
            MemoryLayout.paddingLayout(4),
            JAVA_LONG.withName("l_start"),
            JAVA_LONG.withName("l_len"),
            JAVA_INT.withName("l_pid"),
            MemoryLayout.paddingLayout(4));

    private static final long L_TYPE = FLOCK.byteOffset(PathElement.groupElement("l_type"));
    private static final long L_START = FLOCK.byteOffset(PathElement.groupElement("l_start"));
    private static final long L_LEN = FLOCK.byteOffset(PathElement.groupElement("l_len"));

    /** Byte of QEMU's permission to read what is consistent, which every user of an image takes. */
    private static final long READING = 100;

    /** First byte of the permissions that a reader does not share with others: to write, write unchanged data and resize. */
    private static final long NOT_SHARED = 201;

    private static final long NOT_SHARED_BYTES = 3;

    /** All bytes of both kinds. */
    private static final long ALL_BYTES = 200;

    private ImageLock() {}

    /** Locks an open file until it is closed. */
    static void take(OwnedFd file, Path path, ImageAccess access) throws IOException {
        if (access == ImageAccess.READ_WRITE) {
            lock(file, path, access, Libc.F_WRLCK, READING, ALL_BYTES);
        } else {
            lock(file, path, access, Libc.F_RDLCK, READING, 1);
            lock(file, path, access, Libc.F_RDLCK, NOT_SHARED, NOT_SHARED_BYTES);
        }
    }

    private static void lock(OwnedFd file, Path path, ImageAccess access, short type, long start, long length)
            throws IOException {
        int fd = file.acquire();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment flock = arena.allocate(FLOCK);
            flock.set(JAVA_SHORT, L_TYPE, type);
            flock.set(JAVA_LONG, L_START, start);
            flock.set(JAVA_LONG, L_LEN, length);
            int result = Libc.fcntl(fd, Libc.F_OFD_SETLK, flock);
            if (result == -Errno.EAGAIN || result == -Errno.EACCES) {
                throw new FileSystemException(
                        path.toString(),
                        null,
                        "in use by another disk or program, which does not go with " + access
                                + "; close it there, or open the image " + ImageAccess.READ_ONLY + " everywhere");
            }
            if (result < 0) {
                throw new FileSystemException(path.toString(), null, "lock failed: " + Errno.name(-result));
            }
        } finally {
            file.release();
        }
    }
}
