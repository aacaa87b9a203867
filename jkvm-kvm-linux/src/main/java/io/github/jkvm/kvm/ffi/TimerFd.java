package io.github.jkvm.kvm.ffi;

import io.github.jkvm.kvm.KvmException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A timer that makes a descriptor readable ({@code timerfd_create(2)}), on the clock of {@link System#nanoTime()}. It is set by one thread at a
 * time; setting it does not allocate.
 */
public final class TimerFd implements AutoCloseable {
    private static final int CLOCK_MONOTONIC = 1;
    private static final int TFD_NONBLOCK = 0x800;
    private static final int TFD_CLOEXEC = 0x80000;
    private static final long NANOS_PER_SECOND = 1_000_000_000;

    /** {@code struct itimerspec}: the interval, then the time until the first expiration, each as seconds and nanoseconds. */
    private static final long VALUE_SECONDS = 16;

    private static final long VALUE_NANOS = 24;
    private static final long ITIMERSPEC_SIZE = 32;

    private final OwnedFd fd;
    private final MemorySegment setting = Arena.ofAuto().allocate(ITIMERSPEC_SIZE, Long.BYTES);
    private final MemorySegment expirations = Arena.ofAuto().allocate(ValueLayout.JAVA_LONG);

    private TimerFd(OwnedFd fd) {
        this.fd = fd;
    }

    /**
     * Creates a timer that is not set.
     *
     * @param name what it is, for messages
     * @return the timer
     * @throws KvmException if the kernel refuses, usually because the process has too many files open
     */
    public static TimerFd create(String name) {
        int fd = Libc.timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
        if (fd < 0) {
            throw KvmException.of("timerfd_create", name, -fd);
        }
        return new TimerFd(new OwnedFd(fd, name));
    }

    /**
     * Makes the descriptor readable once after a time, in place of what was set before.
     *
     * @param nanos the time in nanoseconds; below 1 counts as 1, since to the kernel 0 means never
     * @throws IllegalStateException if it is closed
     */
    public void set(long nanos) {
        long positive = Math.max(1, nanos);
        setting.set(ValueLayout.JAVA_LONG, VALUE_SECONDS, positive / NANOS_PER_SECOND);
        setting.set(ValueLayout.JAVA_LONG, VALUE_NANOS, positive % NANOS_PER_SECOND);
        int result;
        int number = fd.acquire();
        try {
            result = Libc.timerfd_settime(number, 0, setting, MemorySegment.NULL);
        } finally {
            fd.release();
        }
        if (result < 0) {
            throw KvmException.of("timerfd_settime", fd + ", " + nanos + " ns", -result);
        }
    }

    /**
     * Makes the descriptor unreadable until the next expiration.
     *
     * @throws IllegalStateException if it is closed
     */
    public void take() {
        // EAGAIN if it was set anew since it was seen readable: there is nothing to take then.
        long result = fd.tryRead(expirations);
        if (result < 0 && result != -Errno.EAGAIN && result != -Errno.EINTR) {
            throw KvmException.of("read", fd.toString(), (int) -result);
        }
    }

    /**
     * Returns the descriptor, to be watched.
     *
     * @return the descriptor, which stays this object's
     */
    public OwnedFd fd() {
        return fd;
    }

    @Override
    public void close() {
        fd.close();
    }
}
