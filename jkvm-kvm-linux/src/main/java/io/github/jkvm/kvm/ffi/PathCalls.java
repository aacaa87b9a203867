package io.github.jkvm.kvm.ffi;

import static io.github.jkvm.kvm.ffi.NativeAccess.link;
import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/**
 * Functions of the C library and system calls that find a file by a folder's descriptor and a path, in the manner of {@link Libc}: each
 * returns what the call returns, or {@code -errno}. Paths and names end with NUL and lie in native memory.
 */
public final class PathCalls {
    /** The working folder, for paths that are absolute (Linux, include/uapi/linux/fcntl.h). */
    public static final int AT_FDCWD = -100;

    /** Do not follow a symbolic link at the end of the path (as above). */
    public static final int AT_SYMLINK_NOFOLLOW = 0x100;

    /** Remove a folder (as above). */
    public static final int AT_REMOVEDIR = 0x200;

    /** Follow a symbolic link at the end of the path (as above). */
    public static final int AT_SYMLINK_FOLLOW = 0x400;

    /** Do not mount what would be mounted at the end of the path when it is used (as above). */
    public static final int AT_NO_AUTOMOUNT = 0x800;

    /** With an empty path: the file that the descriptor stands for (as above). */
    public static final int AT_EMPTY_PATH = 0x1000;

