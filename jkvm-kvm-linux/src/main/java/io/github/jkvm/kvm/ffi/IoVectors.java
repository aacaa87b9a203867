package io.github.jkvm.kvm.ffi;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemoryLayout.PathElement;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.lang.ref.Reference;
import java.util.Objects;

/**
 * An array of {@code struct iovec} (Linux, include/uapi/linux/uio.h) that is filled, used for one call, and filled again. Filling it allocates nothing.
 *
 * <p>The kernel gets bare addresses. The memory of the vector added first is kept alive for the time of a call; whoever fills the array answers
 * for the others, for instance since all are of one arena. Belongs to one thread at a time.
 */
public final class IoVectors {
    private static final StructLayout IOVEC =
            MemoryLayout.structLayout(ADDRESS.withName("iov_base"), JAVA_LONG.withName("iov_len"));
    private static final long IOV_LEN = IOVEC.byteOffset(PathElement.groupElement("iov_len"));

    private final MemorySegment vectors;
    private final MemorySegment message = Arena.ofAuto().allocate(SocketCalls.MESSAGE_SIZE, Long.BYTES);
    private final int capacity;
    private MemorySegment first = MemorySegment.NULL;
    private int count;

    /**
     * Creates an empty array.
     *
     * @param capacity how many vectors there is room for, 1 to {@link Libc#IOV_MAX}
     * @throws IllegalArgumentException if the capacity is out of range
     */
    public IoVectors(int capacity) {
        if (capacity < 1 || capacity > Libc.IOV_MAX) {
            throw new IllegalArgumentException("capacity " + capacity + " must be 1 to " + Libc.IOV_MAX + " vectors");
        }
        this.capacity = capacity;
        this.vectors = Arena.ofAuto().allocate(IOVEC, capacity);
    }

    /** Forgets all vectors. */
    public void clear() {
        count = 0;
        first = MemorySegment.NULL;
    }

    /**
     * Adds a vector.
     *
     * @param memory native memory
     * @param offset the first byte in it
     * @param length the number of bytes
     * @throws IllegalArgumentException if the memory is on the Java heap
     * @throws IndexOutOfBoundsException if the bytes are not inside, or there is no room for another vector
     */
    public void add(MemorySegment memory, long offset, long length) {
        if (!memory.isNative()) {
            throw new IllegalArgumentException(
                    "the kernel can't reach " + memory + " on the Java heap; use native memory");
        }
        Objects.checkFromIndexSize(offset, length, memory.byteSize());
        Objects.checkIndex(count, capacity);
        if (count == 0) {
            first = memory;
        }
        long at = count * IOVEC.byteSize();
        vectors.set(JAVA_LONG, at, memory.address() + offset);
        vectors.set(JAVA_LONG, at + IOV_LEN, length);
        count++;
    }

    /**
     * Takes vectors out; those behind them move up.
     *
     * @param index the first one, from 0
     * @param number how many
     * @throws IndexOutOfBoundsException if there are not as many
     */
    public void remove(int index, int number) {
        Objects.checkFromIndexSize(index, number, count);
        int behind = index + number;
        MemorySegment.copy(
                vectors,
                behind * IOVEC.byteSize(),
                vectors,
                index * IOVEC.byteSize(),
                (count - behind) * IOVEC.byteSize());
        count -= number;
    }

    /**
     * Takes bytes out of the beginning of a vector.
     *
     * @param index which vector, from 0
     * @param length how many bytes, at most all of the vector's
     * @throws IndexOutOfBoundsException if there is no such vector, or it has not as many
     */
    public void cut(int index, long length) {
        Objects.checkIndex(index, count);
        long at = index * IOVEC.byteSize();
        long has = vectors.get(JAVA_LONG, at + IOV_LEN);
        Objects.checkFromIndexSize(0, length, has);
        vectors.set(JAVA_LONG, at, vectors.get(JAVA_LONG, at) + length);
        vectors.set(JAVA_LONG, at + IOV_LEN, has - length);
    }

    /**
     * Returns how many vectors there are.
     *
     * @return the count
     */
    public int count() {
        return count;
    }

    /**
     * Returns how many bytes the vectors cover.
     *
     * @return the sum of their lengths
     */
    public long bytes() {
        long sum = 0;
        for (int i = 0; i < count; i++) {
            sum += vectors.get(JAVA_LONG, i * IOVEC.byteSize() + IOV_LEN);
        }
        return sum;
    }

