package io.github.jkvm.virtio.fs;

import io.github.jkvm.kvm.ffi.IoVectors;
import io.github.jkvm.kvm.ffi.Libc;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Buffers of guest memory that are one run of bytes. File data moves between them and the host's files with no copy; segments on the
 * Java heap, which the host's calls can't reach, go through a buffer of their own. Belongs to one thread at a time.
 */
final class Buffers {
    private static final int BOUNCE_BYTES = 0x1_0000;

    private final Arena arena;
    private final IoVectors vectors = new IoVectors(Libc.IOV_MAX);
    private List<MemorySegment> segments = List.of();
    private long size;
    private @Nullable MemorySegment bounce;

    Buffers(Arena arena) {
        this.arena = arena;
    }

    void set(List<MemorySegment> of) {
        segments = of;
        size = 0;
        for (MemorySegment segment : of) {
            size += segment.byteSize();
        }
    }

    long size() {
        return size;
    }

    /** Copies bytes out, from an offset on; there must be as many as the target has room for. */
    void copyTo(long from, MemorySegment target) {
        long at = from;
        long done = 0;
        for (int i = 0; done < target.byteSize(); i++) {
            MemorySegment segment = segments.get(i);
            if (at >= segment.byteSize()) {
                at -= segment.byteSize();
                continue;
            }
            long count = Math.min(segment.byteSize() - at, target.byteSize() - done);
            MemorySegment.copy(segment, at, target, done, count);
            done += count;
            at = 0;
        }
    }

    /** Copies bytes in, from an offset on; there must be room for all of the source. */
    void copyFrom(MemorySegment source, long to) {
        long at = to;
        long done = 0;
        for (int i = 0; done < source.byteSize(); i++) {
            MemorySegment segment = segments.get(i);
            if (at >= segment.byteSize()) {
                at -= segment.byteSize();
                continue;
            }
            long count = Math.min(segment.byteSize() - at, source.byteSize() - done);
            MemorySegment.copy(source, done, segment, at, count);
            done += count;
            at = 0;
        }
    }

    /**
     * Reads a file into the buffers.
     *
     * @param fd the file
     * @param position where in the file
     * @param from where in the buffers
     * @param count how many bytes at most; there must be room
     * @return how many were read, less at the end of the file; or {@code -errno}
     */
    long readFile(int fd, long position, long from, long count) {
        for (long done = 0; done < count; ) {
            long read = transfer(Direction.READ, fd, position + done, from + done, count - done);
            if (read <= 0) {
                return read < 0 ? read : done;
            }
            done += read;
        }
        return count;
    }

    /**
     * Writes the buffers to a file.
     *
     * @param fd the file
     * @param position where in the file
     * @param from where in the buffers
     * @param count how many bytes; there must be as many
     * @return how many were written, less if the disk became full; or {@code -errno} if none
     */
    long writeFile(int fd, long position, long from, long count) {
        for (long done = 0; done < count; ) {
            long written = transfer(Direction.WRITE, fd, position + done, from + done, count - done);
            if (written <= 0) {
                return done > 0 ? done : written;
            }
            done += written;
        }
        return count;
    }

    private enum Direction {
        READ,
        WRITE
    }

    /** One call: of as many native segments as follow one another, or of a piece of one that is on the heap. */
    private long transfer(Direction direction, int fd, long position, long from, long count) {
        int first = 0;
        long at = from;
        while (at >= segments.get(first).byteSize()) {
            at -= segments.get(first).byteSize();
            first++;
        }
        if (!segments.get(first).isNative()) {
            return bounce(direction, fd, position, segments.get(first), at, count);
        }
        vectors.clear();
        long left = count;
        for (int i = first; i < segments.size() && left > 0 && vectors.count() < Libc.IOV_MAX; i++) {
            MemorySegment segment = segments.get(i);
            if (!segment.isNative()) {
                break;
            }
            long length = Math.min(segment.byteSize() - at, left);
            vectors.add(segment, at, length);
            left -= length;
            at = 0;
        }
        return direction == Direction.READ ? vectors.tryRead(fd, position) : vectors.tryWrite(fd, position);
    }

    private long bounce(Direction direction, int fd, long position, MemorySegment segment, long at, long count) {
        if (bounce == null) {
            bounce = arena.allocate(BOUNCE_BYTES);
        }
        long length = Math.min(Math.min(segment.byteSize() - at, count), BOUNCE_BYTES);
        if (direction == Direction.WRITE) {
            MemorySegment.copy(segment, at, bounce, 0, length);
            return Libc.pwrite(fd, bounce, length, position);
        }
        long read = Libc.pread(fd, bounce, length, position);
        if (read > 0) {
            MemorySegment.copy(bounce, 0, segment, at, read);
        }
        return read;
    }
}