    private static final MethodHandle OPENAT2 =
            link("syscall", FunctionDescriptor.of(JAVA_LONG, JAVA_LONG, JAVA_LONG, ADDRESS, ADDRESS, JAVA_LONG), 1);
    private static final MethodHandle STATX = link(
            "syscall",
            FunctionDescriptor.of(JAVA_LONG, JAVA_LONG, JAVA_LONG, ADDRESS, JAVA_LONG, JAVA_LONG, ADDRESS),
            1);
    private static final MethodHandle READLINKAT =
            link("readlinkat", FunctionDescriptor.of(JAVA_LONG, JAVA_INT, ADDRESS, ADDRESS, JAVA_LONG));
    private static final MethodHandle MKDIRAT =
            link("mkdirat", FunctionDescriptor.of(JAVA_INT, JAVA_INT, ADDRESS, JAVA_INT));
    private static final MethodHandle MKNODAT =
            link("syscall", FunctionDescriptor.of(JAVA_LONG, JAVA_LONG, JAVA_LONG, ADDRESS, JAVA_LONG, JAVA_LONG), 1);
    private static final MethodHandle UNLINKAT =
            link("unlinkat", FunctionDescriptor.of(JAVA_INT, JAVA_INT, ADDRESS, JAVA_INT));
    private static final MethodHandle SYMLINKAT =
            link("symlinkat", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT, ADDRESS));
    private static final MethodHandle LINKAT =
            link("linkat", FunctionDescriptor.of(JAVA_INT, JAVA_INT, ADDRESS, JAVA_INT, ADDRESS, JAVA_INT));
    private static final MethodHandle RENAMEAT2 = link(
            "syscall",
            FunctionDescriptor.of(JAVA_LONG, JAVA_LONG, JAVA_LONG, ADDRESS, JAVA_LONG, ADDRESS, JAVA_LONG),
            1);
    private static final MethodHandle FCHMODAT =
            link("fchmodat", FunctionDescriptor.of(JAVA_INT, JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT));
    private static final MethodHandle FCHOWNAT =
            link("fchownat", FunctionDescriptor.of(JAVA_INT, JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT, JAVA_INT));
    private static final MethodHandle UTIMENSAT =
            link("utimensat", FunctionDescriptor.of(JAVA_INT, JAVA_INT, ADDRESS, ADDRESS, JAVA_INT));
    private static final MethodHandle FACCESSAT =
            link("faccessat", FunctionDescriptor.of(JAVA_INT, JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT));
    private static final MethodHandle GETXATTR =
            link("getxattr", FunctionDescriptor.of(JAVA_LONG, ADDRESS, ADDRESS, ADDRESS, JAVA_LONG));
    private static final MethodHandle SETXATTR =
            link("setxattr", FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS, ADDRESS, JAVA_LONG, JAVA_INT));
    private static final MethodHandle LISTXATTR =
            link("listxattr", FunctionDescriptor.of(JAVA_LONG, ADDRESS, ADDRESS, JAVA_LONG));
    private static final MethodHandle REMOVEXATTR =
            link("removexattr", FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS));

    // Linux, arch/x86/entry/syscalls/syscall_64.tbl for x86-64 and include/uapi/asm-generic/unistd.h for aarch64.
    private static final long SYS_OPENAT2 = 437;
    private static final long SYS_STATX = Libc.AARCH64 ? 291 : 332;
    private static final long SYS_MKNODAT = Libc.AARCH64 ? 33 : 259;
    private static final long SYS_RENAMEAT2 = Libc.AARCH64 ? 276 : 316;

    private PathCalls() {}

    /** {@code openat2(2)}; {@code how} is an {@link OpenHow} of {@code size} bytes. */
    public static int openat2(int folder, MemorySegment path, MemorySegment how, long size) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return (int) Libc.result(
                    (long) OPENAT2.invokeExact(captured, SYS_OPENAT2, (long) folder, path, how, size), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code statx(2)}; {@code result} is a {@link FileStat}. */
    public static int statx(int folder, MemorySegment path, int flags, int mask, MemorySegment result) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return (int) Libc.result(
                    (long) STATX.invokeExact(
                            captured, SYS_STATX, (long) folder, path, (long) flags, (long) mask, result),
                    captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code readlinkat(2)}; returns the length of the target, cut at {@code size} and not ended with NUL. */
    public static long readlinkat(int folder, MemorySegment path, MemorySegment buffer, long size) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return Libc.result((long) READLINKAT.invokeExact(captured, folder, path, buffer, size), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code mkdirat(2)}. */
    public static int mkdirat(int folder, MemorySegment path, int mode) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return Libc.result((int) MKDIRAT.invokeExact(captured, folder, path, mode), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code mknodat(2)}, which older C libraries have no function for. */
    public static int mknodat(int folder, MemorySegment path, int mode, long device) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return (int) Libc.result(
                    (long) MKNODAT.invokeExact(captured, SYS_MKNODAT, (long) folder, path, (long) mode, device),
                    captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code unlinkat(2)}; with {@link #AT_REMOVEDIR} it removes a folder. */
    public static int unlinkat(int folder, MemorySegment path, int flags) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return Libc.result((int) UNLINKAT.invokeExact(captured, folder, path, flags), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code symlinkat(2)}. */
    public static int symlinkat(MemorySegment target, int folder, MemorySegment path) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return Libc.result((int) SYMLINKAT.invokeExact(captured, target, folder, path), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code linkat(2)}. */
    public static int linkat(int oldFolder, MemorySegment oldPath, int newFolder, MemorySegment newPath, int flags) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return Libc.result(
                    (int) LINKAT.invokeExact(captured, oldFolder, oldPath, newFolder, newPath, flags), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code renameat2(2)}, which older C libraries have no function for. */
    public static int renameat2(int oldFolder, MemorySegment oldPath, int newFolder, MemorySegment newPath, int flags) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return (int) Libc.result(
                    (long) RENAMEAT2.invokeExact(
                            captured, SYS_RENAMEAT2, (long) oldFolder, oldPath, (long) newFolder, newPath, (long)
                                    flags),
                    captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code fchmodat(3)}; takes no {@link #AT_EMPTY_PATH}. */
    public static int fchmodat(int folder, MemorySegment path, int mode, int flags) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return Libc.result((int) FCHMODAT.invokeExact(captured, folder, path, mode, flags), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code fchownat(2)}; a user or group of -1 stays as it is. */
    public static int fchownat(int folder, MemorySegment path, int user, int group, int flags) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return Libc.result((int) FCHOWNAT.invokeExact(captured, folder, path, user, group, flags), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code utimensat(2)}; {@code times} are two {@code struct timespec}: last access, last change. */
    public static int utimensat(int folder, MemorySegment path, MemorySegment times, int flags) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return Libc.result((int) UTIMENSAT.invokeExact(captured, folder, path, times, flags), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code faccessat(2)}: whether the process may do what {@code mode} says. */
    public static int faccessat(int folder, MemorySegment path, int mode, int flags) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return Libc.result((int) FACCESSAT.invokeExact(captured, folder, path, mode, flags), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code getxattr(2)}; returns the size of the value, with a {@code size} of 0 without reading it. */
    public static long getxattr(MemorySegment path, MemorySegment name, MemorySegment value, long size) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return Libc.result((long) GETXATTR.invokeExact(captured, path, name, value, size), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code setxattr(2)}. */
    public static int setxattr(MemorySegment path, MemorySegment name, MemorySegment value, long size, int flags) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return Libc.result((int) SETXATTR.invokeExact(captured, path, name, value, size, flags), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code listxattr(2)}; returns the size of the list, with a {@code size} of 0 without reading it. */
    public static long listxattr(MemorySegment path, MemorySegment list, long size) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return Libc.result((long) LISTXATTR.invokeExact(captured, path, list, size), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code removexattr(2)}. */
    public static int removexattr(MemorySegment path, MemorySegment name) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return Libc.result((int) REMOVEXATTR.invokeExact(captured, path, name), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }
}
