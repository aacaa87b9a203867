package io.github.jkvm.kvm.ffi;

import static io.github.jkvm.kvm.ffi.NativeAccess.link;
import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/** What {@link UnixSocket} needs besides {@link SocketCalls}, in the same manner. */
final class UnixCalls {
    private static final MethodHandle SOCKETPAIR =
            link("socketpair", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT, ADDRESS));
    private static final MethodHandle RECVMSG =
            link("recvmsg", FunctionDescriptor.of(JAVA_LONG, JAVA_INT, ADDRESS, JAVA_INT));
    private static final MethodHandle POLL =
            link("poll", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG, JAVA_INT));

    private UnixCalls() {}

    /** {@code socketpair(2)}; {@code result} has room for two descriptors. */
    static int socketpair(int domain, int type, int protocol, MemorySegment result) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return Libc.result((int) SOCKETPAIR.invokeExact(captured, domain, type, protocol, result), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code recvmsg(2)}; {@code message} is a {@code struct msghdr}. */
    static long recvmsg(int fd, MemorySegment message, int flags) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return Libc.result((long) RECVMSG.invokeExact(captured, fd, message, flags), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code poll(2)} of one {@code struct pollfd}. */
    static int poll(MemorySegment watched, int timeoutMillis) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return Libc.result((int) POLL.invokeExact(captured, watched, 1L, timeoutMillis), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }
}
