package io.github.jkvm.virtio.queue;

import io.github.jkvm.GuestMemory;
import io.github.jkvm.virtio.queue.QueueFault.Reason;
import org.jspecify.annotations.Nullable;

/**
 * Size and place of a split queue, as the driver wrote them to the transport's registers (virtio 1.2, 2.7). Any values are possible here;
 * {@link VirtQueue#activate} checks them.
 *
 * @param size number of descriptors
 * @param descriptors guest-physical address of the descriptor table, unsigned
 * @param available guest-physical address of the available ring, unsigned
 * @param used guest-physical address of the used ring, unsigned
 */
public record QueueLayout(int size, long descriptors, long available, long used) {
    /** Greatest size of any split queue, in descriptors (virtio 1.2, 2.7). */
    public static final int MAX_SIZE = 32_768;

    /** Size of a descriptor in bytes (virtio 1.2, 2.7.5). */
    static final int DESCRIPTOR_BYTES = 16;

    /** The layout of a queue that is not in use. */
    static final QueueLayout NONE = new QueueLayout(0, 0, 0, 0);

    /** Where the index is, in the available and in the used ring. */
    private static final int INDEX_OFFSET = 2;

    /** Where the entries begin, in the available and in the used ring. */
    private static final int ENTRIES_OFFSET = 4;

    private static final int AVAILABLE_ENTRY_BYTES = 2;
    private static final int USED_ENTRY_BYTES = 8;

    /** What the rings have besides their entries: flags, index and event index, 2 bytes each. */
    private static final int RING_FIXED_BYTES = 6;

    /** Returns what is wrong with the layout, or null. */
    @Nullable
    QueueFault check(GuestMemory memory, int maxSize) {
        if (size < 1 || size > maxSize || Integer.bitCount(size) != 1) {
            return new QueueFault(
                    Reason.QUEUE_SIZE, "queue size " + size + " is not a power of two from 1 to " + maxSize);
        }
        QueueFault fault = checkPart(memory, "descriptor table", descriptors, descriptorsBytes(), 16);
        if (fault == null) {
            fault = checkPart(memory, "available ring", available, availableBytes(), 2);
        }
        if (fault == null) {
            fault = checkPart(memory, "used ring", used, usedBytes(), 4);
        }
        if (fault != null) {
            return fault;
        }
        if (!GuestRanges.isWritable(memory, used, usedBytes())) {
            return new QueueFault(
                    Reason.RING_OUTSIDE_MEMORY,
                    "used ring at 0x" + Long.toHexString(used) + " is in memory that the guest may not write");
        }
        if (overlap(descriptors, descriptorsBytes(), available, availableBytes())
                || overlap(descriptors, descriptorsBytes(), used, usedBytes())
                || overlap(available, availableBytes(), used, usedBytes())) {
            return new QueueFault(Reason.RINGS_OVERLAP, "parts of the queue share bytes: " + this);
        }
        return null;
    }

    private static @Nullable QueueFault checkPart(
            GuestMemory memory, String part, long address, long length, int alignment) {
        if ((address & (alignment - 1)) != 0) {
            return new QueueFault(
                    Reason.RING_ALIGNMENT,
                    part + " at 0x" + Long.toHexString(address) + " is not a multiple of " + alignment);
        }
        if (!memory.contains(address, length)) {
            return new QueueFault(
                    Reason.RING_OUTSIDE_MEMORY,
                    part + " of " + length + " bytes at 0x" + Long.toHexString(address) + " is not all in memory");
        }
        return null;
    }

    /** Both ranges are in memory, so neither wraps. */
    private static boolean overlap(long a, long aBytes, long b, long bBytes) {
        return Long.compareUnsigned(b - a, aBytes) < 0 || Long.compareUnsigned(a - b, bBytes) < 0;
    }

    private long descriptorsBytes() {
        return (long) DESCRIPTOR_BYTES * size;
    }

    private long availableBytes() {
        return RING_FIXED_BYTES + (long) AVAILABLE_ENTRY_BYTES * size;
    }

    private long usedBytes() {
        return RING_FIXED_BYTES + (long) USED_ENTRY_BYTES * size;
    }

    long availableFlags() {
        return available;
    }

    long availableIndex() {
        return available + INDEX_OFFSET;
    }

    /** Returns the address of the entry that a free-running index stands for. */
    long availableEntry(int index) {
        return available + ENTRIES_OFFSET + (long) AVAILABLE_ENTRY_BYTES * (index & (size - 1));
    }

    /** Returns the address of {@code used_event}, which the driver writes. */
    long usedEvent() {
        return available + ENTRIES_OFFSET + (long) AVAILABLE_ENTRY_BYTES * size;
    }

    long usedFlags() {
        return used;
    }

    long usedIndex() {
        return used + INDEX_OFFSET;
    }

    /** Returns the address of the entry that a free-running index stands for. */
    long usedEntry(int index) {
        return used + ENTRIES_OFFSET + (long) USED_ENTRY_BYTES * (index & (size - 1));
    }

    /** Returns the address of {@code avail_event}, which the device writes. */
    long availableEvent() {
        return used + ENTRIES_OFFSET + (long) USED_ENTRY_BYTES * size;
    }

    /** Returns the size and the addresses in hexadecimal. */
    @Override
    public String toString() {
        return size + " descriptors at 0x" + Long.toHexString(descriptors) + ", available ring at 0x"
                + Long.toHexString(available) + ", used ring at 0x" + Long.toHexString(used);
    }
}
