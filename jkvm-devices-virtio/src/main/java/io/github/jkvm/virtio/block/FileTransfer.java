package io.github.jkvm.virtio.block;

import io.github.jkvm.kvm.ffi.IoVectors;
import io.github.jkvm.kvm.ffi.Libc;
import io.github.jkvm.kvm.ffi.OwnedFd;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;

/** Moves bytes between a file and memory in one system call: a direction, and how to make the call. */
enum FileTransfer {
    /** From the file to memory. */
    READ,
    /** From memory to the file. */
    WRITE;

    /** Room for bytes of the Java heap, which the kernel can't reach. */
    private static final long BOUNCE_BYTES = 64 << 10;

    private static final ThreadLocal<IoVectors> VECTORS = ThreadLocal.withInitial(() -> new IoVectors(Libc.IOV_MAX));
    private static final ThreadLocal<MemorySegment> BOUNCE =
            ThreadLocal.withInitial(() -> Arena.ofAuto().allocate(BOUNCE_BYTES));

    /**
     * Makes one call for bytes from {@code skip} of segment {@code at} on, as many as one call can take.
     *
     * @return how many were moved, 0 at the end of the file, or {@code -errno}
     */
    long once(OwnedFd file, long offset, List<MemorySegment> segments, int at, long skip) {
        MemorySegment first = segments.get(at);
        if (!first.isNative()) {
            return bounce(file, offset, first.asSlice(skip));
        }
        // One call keeps one arena open, so it takes memory of one arena.
        MemorySegment.Scope scope = first.scope();
        int end = Math.min(segments.size(), at + Libc.IOV_MAX);
        IoVectors vectors = VECTORS.get();
        vectors.clear();
        vectors.add(first, skip, first.byteSize() - skip);
        for (int i = at + 1; i < end; i++) {
            MemorySegment segment = segments.get(i);
            if (!segment.isNative() || !segment.scope().equals(scope)) {
                break;
            }
            vectors.add(segment, 0, segment.byteSize());
        }
        return call(file, offset, vectors);
    }

    /** Makes one call for all of the vectors; true if it moved them all. Another result tells nothing: {@link #once} does. */
    boolean whole(OwnedFd file, long offset, IoVectors vectors) {
        return call(file, offset, vectors) == vectors.bytes();
    }

    /**
     * The same as far as it takes no waiting for the storage.
     *
     * @return how many bytes were moved, or {@code -errno}: {@code EAGAIN} if it would wait, {@code EOPNOTSUPP} if the file system can't tell
     */
    long atOnce(OwnedFd file, long offset, IoVectors vectors) {
        return this == READ ? vectors.tryReadNow(file, offset) : vectors.tryWriteNow(file, offset);
    }

    private long call(OwnedFd file, long offset, IoVectors vectors) {
        return this == READ ? vectors.tryRead(file, offset) : vectors.tryWrite(file, offset);
    }

    private long bounce(OwnedFd file, long offset, MemorySegment heap) {
        long count = Math.min(BOUNCE_BYTES, heap.byteSize());
        MemorySegment buffer = BOUNCE.get();
        if (this == WRITE) {
            MemorySegment.copy(heap, 0, buffer, 0, count);
        }
        IoVectors vectors = VECTORS.get();
        vectors.clear();
        vectors.add(buffer, 0, count);
        long result = call(file, offset, vectors);
        if (this == READ && result > 0) {
            MemorySegment.copy(buffer, 0, heap, 0, result);
        }
        return result;
    }
}
