package io.github.jkvm.benchmarks;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.virtio.queue.QueueFeature;
import io.github.jkvm.virtio.queue.QueueLayout;
import io.github.jkvm.virtio.queue.RingFormat;
import java.lang.foreign.Arena;
import java.util.EnumSet;
import java.util.Set;

/**
 * A guest whose driver makes the same chains available again and again, with as little work as the format of its rings allows, so that what
 * is measured is the device's side.
 */
final class QueueGuest {
    /** How many chains are made available at a time. */
    static final int BATCH = 64;

    /** Descriptors of the longer chains: half to read and half to write. */
    private static final int LONG_CHAIN = 8;

    private static final int SIZE = 1024;
    private static final long DESCRIPTORS = 0x1_0000;
    private static final long DRIVER = 0x2_0000;
    private static final long DEVICE = 0x3_0000;
    private static final long TABLE = 0x4_0000;
    private static final long BUFFERS = 0x10_0000;
    private static final int BUFFER_BYTES = 512;

    private static final int NEXT = 1;
    private static final int WRITE = 2;
    private static final int INDIRECT = 4;
    private static final int AVAILABLE = 1 << 7;
    private static final int USED = 1 << 15;

    /** How chains are made. */
    enum Shape {
        ONE(1),
        EIGHT(LONG_CHAIN),
        INDIRECT_EIGHT(1);

        /** Descriptors of the ring for a chain. */
        private final int slots;

        Shape(int slots) {
            this.slots = slots;
        }
    }

    private final RingFormat format;
    private final Shape shape;
    private final GuestMemory memory;
    private int available;
    private boolean firstLap = true;

    QueueGuest(Arena arena, RingFormat format, Shape shape) {
        this.format = format;
        this.shape = shape;
        // Two regions, as below and above the hole for devices of a PC.
        memory = GuestMemory.of(region(arena, 0), region(arena, 1L << 32));
        for (int i = 0; i < LONG_CHAIN; i++) {
            descriptor(TABLE + 16L * i, i, LONG_CHAIN, i + 1);
        }
        if (format == RingFormat.SPLIT) {
            for (int i = 0; i < SIZE; i++) {
                descriptor(DESCRIPTORS + 16L * i, i % shape.slots, shape.slots, i + 1);
                memory.writeShort(DRIVER + 4 + 2L * i, (short) (i * shape.slots % SIZE));
            }
        }
    }

    private static MemoryRegion region(Arena arena, long base) {
        return MemoryRegion.of(GuestAddress.of(base), arena.allocate(16 << 20, 4096), MemoryRegion.Access.READ_WRITE);
    }

    GuestMemory memory() {
        return memory;
    }

    QueueLayout layout() {
        return new QueueLayout(SIZE, DESCRIPTORS, DRIVER, DEVICE);
    }

    Set<QueueFeature> features() {
        Set<QueueFeature> features = EnumSet.of(QueueFeature.INDIRECT_DESCRIPTORS, QueueFeature.EVENT_INDEX);
        if (format == RingFormat.PACKED) {
            features.add(QueueFeature.PACKED_RING);
        }
        return features;
    }

    /** Makes {@link #BATCH} chains available; those before are back. */
    void offer() {
        if (format == RingFormat.SPLIT) {
            available += BATCH;
            memory.writeShortRelease(DRIVER + 2, (short) available);
            return;
        }
        for (int i = 0; i < BATCH * shape.slots; i++) {
            descriptor(DESCRIPTORS + 16L * available, available % shape.slots, shape.slots, available);
            available++;
            if (available == SIZE) {
                available = 0;
                firstLap = !firstLap;
            }
        }
    }

    /** Writes one of a chain's descriptors; what is last in it is a {@code next} or, in a packed ring, a buffer id before the flags. */
    private void descriptor(long at, int index, int count, int link) {
        boolean table = shape == Shape.INDIRECT_EIGHT && count == 1;
        int flags = table ? INDIRECT : 2 * index >= count && count > 1 ? WRITE : 0;
        flags |= index < count - 1 ? NEXT : 0;
        memory.writeLong(at, table ? TABLE : BUFFERS + (long) BUFFER_BYTES * index);
        long length = table ? 16L * LONG_CHAIN : BUFFER_BYTES;
        if (format == RingFormat.SPLIT) {
            memory.writeLong(at + 8, length | (long) flags << 32 | (long) link << 48);
        } else {
            flags |= firstLap ? AVAILABLE : USED;
            memory.writeLong(at + 8, length | (long) link << 32 | (long) flags << 48);
        }
    }
}
