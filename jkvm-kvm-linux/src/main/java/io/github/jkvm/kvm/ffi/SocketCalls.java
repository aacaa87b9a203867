package io.github.jkvm.kvm.ffi;

import static io.github.jkvm.kvm.ffi.NativeAccess.link;
import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.net.Inet6Address;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/**
 * Functions of the C library on sockets that a loop waits for, in the manner of {@link Libc}: each returns what the call returns, or
 * {@code -errno}. Where nothing native is at play, sockets are {@code java.nio.channels}.
 */
public final class SocketCalls {
    /** A socket of a path (Linux, include/linux/socket.h). */
    public static final int AF_UNIX = 1;

    /** IPv4 (as above). */
    public static final int AF_INET = 2;

    /** IPv6 (as above). */
    public static final int AF_INET6 = 10;

    /** A stream of bytes (Linux, include/linux/net.h). */
    public static final int SOCK_STREAM = 1;

    /** Do not wait (as above). */
    public static final int SOCK_NONBLOCK = Libc.O_NONBLOCK;

    /** Close when another program is run (as above). */
    public static final int SOCK_CLOEXEC = Libc.O_CLOEXEC;

    /** Raise no signal if the peer is gone (Linux, include/linux/socket.h). */
    static final int MSG_NOSIGNAL = 0x4000;

    /** Size of a {@code struct msghdr}. */
    static final long MESSAGE_SIZE = 56;

    private static final int SOL_SOCKET = 1;
    private static final int SO_ERROR = 4;

    /** Longest path of a Unix socket in bytes: {@code sun_path} without its end (Linux, include/uapi/linux/un.h). */
    private static final int MAX_PATH = 107;

    private static final MethodHandle SOCKET =
            link("socket", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT));
    private static final MethodHandle CONNECT =
            link("connect", FunctionDescriptor.of(JAVA_INT, JAVA_INT, ADDRESS, JAVA_INT));
    private static final MethodHandle GETSOCKOPT =
            link("getsockopt", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT, ADDRESS, ADDRESS));
    private static final MethodHandle SENDMSG =
            link("sendmsg", FunctionDescriptor.of(JAVA_LONG, JAVA_INT, ADDRESS, JAVA_INT, ADDRESS));

    private SocketCalls() {}

    /** {@code socket(2)}. */
    public static int socket(int family, int type, int protocol) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return Libc.result((int) SOCKET.invokeExact(captured, family, type, protocol), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code connect(2)}; {@code address} is one of {@link #address}. */
    public static int connect(int fd, MemorySegment address) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return Libc.result((int) CONNECT.invokeExact(captured, fd, address, (int) address.byteSize()), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code getsockopt(2)} for {@code SO_ERROR}: 0 if a connection was made, or {@code -errno} if it failed. */
    public static int connectionError(int fd) {
        MemorySegment captured = NativeAccess.captured();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment value = arena.allocate(JAVA_INT);
            MemorySegment size = arena.allocateFrom(JAVA_INT, Integer.BYTES);
            int result = Libc.result(
                    (int) GETSOCKOPT.invokeExact(captured, fd, SOL_SOCKET, SO_ERROR, value, size), captured);
            return result < 0 ? result : -value.get(JAVA_INT, 0);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /** {@code sendmsg(2)}; returns the number of bytes taken. {@code pinned} is as for {@link Libc#preadv}. */
    static long sendmsg(int fd, MemorySegment message, int flags, MemorySegment pinned) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return Libc.result((long) SENDMSG.invokeExact(captured, fd, message, flags, pinned), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }

    /**
     * Returns the family of an address.
     *
     * @param address the address
     * @return {@link #AF_UNIX}, {@link #AF_INET} or {@link #AF_INET6}
     * @throws IllegalArgumentException if it is of another kind, or its host name is not resolved
     */
    public static int family(SocketAddress address) {
        return switch (address) {
            case UnixDomainSocketAddress unix -> AF_UNIX;
            case InetSocketAddress internet when internet.getAddress() instanceof Inet6Address -> AF_INET6;
            case InetSocketAddress internet when internet.getAddress() != null -> AF_INET;
            default ->
                throw new IllegalArgumentException("address " + address
                        + " must be a UnixDomainSocketAddress, or an InetSocketAddress whose host was found");
        };
    }

    /**
     * Returns an address as the kernel takes it: {@code struct sockaddr_un}, {@code sockaddr_in} or {@code sockaddr_in6}.
     *
     * @param address the address
     * @param arena where to put it
     * @return the structure, of the size that counts
     * @throws IllegalArgumentException if it is of another kind, its host name is not resolved, or its path is too long
     */
    public static MemorySegment address(SocketAddress address, Arena arena) {
        int family = family(address);
        if (address instanceof UnixDomainSocketAddress unix) {
            byte[] path = unix.getPath().toString().getBytes(StandardCharsets.UTF_8);
            if (path.length == 0 || path.length > MAX_PATH) {
                throw new IllegalArgumentException("path '" + unix.getPath() + "' of a Unix socket has " + path.length
                        + " bytes; it must have 1 to " + MAX_PATH);
            }
            MemorySegment result = arena.allocate(Short.BYTES + path.length + 1L);
            result.set(JAVA_SHORT, 0, (short) family);
            MemorySegment.copy(path, 0, result, JAVA_BYTE, Short.BYTES, path.length);
            return result;
        }
        var internet = (InetSocketAddress) address;
        InetAddress host = internet.getAddress();
        MemorySegment result = arena.allocate(family == AF_INET6 ? 28 : 16, Integer.BYTES);
        result.set(JAVA_SHORT, 0, (short) family);
        result.set(JAVA_SHORT.withOrder(ByteOrder.BIG_ENDIAN), 2, (short) internet.getPort());
        byte[] bytes = host.getAddress();
        MemorySegment.copy(bytes, 0, result, JAVA_BYTE, family == AF_INET6 ? 8 : 4, bytes.length);
        if (host instanceof Inet6Address v6) {
            result.set(JAVA_INT, 24, v6.getScopeId());
        }
        return result;
    }

    /** Fills a {@code struct msghdr} (Linux, include/linux/socket.h: struct user_msghdr) with vectors and nothing else. */
    static MemorySegment message(MemorySegment message, MemorySegment vectors, int count) {
        message.set(ADDRESS, 16, vectors);
        message.set(JAVA_LONG, 24, count);
        return message;
    }
}
