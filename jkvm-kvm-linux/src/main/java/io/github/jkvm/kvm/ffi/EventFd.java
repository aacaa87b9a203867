package io.github.jkvm.kvm.ffi;

import io.github.jkvm.kvm.KvmException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A counter in the kernel that one side adds to and the other side takes ({@code eventfd(2)}): how doorbells and interrupts are signalled.
 * Neither side ever waits in it; use {@link Epoll} to wait. Safe for use by many threads; no call but the first allocates.
 */
public final class EventFd implements AutoCloseable {
    private static final int EFD_NONBLOCK = 0x800;
    private static final int EFD_CLOEXEC = 0x80000;

    /** What a signal writes. Never changed. */
    private static final MemorySegment ONE = Arena.global().allocateFrom(ValueLayout.JAVA_LONG, 1);

    /** Where the counts that are taken go. No one reads them, so all threads and all counters may share it. */
    private static final MemorySegment IGNORED = Arena.global().allocate(ValueLayout.JAVA_LONG);

    /** Whose the descriptor is to close. */
    private enum Owner {
        THIS,
        OTHERS
    }

    private final OwnedFd fd;
    private final Owner owner;

    private EventFd(OwnedFd fd, Owner owner) {
        this.fd = fd;
        this.owner = owner;
    }

    /**
     * Creates a counter that is 0.
     *
     * @param name what it is, for messages, such as {@code doorbell at port 0x10}
     * @return the counter
     * @throws KvmException if the kernel refuses, usually because the process has too many files open
     */
    public static EventFd create(String name) {
        int fd = Libc.eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        if (fd < 0) {
            throw KvmException.of("eventfd", name, -fd);
        }
        return new EventFd(new OwnedFd(fd, name), Owner.THIS);
    }

    /**
     * Uses a counter that is someone else's.
     *
     * @param fd its descriptor, which {@link #close()} leaves open
     * @return the counter
     */
    public static EventFd borrow(OwnedFd fd) {
        return new EventFd(fd, Owner.OTHERS);
    }

    /**
     * Adds one.
     *
     * @throws IllegalStateException if it is closed
     */
    public void signal() {
        long result;
        do {
            result = fd.tryWrite(ONE);
        } while (result == -Errno.EINTR);
        // EAGAIN: the counter is at its limit of 2^64-2, so a signal is pending, which is all that is asked for.
        if (result < 0 && result != -Errno.EAGAIN) {
            throw KvmException.of("write", fd.toString(), (int) -result);
        }
    }

    /**
     * Takes all that was added since the last call, without waiting.
     *
     * @return true if anything was
     * @throws IllegalStateException if it is closed
     */
    public boolean take() {
        long result;
        do {
            result = fd.tryRead(IGNORED);
        } while (result == -Errno.EINTR);
        if (result < 0 && result != -Errno.EAGAIN) {
            throw KvmException.of("read", fd.toString(), (int) -result);
        }
        return result > 0;
    }

    /**
     * Returns the descriptor, to be watched or given to the kernel.
     *
     * @return the descriptor, which stays this object's
     */
    public OwnedFd fd() {
        return fd;
    }

    /** Closes the counter, unless it is borrowed. */
    @Override
    public void close() {
        if (owner == Owner.THIS) {
            fd.close();
        }
    }
}
