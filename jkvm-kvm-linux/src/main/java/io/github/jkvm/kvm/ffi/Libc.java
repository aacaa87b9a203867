package io.github.jkvm.kvm.ffi;

import static io.github.jkvm.kvm.ffi.NativeAccess.link;
import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/**
 * Functions of the C library, by their C names. Each returns what the function returns, or {@code -errno} where the function fails, as a
 * raw system call does. None is retried here: what an {@link Errno#EINTR} means is for the caller to decide.
 *
 * <p>None of the calls is {@code critical} to the linker: a garbage collection does not wait for one that blocks.
 *
 * <p>Callers that use a descriptor more than once hold it in an {@link OwnedFd}.
 */
public final class Libc {
    /** Open for reading (fcntl.h). */
    public static final int O_RDONLY = 0;

    /** Open for reading and writing (fcntl.h). */
    public static final int O_RDWR = 2;

    /** Do not wait: of use for an open that a pipe without a peer would hold up (Linux, include/uapi/asm-generic/fcntl.h). */
    public static final int O_NONBLOCK = 0x800;

    /** Close when another program is run (Linux, include/uapi/asm-generic/fcntl.h). */
    public static final int O_CLOEXEC = 0x8_0000;

    /** Position from the end of the file (stdio.h). */
    public static final int SEEK_END = 2;

    /** Leave the file's size as it is (Linux, include/uapi/linux/falloc.h). */
    public static final int FALLOC_FL_KEEP_SIZE = 1;

    /** Give a range's blocks back; it reads as zeros. Goes with {@link #FALLOC_FL_KEEP_SIZE} (Linux, include/uapi/linux/falloc.h). */
    public static final int FALLOC_FL_PUNCH_HOLE = 2;

    /** Make a range read as zeros, with blocks kept for it (Linux, include/uapi/linux/falloc.h). */
    public static final int FALLOC_FL_ZERO_RANGE = 0x10;

    /** Set or free a lock that belongs to the open file, not to the process (Linux, include/uapi/asm-generic/fcntl.h). */
    public static final int F_OFD_SETLK = 37;

    /** A lock that others may hold at the same time, as a {@code struct flock} names it (Linux, include/uapi/asm-generic/fcntl.h). */
    public static final short F_RDLCK = 0;

    /** A lock that nobody else holds (Linux, include/uapi/asm-generic/fcntl.h). */
    public static final short F_WRLCK = 1;

    /** Greatest number of buffers of one vectored call (Linux, include/uapi/linux/uio.h, {@code UIO_MAXIOV}). */
    public static final int IOV_MAX = 1024;

