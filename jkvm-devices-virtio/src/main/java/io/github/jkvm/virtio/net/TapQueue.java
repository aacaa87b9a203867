package io.github.jkvm.virtio.net;

import io.github.jkvm.EventLoop;
import io.github.jkvm.EventSource;
import io.github.jkvm.kvm.ffi.Errno;
import io.github.jkvm.kvm.ffi.OwnedFd;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.jspecify.annotations.Nullable;

/** One queue of an interface: each read or write of its descriptor is a frame with its offload header. */
final class TapQueue {
    /** What {@link #receive} returns if there is no interface any more. */
    static final long GONE = -1;

    private final OwnedFd fd;
    private EventLoop.@Nullable Registration registration;
    private boolean full;

    TapQueue(OwnedFd fd) {
        this.fd = fd;
    }

    OwnedFd fd() {
        return fd;
    }

    void start(EventLoop loop, NetBackend.Events events, int pair) {
        full = false;
        registration = loop.onReady(fd, ready -> {
            if ((ready & (EventSource.READABLE | EventSource.ERROR | EventSource.HANG_UP)) != 0) {
                events.readable(pair);
            }
            if ((ready & EventSource.WRITABLE) != 0 && full) {
                full = false;
                events.writable(pair);
            }
        });
    }

    void stop() {
        EventLoop.Registration now = registration;
        registration = null;
        if (now != null) {
            now.close();
        }
    }

    /** Attaches or detaches the queue; returns 0 or {@code -errno}. */
    int attach(int flag) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment request = arena.allocate(TunIoctls.IFREQ_SIZE, Long.BYTES);
            request.set(ValueLayout.JAVA_SHORT, TunIoctls.IFREQ_FLAGS, (short) flag);
            return fd.tryIoctl(TunIoctls.TUNSETQUEUE, request);
        }
    }

    NetBackend.Sent send(Frame frame) {
        long result = frame.vectors().tryWrite(fd);
        if (result >= 0) {
            return NetBackend.Sent.TAKEN;
        }
        if (result == -Errno.EAGAIN) {
            full = true;
            return NetBackend.Sent.FULL;
        }
        // The interface is down (EIO), gone (EBADFD), or does not believe the header (EINVAL).
        return NetBackend.Sent.DROPPED;
    }

    /** Receives a frame; 0 if there is none, {@link #GONE} if there never will be. */
    long receive(Frame room) {
        long result = room.vectors().tryRead(fd);
        if (result > OffloadHeader.SIZE) {
            return result - OffloadHeader.SIZE;
        }
        return result == -Errno.EBADFD ? GONE : 0;
    }

    void close() {
        fd.close();
    }
}
