package io.github.jkvm.kvm.ffi;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.net.UnixDomainSocketAddress;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * A connection to another process of the host that carries bytes and open files ({@code unix(7)}). No call waits past its deadline, a time of
 * {@link System#nanoTime}. Used by one thread at a time.
 */
public final class UnixSocket implements AutoCloseable {
    /** Most files that one message carries (Linux, include/net/scm.h: SCM_MAX_FD is 253). */
    public static final int MOST_FILES = 64;

    // Linux, include/linux/socket.h.
    private static final int SCM_RIGHTS = 1;
    private static final int SOL_SOCKET = 1;
    private static final int MSG_PEEK = 2;
    private static final int MSG_CTRUNC = 8;
    private static final int MSG_CMSG_CLOEXEC = 0x4000_0000;

    private static final int STREAM = SocketCalls.SOCK_STREAM | SocketCalls.SOCK_NONBLOCK | SocketCalls.SOCK_CLOEXEC;

    private static final int POLLIN = 1;
    private static final int POLLOUT = 4;

    /* The ancillary data of struct msghdr, and struct cmsghdr, of 64-bit systems (glibc, bits/socket.h); musl's differ only in padding, which is zero. */
    private static final long MSG_CONTROL = 32;
    private static final long MSG_CONTROLLEN = 40;
    private static final long MSG_FLAGS = 48;
    private static final long CMSG_LEVEL = 8;
    private static final long CMSG_TYPE = 12;
    private static final long CMSG_DATA = 16;

    private final OwnedFd fd;

    private UnixSocket(OwnedFd fd) {
        this.fd = fd;
    }

    /**
     * Connects to a process that listens.
     *
     * @param path the socket
     * @return the connection
     * @throws IOException if no one listens there
     * @throws IllegalArgumentException if the path is too long for a socket
     */
    public static UnixSocket connect(Path path) throws IOException {
        int number = SocketCalls.socket(SocketCalls.AF_UNIX, STREAM, 0);
        if (number < 0) {
            throw failed("socket", path.toString(), number);
        }
        var socket = new UnixSocket(new OwnedFd(number, "socket " + path));
        try (Arena arena = Arena.ofConfined()) {
            int result = SocketCalls.connect(number, SocketCalls.address(UnixDomainSocketAddress.of(path), arena));
            if (result < 0) {
                throw failed("connect", path.toString(), result);
            }
            return socket;
        } catch (Throwable failure) {
            socket.close();
            throw failure;
        }
    }

    /**
     * Uses a connection that was received as a file.
     *
     * @param fd a socket that does not block, closed with the connection
     * @return the connection
     */
    public static UnixSocket over(OwnedFd fd) {
        return new UnixSocket(fd);
    }

    /**
     * Makes two ends that are connected to each other.
     *
     * @param name what they are, for messages
     * @return two ends
     * @throws IOException if the host refuses
     */
    public static List<UnixSocket> pair(String name) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment numbers = arena.allocate(JAVA_INT, 2);
            int result = UnixCalls.socketpair(SocketCalls.AF_UNIX, STREAM, 0, numbers);
            if (result < 0) {
                throw failed("socketpair", name, result);
            }
            return List.of(
                    new UnixSocket(new OwnedFd(numbers.getAtIndex(JAVA_INT, 0), name)),
                    new UnixSocket(new OwnedFd(numbers.getAtIndex(JAVA_INT, 1), name)));
        }
    }

    /**
     * Returns the descriptor, to be waited for.
     *
     * @return the descriptor, which stays this object's
     */
    public OwnedFd fd() {
        return fd;
    }

    /**
     * Sends bytes, with files that come with the first of them.
     *
     * @param bytes the bytes, at least one
     * @param files the files, which stay the caller's; at most {@link #MOST_FILES}
     * @param deadline when to give up
     * @throws IOException if the other side is gone, or does not take them in time
     */
    public void send(byte[] bytes, List<OwnedFd> files, long deadline) throws IOException {
        if (files.size() > MOST_FILES) {
            throw new IllegalArgumentException(files.size() + " files in a message; the limit is " + MOST_FILES);
        }
        int acquired = 0;
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(bytes.length);
            buffer.copyFrom(MemorySegment.ofArray(bytes));
            MemorySegment control = control(arena, files.size());
            for (OwnedFd file : files) {
                control.set(JAVA_INT, CMSG_DATA + (long) Integer.BYTES * acquired, file.acquire());
                acquired++;
            }
            for (long done = 0; done < bytes.length; ) {
                // The files go with the first byte.
                MemorySegment message = message(
                        arena, buffer.asSlice(done), done > 0 || files.isEmpty() ? MemorySegment.NULL : control);
                long result = call(number -> SocketCalls.sendmsg(number, message, SocketCalls.MSG_NOSIGNAL, buffer));
                if (result == -Errno.EAGAIN) {
                    await(arena, POLLOUT, deadline);
                } else if (result < 0) {
                    throw failed("sendmsg", fd.toString(), result);
                } else {
                    done += result;
                }
            }
        } finally {
            for (int i = 0; i < acquired; i++) {
                files.get(i).release();
            }
        }
    }

    /**
     * Receives bytes, and the files that come with them.
     *
     * @param bytes filled completely
     * @param mostFiles how many files may come; the kernel closes further ones
     * @param deadline when to give up
     * @return the files, the caller's to close
     * @throws IOException if the other side is gone, does not send enough in time, or sends more files
     */
    public List<OwnedFd> receive(byte[] bytes, int mostFiles, long deadline) throws IOException {
        List<OwnedFd> files = new ArrayList<>();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(Math.max(1, bytes.length));
            for (long done = 0; done < bytes.length; ) {
                // Not rounded up: the kernel would take one file more.
                long room = CMSG_DATA + (long) Integer.BYTES * (mostFiles - files.size());
                MemorySegment control = control(arena, mostFiles - files.size()).asSlice(0, room);
                MemorySegment message = message(
                        arena,
                        buffer.asSlice(done, bytes.length - done),
                        files.size() == mostFiles ? MemorySegment.NULL : control);
                long result = call(number -> UnixCalls.recvmsg(number, message, MSG_CMSG_CLOEXEC));
                if (result == -Errno.EAGAIN) {
                    await(arena, POLLIN, deadline);
                } else if (result < 0) {
                    throw failed("recvmsg", fd.toString(), result);
                } else if (result == 0) {
                    throw new IOException(fd + ": the other side has closed the connection");
                } else {
                    done += result;
                    takeFiles(message, control, files);
                    if ((message.get(JAVA_INT, MSG_FLAGS) & MSG_CTRUNC) != 0) {
                        throw new IOException(fd + ": the other side sends more than " + mostFiles + " files");
                    }
                }
            }
            MemorySegment.copy(buffer, 0, MemorySegment.ofArray(bytes), 0, bytes.length);
            return files;
        } catch (Throwable failure) {
            files.forEach(OwnedFd::close);
            throw failure;
        }
    }

    private void takeFiles(MemorySegment message, MemorySegment control, List<OwnedFd> files) {
        long length = message.get(JAVA_LONG, MSG_CONTROLLEN);
        if (length < CMSG_DATA
                || control.get(JAVA_INT, CMSG_LEVEL) != SOL_SOCKET
                || control.get(JAVA_INT, CMSG_TYPE) != SCM_RIGHTS) {
            return;
        }
        long end = control.get(JAVA_LONG, 0);
        for (long at = CMSG_DATA; at + Integer.BYTES <= end; at += Integer.BYTES) {
            files.add(new OwnedFd(control.get(JAVA_INT, at), "file received by " + fd));
        }
    }

    /**
     * Tells whether the other side is there and has sent nothing that waits to be received.
     *
     * @return true if it is
     */
    public boolean isQuiet() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment message = message(arena, arena.allocate(1), MemorySegment.NULL);
            return call(number -> UnixCalls.recvmsg(number, message, MSG_PEEK)) == -Errno.EAGAIN;
        }
    }

    private interface Call {
        long make(int fd);
    }

    /** Makes a call on the descriptor, again as long as a signal interrupts it. */
    private long call(Call call) {
        int number = fd.acquire();
        try {
            long result;
            do {
                result = call.make(number);
            } while (result == -Errno.EINTR);
            return result;
        } finally {
            fd.release();
        }
    }

    private void await(Arena arena, int events, long deadline) throws IOException {
        MemorySegment watched = arena.allocate(Long.BYTES, Integer.BYTES);
        watched.set(JAVA_SHORT, Integer.BYTES, (short) events);
        while (true) {
            long left = TimeUnit.NANOSECONDS.toMillis(deadline - System.nanoTime());
            if (left <= 0) {
                throw new IOException(fd + ": the other side does not answer in time");
            }
            long result = call(number -> {
                watched.set(JAVA_INT, 0, number);
                return UnixCalls.poll(watched, (int) Math.min(left, Integer.MAX_VALUE));
            });
            if (result > 0) {
                return;
            }
        }
    }

    private static MemorySegment control(Arena arena, int files) {
        long size = CMSG_DATA + (((long) files * Integer.BYTES + Long.BYTES - 1) & -Long.BYTES);
        MemorySegment control = arena.allocate(size, Long.BYTES);
        control.set(JAVA_LONG, 0, CMSG_DATA + (long) files * Integer.BYTES);
        control.set(JAVA_INT, CMSG_LEVEL, SOL_SOCKET);
        control.set(JAVA_INT, CMSG_TYPE, SCM_RIGHTS);
        return control;
    }

    private static MemorySegment message(Arena arena, MemorySegment buffer, MemorySegment control) {
        MemorySegment vector = arena.allocate(2 * Long.BYTES, Long.BYTES);
        vector.set(ADDRESS, 0, buffer);
        vector.set(JAVA_LONG, Long.BYTES, buffer.byteSize());
        MemorySegment message = SocketCalls.message(arena.allocate(SocketCalls.MESSAGE_SIZE, Long.BYTES), vector, 1);
        message.set(ADDRESS, MSG_CONTROL, control);
        message.set(JAVA_LONG, MSG_CONTROLLEN, control.byteSize());
        return message;
    }

    private static IOException failed(String call, String what, long result) {
        return new IOException(call + " of " + what + " failed with " + Errno.name((int) -result));
    }

    /** Closes this end. Closing twice does nothing. */
    @Override
    public void close() {
        fd.close();
    }
}
