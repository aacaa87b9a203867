package io.github.jkvm.kvm.ffi;

import static io.github.jkvm.kvm.ffi.NativeAccess.link;
import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/**
 * Functions of the C library and system calls on an open file, in the manner of {@link Libc}: each returns what the call returns, or
 * {@code -errno}.
 */
public final class FileCalls {
    /** Limit on a process's open files (Linux, include/uapi/asm-generic/resource.h). */
    public static final int RLIMIT_NOFILE = 7;

    /** Position at or after an offset where there is data (Linux, include/uapi/linux/fs.h). */
    public static final int SEEK_DATA = 3;

    /** Position at or after an offset where there is a hole or the end (as above). */
    public static final int SEEK_HOLE = 4;

    /** Only what takes no waiting for the storage: {@code RWF_NOWAIT} (Linux, include/uapi/linux/fs.h). */
    private static final long RWF_NOWAIT = 8;

    private static final MethodHandle FSYNC = link("fsync", FunctionDescriptor.of(JAVA_INT, JAVA_INT));
    private static final MethodHandle SYNCFS = link("syncfs", FunctionDescriptor.of(JAVA_INT, JAVA_INT));
    private static final MethodHandle FSTATFS = link("fstatfs", FunctionDescriptor.of(JAVA_INT, JAVA_INT, ADDRESS));
    private static final MethodHandle GETDENTS64 =
            link("syscall", FunctionDescriptor.of(JAVA_LONG, JAVA_LONG, JAVA_LONG, ADDRESS, JAVA_LONG), 1);
    private static final MethodHandle COPY_FILE_RANGE = link(
            "syscall",
            FunctionDescriptor.of(JAVA_LONG, JAVA_LONG, JAVA_LONG, ADDRESS, JAVA_LONG, ADDRESS, JAVA_LONG, JAVA_LONG),
            1);
    private static final MethodHandle POSITIONED_VECTORS = link(
            "syscall",
            FunctionDescriptor.of(
                    JAVA_LONG, JAVA_LONG, JAVA_LONG, ADDRESS, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, ADDRESS),
            1);
    private static final MethodHandle GETRLIMIT = link("getrlimit", FunctionDescriptor.of(JAVA_INT, JAVA_INT, ADDRESS));
    private static final MethodHandle GETEUID = link("geteuid", FunctionDescriptor.of(JAVA_INT));

    // Linux, arch/x86/entry/syscalls/syscall_64.tbl for x86-64 and include/uapi/asm-generic/unistd.h for aarch64.
    private static final long SYS_GETDENTS64 = Libc.AARCH64 ? 61 : 217;
    private static final long SYS_COPY_FILE_RANGE = Libc.AARCH64 ? 285 : 326;
    private static final long SYS_PREADV2 = Libc.AARCH64 ? 286 : 327;
    private static final long SYS_PWRITEV2 = Libc.AARCH64 ? 287 : 328;

    private FileCalls() {}

    /** {@code fsync(2)}. */
    public static int fsync(int fd) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return Libc.result((int) FSYNC.invokeExact(captured, fd), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code syncfs(2)}: all of the file system that the file is in. */
    public static int syncfs(int fd) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return Libc.result((int) SYNCFS.invokeExact(captured, fd), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code fstatfs(2)}; {@code result} is a {@link FileSystemStat}. */
    public static int fstatfs(int fd, MemorySegment result) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return Libc.result((int) FSTATFS.invokeExact(captured, fd, result), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code getdents64(2)}; returns the size of the {@code struct linux_dirent64} read, 0 at the end of the folder. */
    public static long getdents64(int fd, MemorySegment buffer, long size) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return Libc.result(
                    (long) GETDENTS64.invokeExact(captured, SYS_GETDENTS64, (long) fd, buffer, size), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code copy_file_range(2)} without flags; the offsets, of eight bytes each, are read from and written back to their segments. */
    public static long copy_file_range(int from, MemorySegment fromOffset, int to, MemorySegment toOffset, long count) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return Libc.result(
                    (long) COPY_FILE_RANGE.invokeExact(
                            captured, SYS_COPY_FILE_RANGE, (long) from, fromOffset, (long) to, toOffset, count, 0L),
                    captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /**
     * {@code preadv2(2)} that does not wait for the storage; returns the number of bytes read, {@code -EAGAIN} if it would wait for the first, or
     * {@code -EOPNOTSUPP} where the file system can't tell. {@code pinned} is as for {@link Libc#preadv}.
     */
    public static long preadvNoWait(int fd, MemorySegment vectors, int count, long offset, MemorySegment pinned) {
        return noWait(SYS_PREADV2, fd, vectors, count, offset, pinned);
    }

    /** {@code pwritev2(2)} that does not wait for the storage, with results as {@link #preadvNoWait} has them. */
    public static long pwritevNoWait(int fd, MemorySegment vectors, int count, long offset, MemorySegment pinned) {
        return noWait(SYS_PWRITEV2, fd, vectors, count, offset, pinned);
    }

    /** On 64-bit machines the offset is one argument, and the one after it does not count (Linux, fs/read_write.c, pos_from_hilo). */
    private static long noWait(long call, int fd, MemorySegment vectors, int count, long offset, MemorySegment pinned) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return Libc.result(
                    (long) POSITIONED_VECTORS.invokeExact(
                            captured, call, (long) fd, vectors, (long) count, offset, 0L, RWF_NOWAIT, pinned),
                    captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code getrlimit(2)}; {@code result} is two numbers of eight bytes: the limit in force and the greatest allowed one. */
    public static int getrlimit(int resource, MemorySegment result) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return Libc.result((int) GETRLIMIT.invokeExact(captured, resource, result), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code geteuid(2)}: the user that the process acts as, 0 for root. */
    public static int geteuid() {
        MemorySegment captured = NativeAccess.captured();
        try {
            return Libc.result((int) GETEUID.invokeExact(captured), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }
}
