package io.github.jkvm.virtio.net;

import io.github.jkvm.EventSource;
import io.github.jkvm.kvm.KvmException;
import io.github.jkvm.kvm.ffi.Errno;
import io.github.jkvm.kvm.ffi.IoVectors;
import io.github.jkvm.kvm.ffi.Libc;
import io.github.jkvm.kvm.ffi.OwnedFd;
import io.github.jkvm.kvm.ffi.SocketCalls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.net.SocketAddress;

/** A connection over which frames are sent, each whole or not at all: the end of one that the kernel took in part is kept and sent first. */
final class StreamSocket implements AutoCloseable {
    private final OwnedFd fd;
    private final IoVectors vectors = new IoVectors(Libc.IOV_MAX);
    private final MemorySegment prefix = Arena.ofAuto().allocate(StreamBuffer.PREFIX);

    /** A frame with its length, of which the bytes from {@link #restStart} to {@link #restEnd} are still to be sent. */
    private final MemorySegment rest = Arena.ofAuto().allocate(StreamBuffer.PREFIX + (long) Frame.MAX_SIZE);

    private long restStart;
    private long restEnd;
    private boolean connected;

    private StreamSocket(OwnedFd fd, boolean connected) {
        this.fd = fd;
        this.connected = connected;
    }

    /** Begins a connection. Over a network, it may take until {@link #finishConnecting}. */
    static StreamSocket open(SocketAddress address) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment nativeAddress = SocketCalls.address(address, arena);
            int number = SocketCalls.socket(
                    SocketCalls.family(address),
                    SocketCalls.SOCK_STREAM | SocketCalls.SOCK_NONBLOCK | SocketCalls.SOCK_CLOEXEC,
                    0);
            if (number < 0) {
                throw KvmException.of("socket", String.valueOf(address), -number);
            }
            var fd = new OwnedFd(number, "socket to " + address);
            int result = SocketCalls.connect(fd.acquire(), nativeAddress);
            fd.release();
            if (result < 0 && result != -Errno.EINPROGRESS) {
                fd.close();
                throw new KvmException("connect", String.valueOf(address), -result, hint(-result));
            }
            return new StreamSocket(fd, result == 0);
        }
    }

    private static String hint(int errno) {
        return switch (errno) {
            case Errno.ENOENT ->
                "there is no such socket; start the program that makes it first, such as 'passt --socket PATH'";
            case Errno.ECONNREFUSED ->
                "nobody listens there; start the program first (a 'passt' serves one connection after the other, and with"
                        + " --one-off only one)";
            case Errno.EACCES, Errno.EPERM ->
                "this user may not connect; see the permissions of the socket and its folder";
            case Errno.EAGAIN -> "too many wait to be accepted there; try again later";
            default -> "see connect(2)";
        };
    }

    OwnedFd fd() {
        return fd;
    }

    boolean isConnected() {
        return connected;
    }

    /** Looks how a connection under way has gone; returns why it failed, or 0. */
    int finishConnecting(int ready) {
        if ((ready & (EventSource.WRITABLE | EventSource.ERROR | EventSource.HANG_UP)) == 0) {
            return 0;
        }
        int result = SocketCalls.connectionError(fd.acquire());
        fd.release();
        connected = result == 0;
        return -result;
    }

    /** Tells whether there is no room for another frame before {@link #flush}. */
    boolean isFull() {
        return restStart < restEnd;
    }

    /** Sends a frame, of which a part may stay here; there must be room. Returns why that failed, or 0. */
    int send(Frame frame) {
        long size = frame.size();
        prefix.set(StreamBuffer.LENGTH, 0, (int) size);
        long taken = 0;
        if (frame.isNative()) {
            vectors.clear();
            vectors.add(prefix, 0, StreamBuffer.PREFIX);
            frame.addTo(vectors);
            taken = vectors.trySend(fd);
            if (taken == -Errno.EAGAIN || taken == -Errno.EINTR) {
                taken = 0;
            }
            if (taken < 0) {
                return (int) -taken;
            }
        }
        if (taken == StreamBuffer.PREFIX + size) {
            return 0;
        }
        MemorySegment.copy(prefix, 0, rest, 0, StreamBuffer.PREFIX);
        frame.copyTo(0, rest, StreamBuffer.PREFIX, size);
        restStart = taken;
        restEnd = StreamBuffer.PREFIX + size;
        return flush();
    }

    /** Sends what was kept, as far as it is taken. Returns why that failed, or 0. */
    int flush() {
        while (restStart < restEnd) {
            vectors.clear();
            vectors.add(rest, restStart, restEnd - restStart);
            long taken = vectors.trySend(fd);
            if (taken == -Errno.EAGAIN) {
                return 0;
            }
            if (taken < 0 && taken != -Errno.EINTR) {
                return (int) -taken;
            }
            restStart += Math.max(0, taken);
        }
        return 0;
    }

    @Override
    public void close() {
        fd.close();
    }
}
