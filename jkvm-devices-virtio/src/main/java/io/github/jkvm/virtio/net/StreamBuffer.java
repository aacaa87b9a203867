package io.github.jkvm.virtio.net;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * Finds frames in a stream of bytes, in which each is preceded by its length in four bytes, the highest first. The stream comes in pieces of
 * any size.
 */
final class StreamBuffer {
    /** Size of a length in bytes. */
    static final int PREFIX = Integer.BYTES;

    static final ValueLayout.OfInt LENGTH = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);

    /** What {@link #next} returns for a length that no frame has: what follows means nothing. */
    static final long BROKEN = -1;

    private static final long CAPACITY = 256 << 10;

    private final MemorySegment bytes = Arena.ofAuto().allocate(CAPACITY);
    private long start;
    private long end;

    /** Forgets what was read. */
    void clear() {
        start = 0;
        end = 0;
    }

    /** Returns room for more, which is never empty once {@link #next} has returned 0. */
    MemorySegment room() {
        if (start == end) {
            clear();
        } else if (CAPACITY - start < PREFIX + Frame.MAX_SIZE) {
            // The frame that begins here might not fit behind it.
            MemorySegment.copy(bytes, start, bytes, 0, end - start);
            end -= start;
            start = 0;
        }
        return bytes.asSlice(end);
    }

    /** Bytes were put into the room. */
    void added(long count) {
        end += count;
    }

    /** Takes the next frame out. Returns its length, 0 if not all of it is there yet, or {@link #BROKEN}. */
    long next(Frame room) {
        while (end - start >= PREFIX) {
            int size = bytes.get(LENGTH, start);
            if (size < 0 || size > Frame.MAX_SIZE) {
                return BROKEN;
            }
            if (end - start < PREFIX + size) {
                return 0;
            }
            long at = start + PREFIX;
            start = at + size;
            if (size >= Frame.MIN_SIZE) {
                room.header().clear();
                room.copyFrom(bytes, at, 0, Math.min(size, room.size()));
                return size;
            }
            // No frame is that short: passed over.
        }
        return 0;
    }
}
