package io.github.jkvm.virtio.queue;

import io.github.jkvm.GuestMemory;
import io.github.jkvm.virtio.queue.QueueFault.Reason;
import org.jspecify.annotations.Nullable;

/**
 * Size and place of a queue, as the driver wrote them to the transport's registers. Any values are possible here;
 * {@link VirtQueue#activate} checks them.
 *
 * @param size number of descriptors
 * @param descriptors guest-physical address of the descriptor area, unsigned: a split queue's descriptor table, a packed queue's ring
 * @param driver guest-physical address of the driver area, unsigned: a split queue's available ring, a packed queue's driver event
 *     suppression structure
 * @param device guest-physical address of the device area, unsigned: a split queue's used ring, a packed queue's device event
 *     suppression structure
 */
public record QueueLayout(int size, long descriptors, long driver, long device) {
    /** Greatest size of any queue, in descriptors (virtio 1.2, 2.7 and 2.8). */
    public static final int MAX_SIZE = 32_768;

    /** Size of a descriptor in bytes (virtio 1.2, 2.7.5 and 2.8.13). */
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

    /** Size of an event suppression structure in bytes (virtio 1.2, 2.8.10.1). */
    private static final int EVENT_BYTES = 4;

    /** Returns what is wrong with the layout, or null. */
    @Nullable
    QueueFault check(RingFormat format, GuestMemory memory, int maxSize) {
        return switch (format) {
            case SPLIT -> checkSplit(memory, maxSize);
            case PACKED -> checkPacked(memory, maxSize);
        };
    }

    private @Nullable QueueFault checkSplit(GuestMemory memory, int maxSize) {
        if (size < 1 || size > maxSize || Integer.bitCount(size) != 1) {
            return new QueueFault(
                    Reason.QUEUE_SIZE, "queue size " + size + " is not a power of two from 1 to " + maxSize);
        }
        QueueFault fault = checkPart(memory, "descriptor table", descriptors, descriptorsBytes(), 16);
        if (fault == null) {
            fault = checkPart(memory, "available ring", driver, availableBytes(), 2);
        }
        if (fault == null) {
            fault = checkWritablePart(memory, "used ring", device, usedBytes(), 4);
        }
        return fault != null ? fault : checkOverlap(availableBytes(), usedBytes());
    }

    private @Nullable QueueFault checkPacked(GuestMemory memory, int maxSize) {
        if (size < 1 || size > maxSize) {
            return new QueueFault(Reason.QUEUE_SIZE, "queue size " + size + " is not from 1 to " + maxSize);
        }
        QueueFault fault = checkWritablePart(memory, "descriptor ring", descriptors, descriptorsBytes(), 16);
        if (fault == null) {
            fault = checkPart(memory, "driver event suppression structure", driver, EVENT_BYTES, 4);
        }
        if (fault == null) {
            fault = checkWritablePart(memory, "device event suppression structure", device, EVENT_BYTES, 4);
        }
        return fault != null ? fault : checkOverlap(EVENT_BYTES, EVENT_BYTES);
    }

    private @Nullable QueueFault checkOverlap(long driverBytes, long deviceBytes) {
        if (overlap(descriptors, descriptorsBytes(), driver, driverBytes)
                || overlap(descriptors, descriptorsBytes(), device, deviceBytes)
                || overlap(driver, driverBytes, device, deviceBytes)) {
            return new QueueFault(Reason.RINGS_OVERLAP, "parts of the queue share bytes: " + this);
        }
        return null;
    }

    private static @Nullable QueueFault checkWritablePart(
            GuestMemory memory, String part, long address, long length, int alignment) {
        QueueFault fault = checkPart(memory, part, address, length, alignment);
        if (fault == null && !memory.isWritable(address, length)) {
            return new QueueFault(
                    Reason.RING_OUTSIDE_MEMORY,
                    part + " at 0x" + Long.toHexString(address) + " is in memory that the guest may not write");
        }
        return fault;
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

    /** Returns the address of a descriptor. */
    long descriptor(int index) {
        return descriptors + (long) DESCRIPTOR_BYTES * index;
    }

    // From here on: where things are in the rings of a split queue (virtio 1.2, 2.7.6 and 2.7.8).

    long availableFlags() {
        return driver;
    }

    long availableIndex() {
        return driver + INDEX_OFFSET;
    }

    /** Returns the address of the entry that a free-running index stands for. */
    long availableEntry(int index) {
        return driver + ENTRIES_OFFSET + (long) AVAILABLE_ENTRY_BYTES * (index & (size - 1));
    }

    /** Returns the address of {@code used_event}, which the driver writes. */
    long usedEvent() {
        return driver + ENTRIES_OFFSET + (long) AVAILABLE_ENTRY_BYTES * size;
    }

    long usedFlags() {
        return device;
    }

    long usedIndex() {
        return device + INDEX_OFFSET;
    }

    /** Returns the address of the entry that a free-running index stands for. */
    long usedEntry(int index) {
        return device + ENTRIES_OFFSET + (long) USED_ENTRY_BYTES * (index & (size - 1));
    }

    /** Returns the address of {@code avail_event}, which the device writes. */
    long availableEvent() {
        return device + ENTRIES_OFFSET + (long) USED_ENTRY_BYTES * size;
    }

    /** Returns the size and the addresses in hexadecimal. */
    @Override
    public String toString() {
        return size + " descriptors at 0x" + Long.toHexString(descriptors) + ", driver area at 0x"
                + Long.toHexString(driver) + ", device area at 0x" + Long.toHexString(device);
    }
}