    /**
     * Reads once into the vectors ({@code readv(2)}).
     *
     * @param fd from where
     * @return the number of bytes read, or {@code -errno}
     * @throws IllegalStateException if the descriptor is closed
     */
    public long tryRead(OwnedFd fd) {
        int number = fd.acquire();
        try {
            return Libc.readv(number, vectors, count, first);
        } finally {
            fd.release();
            Reference.reachabilityFence(this);
        }
    }

    /**
     * Writes the vectors once ({@code writev(2)}).
     *
     * @param fd where to
     * @return the number of bytes written, or {@code -errno}
     * @throws IllegalStateException if the descriptor is closed
     */
    public long tryWrite(OwnedFd fd) {
        int number = fd.acquire();
        try {
            return Libc.writev(number, vectors, count, first);
        } finally {
            fd.release();
            Reference.reachabilityFence(this);
        }
    }

    /**
     * Sends the vectors once over a socket ({@code sendmsg(2)}). Unlike a write, this raises no signal if the peer is gone.
     *
     * @param fd the socket
     * @return the number of bytes taken, or {@code -errno}
     * @throws IllegalStateException if the descriptor is closed
     */
    public long trySend(OwnedFd fd) {
        int number = fd.acquire();
        try {
            return SocketCalls.sendmsg(
                    number, SocketCalls.message(message, vectors, count), SocketCalls.MSG_NOSIGNAL, first);
        } finally {
            fd.release();
            Reference.reachabilityFence(this);
        }
    }

    /**
     * Reads once into the vectors from a place in a file ({@code preadv(2)}).
     *
     * @param fd the file
     * @param offset the place in bytes
     * @return the number of bytes read, 0 at the end of the file, or {@code -errno}
     * @throws IllegalStateException if the descriptor is closed
     */
    public long tryRead(OwnedFd fd, long offset) {
        int number = fd.acquire();
        try {
            return tryRead(number, offset);
        } finally {
            fd.release();
        }
    }

    /**
     * Reads once into the vectors from a place in a file ({@code preadv(2)}), for callers that keep the descriptor open themselves.
     *
     * @param fd the file's descriptor
     * @param offset the place in bytes
     * @return the number of bytes read, 0 at the end of the file, or {@code -errno}
     */
    public long tryRead(int fd, long offset) {
        try {
            return Libc.preadv(fd, vectors, count, offset, first);
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /**
     * Writes the vectors once to a place in a file ({@code pwritev(2)}).
     *
     * @param fd the file
     * @param offset the place in bytes
     * @return the number of bytes written, or {@code -errno}
     * @throws IllegalStateException if the descriptor is closed
     */
    public long tryWrite(OwnedFd fd, long offset) {
        int number = fd.acquire();
        try {
            return tryWrite(number, offset);
        } finally {
            fd.release();
        }
    }

    /**
     * Writes the vectors once to a place in a file ({@code pwritev(2)}), for callers that keep the descriptor open themselves.
     *
     * @param fd the file's descriptor
     * @param offset the place in bytes
     * @return the number of bytes written, or {@code -errno}
     */
    public long tryWrite(int fd, long offset) {
        try {
            return Libc.pwritev(fd, vectors, count, offset, first);
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /**
     * Reads once into the vectors from a place in a file, as far as that takes no waiting for the storage ({@code preadv2(2)}, {@code
     * RWF_NOWAIT}).
     *
     * @param fd the file
     * @param offset the place in bytes
     * @return the number of bytes read, 0 at the end of the file; {@code -EAGAIN} if it would wait, {@code -EOPNOTSUPP} if the file system can't
     *     tell, or another {@code -errno}
     * @throws IllegalStateException if the descriptor is closed
     */
    public long tryReadNow(OwnedFd fd, long offset) {
        int number = fd.acquire();
        try {
            return FileCalls.preadvNoWait(number, vectors, count, offset, first);
        } finally {
            fd.release();
            Reference.reachabilityFence(this);
        }
    }

    /**
     * Writes the vectors once to a place in a file, as far as that takes no waiting for the storage ({@code pwritev2(2)}, {@code RWF_NOWAIT}).
     *
     * @param fd the file
     * @param offset the place in bytes
     * @return the number of bytes written; {@code -EAGAIN} if it would wait, {@code -EOPNOTSUPP} if the file system can't tell, or another {@code
     *     -errno}
     * @throws IllegalStateException if the descriptor is closed
     */
    public long tryWriteNow(OwnedFd fd, long offset) {
        int number = fd.acquire();
        try {
            return FileCalls.pwritevNoWait(number, vectors, count, offset, first);
        } finally {
            fd.release();
            Reference.reachabilityFence(this);
        }
    }
}
