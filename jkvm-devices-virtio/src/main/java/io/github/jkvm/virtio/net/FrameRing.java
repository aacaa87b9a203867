package io.github.jkvm.virtio.net;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A queue of frames in a bounded piece of memory. Any thread may offer; one at a time polls. Nothing is allocated for a frame.
 *
 * <p>A frame is a record: its length, its header, its bytes, up to a multiple of eight. A record does not go around the end: a length of
 * {@link #AT_START} says that the next one begins at the start.
 */
final class FrameRing {
    static final int MIN_CAPACITY = 1 << 18;

    private static final int AT_START = -1;
    private static final long HEADER_AT = Integer.BYTES;
    private static final long FRAME_AT = HEADER_AT + OffloadHeader.SIZE;
    private static final int ALIGNMENT = 8;
    private static final ValueLayout.OfInt LENGTH = ValueLayout.JAVA_INT;

    private final int capacity;
    private final MemorySegment bytes;

    /** How many bytes were taken in all. Written by the one who polls. */
    private volatile long taken;

    /** How many bytes were put in all. Written in the monitor. */
    private volatile long put;

    /** Creates an empty queue of a power of two of bytes. */
    FrameRing(int capacity) {
        this.capacity = capacity;
        // Longs, so that lengths are aligned.
        this.bytes = MemorySegment.ofArray(new long[capacity / Long.BYTES]);
    }

    /** Adds a copy of a frame, if there is room. */
    synchronized boolean offer(Frame frame) {
        long size = frame.size();
        long record = recordSize(size);
        long now = put;
        long at = now & (capacity - 1);
        long pad = capacity - at < record ? capacity - at : 0;
        if (pad + record > capacity - (now - taken)) {
            return false;
        }
        if (pad != 0) {
            bytes.set(LENGTH, at, AT_START);
            at = 0;
        }
        bytes.set(LENGTH, at, (int) size);
        MemorySegment.copy(frame.header().bytes(), 0, bytes, at + HEADER_AT, OffloadHeader.SIZE);
        frame.copyTo(0, bytes, at + FRAME_AT, size);
        put = now + pad + record;
        return true;
    }

    /** Takes the oldest frame out. Returns its length, or 0 if there is none; what does not fit into the room is lost. */
    long poll(Frame room) {
        long now = taken;
        if (now == put) {
            return 0;
        }
        long at = now & (capacity - 1);
        int size = bytes.get(LENGTH, at);
        if (size == AT_START) {
            now += capacity - at;
            at = 0;
            size = bytes.get(LENGTH, at);
        }
        MemorySegment.copy(bytes, at + HEADER_AT, room.header().bytes(), 0, OffloadHeader.SIZE);
        room.copyFrom(bytes, at + FRAME_AT, 0, Math.min(size, room.size()));
        taken = now + recordSize(size);
        return size;
    }

    boolean isEmpty() {
        return taken == put;
    }

    /** Drops all frames; called by the one who polls. */
    void clear() {
        taken = put;
    }

    /** Returns how much room there is for sure for records of that many bytes in all, wherever the end comes to lie. */
    long room() {
        return capacity - (put - taken) - recordSize(Frame.MAX_SIZE);
    }

    int capacity() {
        return capacity;
    }

    static long recordSize(long frameSize) {
        return (FRAME_AT + frameSize + ALIGNMENT - 1) & -ALIGNMENT;
    }
}
