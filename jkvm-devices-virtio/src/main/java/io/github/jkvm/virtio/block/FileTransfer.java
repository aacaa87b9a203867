package io.github.jkvm.virtio.block;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.github.jkvm.kvm.ffi.Libc;
import java.lang.foreign.Arena;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemoryLayout.PathElement;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.util.List;

/** Moves bytes between a file and memory in one system call: a direction, and how to make the call. */
enum FileTransfer {
    /** From the file to memory. */
    READ,
    /** From memory to the file. */
    WRITE;

    /** {@code struct iovec} (Linux, include/uapi/linux/uio.h). */
    private static final StructLayout IOVEC =
            MemoryLayout.structLayout(ADDRESS.withName("iov_base"), JAVA_LONG.withName("iov_len"));

    private static final long IOV_LEN = IOVEC.byteOffset(PathElement.groupElement("iov_len"));

    /** Room for bytes of the Java heap, which the kernel can't reach. */
    private static final long BOUNCE_BYTES = 64 << 10;

    private static final ThreadLocal<MemorySegment> VECTORS =
            ThreadLocal.withInitial(() -> Arena.ofAuto().allocate(IOVEC, Libc.IOV_MAX));
    private static final ThreadLocal<MemorySegment> BOUNCE =
            ThreadLocal.withInitial(() -> Arena.ofAuto().allocate(BOUNCE_BYTES));

    /**
     * Makes one call for bytes from {@code skip} of segment {@code at} on, as many as one call can take.
     *
     * @return how many were moved, 0 at the end of the file, or {@code -errno}
     */
    long once(int fd, long offset, List<MemorySegment> segments, int at, long skip) {
        MemorySegment first = segments.get(at);
        if (!first.isNative()) {
            return bounce(fd, offset, first.asSlice(skip));
        }
        int count = runLength(segments, at);
        if (count == 1) {
            MemorySegment rest = skip == 0 ? first : first.asSlice(skip);
            return this == READ
                    ? Libc.pread(fd, rest, rest.byteSize(), offset)
                    : Libc.pwrite(fd, rest, rest.byteSize(), offset);
        }
        MemorySegment vectors = VECTORS.get();
        for (int i = 0; i < count; i++) {
            MemorySegment segment = segments.get(at + i);
            long from = i == 0 ? skip : 0;
            vectors.set(JAVA_LONG, i * IOVEC.byteSize(), segment.address() + from);
            vectors.set(JAVA_LONG, i * IOVEC.byteSize() + IOV_LEN, segment.byteSize() - from);
        }
        return this == READ
                ? Libc.preadv(fd, vectors, count, offset, first)
                : Libc.pwritev(fd, vectors, count, offset, first);
    }

    /** How many segments from {@code at} on fit into one call: native, and of one arena, which the call keeps open. */
    private static int runLength(List<MemorySegment> segments, int at) {
        MemorySegment.Scope scope = segments.get(at).scope();
        int end = Math.min(segments.size(), at + Libc.IOV_MAX);
        int next = at + 1;
        while (next < end
                && segments.get(next).isNative()
                && segments.get(next).scope().equals(scope)) {
            next++;
        }
        return next - at;
    }

    private long bounce(int fd, long offset, MemorySegment heap) {
        long count = Math.min(BOUNCE_BYTES, heap.byteSize());
        MemorySegment buffer = BOUNCE.get().asSlice(0, count);
        if (this == READ) {
            long result = Libc.pread(fd, buffer, count, offset);
            if (result > 0) {
                MemorySegment.copy(buffer, 0, heap, 0, result);
            }
            return result;
        }
        MemorySegment.copy(heap, 0, buffer, 0, count);
        return Libc.pwrite(fd, buffer, count, offset);
    }
}
