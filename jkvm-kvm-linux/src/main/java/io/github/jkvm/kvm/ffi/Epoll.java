package io.github.jkvm.kvm.ffi;

import io.github.jkvm.EventSource;
import io.github.jkvm.kvm.KvmException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Waits for several descriptors at once ({@code epoll(7)}). One thread waits; any thread may add and remove. Waiting does not allocate.
 *
 * <p>What became ready is told by the token it was added with, not by the descriptor, whose number may belong to another file by then.
 */
public final class Epoll implements AutoCloseable {
    /** There is something to read. */
    public static final int IN = EventSource.READABLE;

    /** There is room to write. */
    public static final int OUT = EventSource.WRITABLE;

    /** Reports only what became ready since the last report. */
    public static final int EDGE_TRIGGERED = 1 << 31;

    private static final int EPOLL_CLOEXEC = 0x80000;
    private static final int CTL_ADD = 1;
    private static final int CTL_DEL = 2;
    private static final int FOREVER = -1;
    private static final int CAPACITY = 64;

    /** {@code struct epoll_event} is packed on x86-64 and nowhere else (Linux, include/uapi/linux/eventpoll.h). */
    private static final boolean PACKED = System.getProperty("os.arch").equals("amd64");

    private static final long DATA_OFFSET = PACKED ? 4 : 8;
    private static final long EVENT_SIZE = DATA_OFFSET + Long.BYTES;

    private final OwnedFd fd;
    private final MemorySegment events = Arena.ofAuto().allocate(CAPACITY * EVENT_SIZE, Long.BYTES);

    private Epoll(OwnedFd fd) {
        this.fd = fd;
    }

    /**
     * Creates one that waits for nothing.
     *
     * @param name what it is, for messages
     * @return the epoll instance
     * @throws KvmException if the kernel refuses, usually because the process has too many files open
     */
    public static Epoll create(String name) {
        int fd = Libc.epoll_create1(EPOLL_CLOEXEC);
        if (fd < 0) {
            throw KvmException.of("epoll_create1", name, -fd);
        }
        return new Epoll(new OwnedFd(fd, name));
    }

    /**
     * Waits for a descriptor too.
     *
     * @param watched the descriptor
     * @param interest what it waits for: {@link #IN}, {@link #OUT}, {@link #EDGE_TRIGGERED}
     * @param token what {@link #token} gives for it
     * @throws IllegalStateException if this or the descriptor is closed
     * @throws KvmException if the kernel refuses, for instance because it is added already
     */
    public void add(OwnedFd watched, int interest, long token) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment event = arena.allocate(EVENT_SIZE, Long.BYTES);
            event.set(ValueLayout.JAVA_INT, 0, interest);
            event.set(ValueLayout.JAVA_LONG_UNALIGNED, DATA_OFFSET, token);
            int result = control(CTL_ADD, watched, event);
            if (result < 0) {
                throw KvmException.of("epoll_ctl", "EPOLL_CTL_ADD of " + watched + " to " + fd, -result);
            }
        }
    }

    /**
     * Waits for a descriptor no more. Does nothing if it was not added, or is closed, at which the kernel removed it.
     *
     * @param watched the descriptor
     * @throws IllegalStateException if this is closed
     */
    public void remove(OwnedFd watched) {
        int result;
        try {
            result = control(CTL_DEL, watched, MemorySegment.NULL);
        } catch (IllegalStateException closed) {
            if (fd.isClosed()) {
                throw closed;
            }
            return;
        }
        if (result < 0 && result != -Errno.ENOENT) {
            throw KvmException.of("epoll_ctl", "EPOLL_CTL_DEL of " + watched + " from " + fd, -result);
        }
    }

    private int control(int operation, OwnedFd watched, MemorySegment event) {
        int epoll = fd.acquire();
        try {
            int number = watched.acquire();
            try {
                return Libc.epoll_ctl(epoll, operation, number, event);
            } finally {
                watched.release();
            }
        } finally {
            fd.release();
        }
    }

    /**
     * Waits until something is ready.
     *
     * @return how many are; ask {@link #token} and {@link #ready} about each. 0 after a signal
     * @throws IllegalStateException if it is closed
     */
    public int await() {
        return events(FOREVER);
    }

    /**
     * Looks what is ready, without waiting.
     *
     * @return how many are; ask {@link #token} and {@link #ready} about each
     * @throws IllegalStateException if it is closed
     */
    public int poll() {
        return events(0);
    }

    private int events(int timeoutMillis) {
        int epoll = fd.acquire();
        int result;
        try {
            result = Libc.epoll_wait(epoll, events, CAPACITY, timeoutMillis);
        } finally {
            fd.release();
        }
        if (result < 0 && result != -Errno.EINTR) {
            throw KvmException.of("epoll_wait", fd.toString(), -result);
        }
        return Math.max(0, result);
    }

    /**
     * Returns the token of something that is ready.
     *
     * @param index which, below what the last wait returned
     * @return what it was added with
     */
    public long token(int index) {
        return events.get(ValueLayout.JAVA_LONG_UNALIGNED, index * EVENT_SIZE + DATA_OFFSET);
    }

    /**
     * Returns in which way something is ready.
     *
     * @param index which, below what the last wait returned
     * @return bits such as {@link #IN} and {@link #OUT}; further ones tell of errors and a peer that hung up
     */
    public int ready(int index) {
        return events.get(ValueLayout.JAVA_INT_UNALIGNED, index * EVENT_SIZE);
    }

    /** Closes it. A thread that waits in it must have been woken before: this waits for it. */
    @Override
    public void close() {
        fd.close();
    }
}