    private static final MethodHandle IOCTL_POINTER =
            link("ioctl", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_LONG, ADDRESS), 2);
    private static final MethodHandle IOCTL_NUMBER =
            link("ioctl", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_LONG, JAVA_LONG), 2);
    private static final MethodHandle OPEN =
            link("open", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT), 2);
    private static final MethodHandle CLOSE = link("close", FunctionDescriptor.of(JAVA_INT, JAVA_INT));
    private static final MethodHandle READ =
            link("read", FunctionDescriptor.of(JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG));
    private static final MethodHandle WRITE =
            link("write", FunctionDescriptor.of(JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG));
    private static final MethodHandle READV =
            link("readv", FunctionDescriptor.of(JAVA_LONG, JAVA_INT, ADDRESS, JAVA_INT, ADDRESS));
    private static final MethodHandle WRITEV =
            link("writev", FunctionDescriptor.of(JAVA_LONG, JAVA_INT, ADDRESS, JAVA_INT, ADDRESS));
    private static final MethodHandle PREAD =
            link("pread", FunctionDescriptor.of(JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG, JAVA_LONG));
    private static final MethodHandle PWRITE =
            link("pwrite", FunctionDescriptor.of(JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG, JAVA_LONG));
    private static final MethodHandle PREADV =
            link("preadv", FunctionDescriptor.of(JAVA_LONG, JAVA_INT, ADDRESS, JAVA_INT, JAVA_LONG, ADDRESS));
    private static final MethodHandle PWRITEV =
            link("pwritev", FunctionDescriptor.of(JAVA_LONG, JAVA_INT, ADDRESS, JAVA_INT, JAVA_LONG, ADDRESS));
    private static final MethodHandle FDATASYNC = link("fdatasync", FunctionDescriptor.of(JAVA_INT, JAVA_INT));
    private static final MethodHandle FCNTL_POINTER =
            link("fcntl", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT, ADDRESS), 2);
    private static final MethodHandle LSEEK =
            link("lseek", FunctionDescriptor.of(JAVA_LONG, JAVA_INT, JAVA_LONG, JAVA_INT));
    private static final MethodHandle FTRUNCATE =
            link("ftruncate", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_LONG));
    private static final MethodHandle FALLOCATE =
            link("fallocate", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT, JAVA_LONG, JAVA_LONG));
    private static final MethodHandle MMAP = link(
            "mmap", FunctionDescriptor.of(JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_LONG));
    private static final MethodHandle MUNMAP = link("munmap", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG));
    private static final MethodHandle MADVISE =
            link("madvise", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG, JAVA_INT));
    private static final MethodHandle MEMFD_CREATE =
            link("memfd_create", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT));
    private static final MethodHandle EVENTFD = link("eventfd", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT));
    private static final MethodHandle EPOLL_CREATE1 = link("epoll_create1", FunctionDescriptor.of(JAVA_INT, JAVA_INT));
    private static final MethodHandle EPOLL_CTL =
            link("epoll_ctl", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT, ADDRESS));
    private static final MethodHandle EPOLL_WAIT =
            link("epoll_wait", FunctionDescriptor.of(JAVA_INT, JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT));
    private static final MethodHandle TIMERFD_CREATE =
            link("timerfd_create", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT));
    private static final MethodHandle TIMERFD_SETTIME =
            link("timerfd_settime", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT, ADDRESS, ADDRESS));
    private static final MethodHandle SIGACTION =
            link("sigaction", FunctionDescriptor.of(JAVA_INT, JAVA_INT, ADDRESS, ADDRESS));
    private static final MethodHandle SIGPROCMASK =
            link("sigprocmask", FunctionDescriptor.of(JAVA_INT, JAVA_INT, ADDRESS, ADDRESS));
    private static final MethodHandle GETPAGESIZE = link("getpagesize", FunctionDescriptor.of(JAVA_INT));
    private static final MethodHandle SYSCALL =
            link("syscall", FunctionDescriptor.of(JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG), 1);

    /** True if the numbers of aarch64 count, not those of x86-64. */
    static final boolean AARCH64 = System.getProperty("os.arch", "").equals("aarch64");

    /** Number of the system call on x86-64 (arch/x86/entry/syscalls/syscall_64.tbl) and aarch64 (asm-generic/unistd.h). */
    private static final long SYS_GETTID = AARCH64 ? 178 : 186;

    /** As above. */
    private static final long SYS_TGKILL = AARCH64 ? 131 : 234;

    private Libc() {}

    /** Makes sure that the functions are linked, or that why not is known. */
    static void linkAll() {}

    /** {@code ioctl(2)} with a pointer to a structure. */
    public static int ioctl(int fd, long request, MemorySegment arg) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return result((int) IOCTL_POINTER.invokeExact(captured, fd, request, arg), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code ioctl(2)} with a number, or 0 where the request takes none. */
    public static int ioctl(int fd, long request, long arg) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return result((int) IOCTL_NUMBER.invokeExact(captured, fd, request, arg), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code open(2)}; {@code path} ends with NUL, {@code mode} counts only if a file is made. */
    public static int open(MemorySegment path, int flags, int mode) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return result((int) OPEN.invokeExact(captured, path, flags, mode), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code close(2)}. The descriptor is gone even if an error is returned: never call it again. */
    public static int close(int fd) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return result((int) CLOSE.invokeExact(captured, fd), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code read(2)}; returns the number of bytes read, 0 at the end of a file. */
    public static long read(int fd, MemorySegment buffer, long count) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return result((long) READ.invokeExact(captured, fd, buffer, count), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code write(2)}; returns the number of bytes written. */
    public static long write(int fd, MemorySegment buffer, long count) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return result((long) WRITE.invokeExact(captured, fd, buffer, count), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code pread(2)}; returns the number of bytes read, 0 at the end of a file. */
    public static long pread(int fd, MemorySegment buffer, long count, long offset) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return result((long) PREAD.invokeExact(captured, fd, buffer, count, offset), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code pwrite(2)}; returns the number of bytes written. */
    public static long pwrite(int fd, MemorySegment buffer, long count, long offset) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return result((long) PWRITE.invokeExact(captured, fd, buffer, count, offset), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /**
     * {@code preadv(2)}; returns the number of bytes read. The vectors hold bare addresses, which keep no memory alive: {@code pinned} is any
     * segment of the arena that all of them point into. It is passed as one argument more than the function has, which it
     * does not look at, and so stays alive until the return.
     */
    public static long preadv(int fd, MemorySegment vectors, int count, long offset, MemorySegment pinned) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return result((long) PREADV.invokeExact(captured, fd, vectors, count, offset, pinned), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code pwritev(2)}; returns the number of bytes written. {@code pinned} is as for {@link #preadv}. */
    public static long pwritev(int fd, MemorySegment vectors, int count, long offset, MemorySegment pinned) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return result((long) PWRITEV.invokeExact(captured, fd, vectors, count, offset, pinned), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code readv(2)}; returns the number of bytes read. {@code pinned} is as for {@link #preadv}. */
    public static long readv(int fd, MemorySegment vectors, int count, MemorySegment pinned) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return result((long) READV.invokeExact(captured, fd, vectors, count, pinned), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code writev(2)}; returns the number of bytes written. {@code pinned} is as for {@link #preadv}. */
    public static long writev(int fd, MemorySegment vectors, int count, MemorySegment pinned) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return result((long) WRITEV.invokeExact(captured, fd, vectors, count, pinned), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code fdatasync(2)}. */
    public static int fdatasync(int fd) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return result((int) FDATASYNC.invokeExact(captured, fd), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code fcntl(2)} with a pointer to a structure. */
    public static int fcntl(int fd, int command, MemorySegment arg) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return result((int) FCNTL_POINTER.invokeExact(captured, fd, command, arg), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code lseek(2)}; returns the new position, which with {@link #SEEK_END} tells a file's size. */
    public static long lseek(int fd, long offset, int whence) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return result((long) LSEEK.invokeExact(captured, fd, offset, whence), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code ftruncate(2)}. */
    public static int ftruncate(int fd, long length) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return result((int) FTRUNCATE.invokeExact(captured, fd, length), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code fallocate(2)}. */
    public static int fallocate(int fd, int mode, long offset, long length) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return result((int) FALLOCATE.invokeExact(captured, fd, mode, offset, length), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code mmap(2)}; returns the address, which on Linux is never negative. */
    public static long mmap(long address, long length, int protection, int flags, int fd, long offset) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return result((long) MMAP.invokeExact(captured, address, length, protection, flags, fd, offset), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code munmap(2)}. */
    public static int munmap(long address, long length) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return result((int) MUNMAP.invokeExact(captured, address, length), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code madvise(2)}; {@code memory} is of the pages that the advice is for. */
    public static int madvise(MemorySegment memory, int advice) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return result((int) MADVISE.invokeExact(captured, memory, memory.byteSize(), advice), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code memfd_create(2)}; {@code name} ends with NUL. */
    public static int memfd_create(MemorySegment name, int flags) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return result((int) MEMFD_CREATE.invokeExact(captured, name, flags), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code eventfd(2)}. */
    public static int eventfd(int initial, int flags) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return result((int) EVENTFD.invokeExact(captured, initial, flags), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code epoll_create1(2)}. */
    public static int epoll_create1(int flags) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return result((int) EPOLL_CREATE1.invokeExact(captured, flags), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code epoll_ctl(2)}; {@code event} may be {@link MemorySegment#NULL} for a removal. */
    public static int epoll_ctl(int epoll, int operation, int fd, MemorySegment event) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return result((int) EPOLL_CTL.invokeExact(captured, epoll, operation, fd, event), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code epoll_wait(2)}; returns the number of events. Blocks; a timeout of -1 is none. */
    public static int epoll_wait(int epoll, MemorySegment events, int maxEvents, int timeoutMillis) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return result((int) EPOLL_WAIT.invokeExact(captured, epoll, events, maxEvents, timeoutMillis), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code timerfd_create(2)}. */
    public static int timerfd_create(int clock, int flags) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return result((int) TIMERFD_CREATE.invokeExact(captured, clock, flags), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code timerfd_settime(2)}; {@code old} may be {@link MemorySegment#NULL}. */
    public static int timerfd_settime(int fd, int flags, MemorySegment value, MemorySegment old) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return result((int) TIMERFD_SETTIME.invokeExact(captured, fd, flags, value, old), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code sigaction(2)}; {@code old} may be {@link MemorySegment#NULL}. */
    public static int sigaction(int signal, MemorySegment action, MemorySegment old) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return result((int) SIGACTION.invokeExact(captured, signal, action, old), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code sigprocmask(2)}, which on Linux acts on the calling thread; {@code old} may be {@link MemorySegment#NULL}. */
    public static int sigprocmask(int how, MemorySegment set, MemorySegment old) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return result((int) SIGPROCMASK.invokeExact(captured, how, set, old), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code getpagesize(2)}: bytes of an ordinary page, which can't fail. */
    public static int getpagesize() {
        MemorySegment captured = NativeAccess.captured();
        try {
            return (int) GETPAGESIZE.invokeExact(captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code gettid(2)}, which older C libraries have no function for. */
    public static int gettid() {
        return (int) syscall(SYS_GETTID, 0, 0, 0);
    }

    /** {@code tgkill(2)}, which older C libraries have no function for. */
    public static int tgkill(int process, int thread, int signal) {
        return (int) syscall(SYS_TGKILL, process, thread, signal);
    }

    private static long syscall(long number, long first, long second, long third) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return result((long) SYSCALL.invokeExact(captured, number, first, second, third), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** A call's result, or {@code -errno}. */
    static int result(int result, MemorySegment captured) {
        return result == -1 ? -NativeAccess.errno(captured) : result;
    }

    /** A call's result, or {@code -errno}. */
    static long result(long result, MemorySegment captured) {
        return result == -1 ? -NativeAccess.errno(captured) : result;
    }
}
