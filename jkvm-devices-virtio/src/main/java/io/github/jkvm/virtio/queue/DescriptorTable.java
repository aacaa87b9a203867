package io.github.jkvm.virtio.queue;

import io.github.jkvm.GuestMemory;
import io.github.jkvm.MemoryRegion;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * Descriptors that lie one behind the other in guest memory. Where they lie is looked up once for all of them; the few tables that run
 * across regions are read through {@link GuestMemory} instead.
 */
final class DescriptorTable {
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final GuestMemory memory;
    private MemorySegment segment = MemorySegment.NULL;
    private boolean inOneRegion;
    private long base;

    DescriptorTable(GuestMemory memory) {
        this.memory = memory;
    }

    /** Takes a table, which is all memory. */
    void open(long address, long bytes) {
        MemoryRegion region = memory.find(address, bytes);
        inOneRegion = region != null;
        if (region != null) {
            segment = region.segment();
            base = address - region.base().value();
        } else {
            base = address;
        }
    }

    /** Reads the first half of a descriptor: the address. */
    long address(int index) {
        return read(base + (long) QueueLayout.DESCRIPTOR_BYTES * index);
    }

    /** Reads the second half of a descriptor: length, flags and what else there is. */
    long rest(int index) {
        return read(base + (long) QueueLayout.DESCRIPTOR_BYTES * index + Long.BYTES);
    }

    private long read(long at) {
        return inOneRegion ? segment.get(LONG, at) : memory.readLong(at);
    }
}
