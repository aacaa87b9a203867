package io.github.jkvm.virtio.pipe;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** A ring of bytes in native memory. Used under its pipe's lock. */
final class ByteRing {
    private final MemorySegment memory;
    private final int capacity;
    private int start;
    private int count;

    ByteRing(int capacity) {
        this.memory = Arena.ofAuto().allocate(capacity);
        this.capacity = capacity;
    }

    int capacity() {
        return capacity;
    }

    int count() {
        return count;
    }

    int room() {
        return capacity - count;
    }

    void clear() {
        start = 0;
        count = 0;
    }

    /** Returns the oldest bytes that lie together, at most so many. */
    MemorySegment fullPart(int limit) {
        return memory.asSlice(start, Math.min(limit, Math.min(count, capacity - start)));
    }

    void removed(int bytes) {
        start = (int) (((long) start + bytes) % capacity);
        count -= bytes;
    }

    /** Returns the room behind the newest byte that lies together, at most so much. */
    MemorySegment freePart(int limit) {
        int end = (int) (((long) start + count) % capacity);
        return memory.asSlice(end, Math.min(limit, Math.min(room(), capacity - end)));
    }

    void added(int bytes) {
        count += bytes;
    }

    /** Takes the oldest bytes, as many as there are and as fit; returns how many. */
    int take(MemorySegment target) {
        int bytes = (int) Math.min(count, target.byteSize());
        for (int done = 0; done < bytes; ) {
            MemorySegment part = fullPart(bytes - done);
            MemorySegment.copy(part, 0, target, done, part.byteSize());
            removed((int) part.byteSize());
            done += (int) part.byteSize();
        }
        return bytes;
    }

    /** Adds bytes, as many as there is room for; returns how many. */
    int put(MemorySegment source) {
        int bytes = (int) Math.min(room(), source.byteSize());
        for (int done = 0; done < bytes; ) {
            MemorySegment part = freePart(bytes - done);
            MemorySegment.copy(source, done, part, 0, part.byteSize());
            added((int) part.byteSize());
            done += (int) part.byteSize();
        }
        return bytes;
    }

    byte[] contents() {
        var bytes = new byte[count];
        MemorySegment target = MemorySegment.ofArray(bytes);
        int first = Math.min(count, capacity - start);
        MemorySegment.copy(memory, start, target, 0, first);
        MemorySegment.copy(memory, 0, target, first, count - first);
        return bytes;
    }
}
