package io.github.jkvm.kvm.ffi;

import static io.github.jkvm.kvm.ffi.NativeAccess.link;
import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/**
 * Functions of the C library and requests that make and set up pseudo-terminals ({@code pty(7)}), in the manner of {@link Libc}: each returns
 * what the function returns, or {@code -errno}.
 */
public final class PtyCalls {
    /** Do not make the terminal the process's own (Linux, include/uapi/asm-generic/fcntl.h). */
    public static final int O_NOCTTY = 0x100;

    /** Read a terminal's settings, as the kernel's {@code struct termios} (Linux, include/uapi/asm-generic/ioctls.h). */
    public static final long TCGETS = 0x5401;

    /** Change a terminal's settings at once (as above). */
    public static final long TCSETS = 0x5402;

    /** Read a terminal's size, as a {@code struct winsize} (as above). */
    public static final long TIOCGWINSZ = 0x5413;

    /** Change a terminal's size (as above). */
    public static final long TIOCSWINSZ = 0x5414;

    private static final MethodHandle POSIX_OPENPT = link("posix_openpt", FunctionDescriptor.of(JAVA_INT, JAVA_INT));
    private static final MethodHandle GRANTPT = link("grantpt", FunctionDescriptor.of(JAVA_INT, JAVA_INT));
    private static final MethodHandle UNLOCKPT = link("unlockpt", FunctionDescriptor.of(JAVA_INT, JAVA_INT));
    private static final MethodHandle PTSNAME_R =
            link("ptsname_r", FunctionDescriptor.of(JAVA_INT, JAVA_INT, ADDRESS, JAVA_LONG));

    private PtyCalls() {}

    /** {@code posix_openpt(3)}; on Linux also takes {@code O_NONBLOCK} and {@code O_CLOEXEC}. */
    public static int posix_openpt(int flags) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return Libc.result((int) POSIX_OPENPT.invokeExact(captured, flags), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code grantpt(3)}. */
    public static int grantpt(int fd) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return Libc.result((int) GRANTPT.invokeExact(captured, fd), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code unlockpt(3)}. */
    public static int unlockpt(int fd) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return Libc.result((int) UNLOCKPT.invokeExact(captured, fd), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code ptsname_r(3)}, which returns its error instead of setting errno; here it is negative as everywhere. */
    public static int ptsname_r(int fd, MemorySegment name, long length) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return -(int) PTSNAME_R.invokeExact(captured, fd, name, length);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }
}
