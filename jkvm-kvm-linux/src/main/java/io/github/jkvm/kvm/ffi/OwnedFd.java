package io.github.jkvm.kvm.ffi;

import io.github.jkvm.EventSource;
import io.github.jkvm.HostFile;
import io.github.jkvm.kvm.KvmException;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;

/**
 * A file descriptor that is used by many threads and closed once.
 *
 * <p>Every use goes through a gate: {@link #close()} waits for the uses under way, and none begins after it. Without it a number could be
 * used after the kernel has given it to another file. Never close one from within a use of it on the same thread.
 */
public final class OwnedFd implements EventSource, HostFile, AutoCloseable {
    private static final VarHandle STATE;

    static {
        try {
            STATE = MethodHandles.lookup().findVarHandle(OwnedFd.class, "state", int.class);
        } catch (ReflectiveOperationException e) {
            throw new ExceptionInInitializerError(e);
        }
    }

    /** Set in {@link #state} once no use may begin. The other bits count the uses under way. */
    private static final int CLOSED = 1 << 31;

    private final int fd;
    private final String name;
    private volatile int state;
    private boolean released;

    /**
     * Takes over a descriptor.
     *
     * @param fd an open descriptor, closed by this object from now on
     * @param name what it is, for messages, such as {@code vCPU 0}
     */
    public OwnedFd(int fd, String name) {
        this.fd = fd;
        this.name = name;
    }

    /**
     * Begins a use of the number itself: to pass it inside a structure, or for a call that blocks. {@link #release()} must follow.
     *
     * @return the descriptor
     * @throws IllegalStateException if it is closed
     */
    public int acquire() {
        int now;
        do {
            now = state;
            if (now < 0) {
                throw new IllegalStateException(name + " is closed");
            }
        } while (!STATE.compareAndSet(this, now, now + 1));
        return fd;
    }

    /** Ends a use begun with {@link #acquire()}. */
    public void release() {
        if ((int) STATE.getAndAdd(this, -1) - 1 == CLOSED) {
            synchronized (this) {
                notifyAll();
            }
        }
    }

    /**
     * Makes a request with a structure.
     *
     * @param request the request
     * @param arg the structure
     * @return what the kernel answers, 0 or more
     * @throws IllegalStateException if the descriptor is closed
     * @throws KvmException if the request fails
     */
    public int ioctl(Ioctl request, MemorySegment arg) {
        int result = tryIoctl(request, arg);
        if (result < 0) {
            throw KvmException.of(request.name(), name + ", " + arg.byteSize() + " bytes", -result);
        }
        return result;
    }

    /**
     * Makes a request with a number.
     *
     * @param request the request
     * @param arg the number, 0 where the request takes none
     * @return what the kernel answers, 0 or more
     * @throws IllegalStateException if the descriptor is closed
     * @throws KvmException if the request fails
     */
    public int ioctl(Ioctl request, long arg) {
        int result = tryIoctl(request, arg);
        if (result < 0) {
            throw KvmException.of(request.name(), name + ", 0x" + Long.toHexString(arg), -result);
        }
        return result;
    }

    /**
     * Makes a request with a structure, whose failure is an answer.
     *
     * @param request the request
     * @param arg the structure
     * @return what the kernel answers, or {@code -errno}
     * @throws IllegalStateException if the descriptor is closed
     */
    public int tryIoctl(Ioctl request, MemorySegment arg) {
        acquire();
        try {
            return Libc.ioctl(fd, request.number(), arg);
        } finally {
            release();
        }
    }

    /**
     * Makes a request with a number, whose failure is an answer.
     *
     * @param request the request
     * @param arg the number, 0 where the request takes none
     * @return what the kernel answers, or {@code -errno}
     * @throws IllegalStateException if the descriptor is closed
     */
    public int tryIoctl(Ioctl request, long arg) {
        acquire();
        try {
            return Libc.ioctl(fd, request.number(), arg);
        } finally {
            release();
        }
    }

    /**
     * Reads into a buffer once.
     *
     * @param buffer where to, native memory
     * @return the number of bytes read, or {@code -errno}
     * @throws IllegalStateException if the descriptor is closed
     */
    public long tryRead(MemorySegment buffer) {
        acquire();
        try {
            return Libc.read(fd, buffer, buffer.byteSize());
        } finally {
            release();
        }
    }

    /**
     * Writes a buffer once.
     *
     * @param buffer what to write, native memory
     * @return the number of bytes written, or {@code -errno}
     * @throws IllegalStateException if the descriptor is closed
     */
    public long tryWrite(MemorySegment buffer) {
        acquire();
        try {
            return Libc.write(fd, buffer, buffer.byteSize());
        } finally {
            release();
        }
    }

    /**
     * Tells whether {@link #close()} has begun.
     *
     * @return true if no use can begin any more
     */
    public boolean isClosed() {
        return state < 0;
    }

    /** Lets no use begin, waits for those under way, and closes the descriptor. Closing twice waits for the first and does nothing more. */
    @Override
    public void close() {
        STATE.getAndBitwiseOr(this, CLOSED);
        boolean interrupted = false;
        synchronized (this) {
            while (state != CLOSED) {
                try {
                    wait();
                } catch (InterruptedException e) {
                    // The uses under way are short or are ended by the caller: a descriptor left open would be worse.
                    interrupted = true;
                }
            }
            if (!released) {
                released = true;
                Libc.close(fd);
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    /** Returns what it is and its number. */
    @Override
    public String toString() {
        return name + " (fd " + fd + ")";
    }
}
