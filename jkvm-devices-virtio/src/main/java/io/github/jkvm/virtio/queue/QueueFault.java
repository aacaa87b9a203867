package io.github.jkvm.virtio.queue;

/**
 * What a driver did that it may not do, and that stopped its queue. The device then sets {@code DEVICE_NEEDS_RESET} (virtio 1.2, 2.1.2).
 *
 * @param reason the rule that was broken
 * @param detail the values that broke it, for people
 */
public record QueueFault(Reason reason, String detail) {

    /** The rules. Saved state holds their positions: new ones go to the end. */
    public enum Reason {
        /** The size is not from 1 to the device's limit or, for a split queue, not a power of two (virtio 1.2, 2.7 and 2.8.10.1). */
        QUEUE_SIZE,
        /** A part of the queue is not aligned as it must be (virtio 1.2, 2.7.1 and 2.8.11). */
        RING_ALIGNMENT,
        /** A part of the queue is not in memory, or one for the device to write is in memory that the guest may not write. */
        RING_OUTSIDE_MEMORY,
        /** Two parts of the queue share bytes. */
        RINGS_OVERLAP,
        /** More is available than the queue has room for (virtio 1.2, 2.7 and 2.8.10.1). */
        AVAILABLE_INDEX,
        /** A head or a {@code next} is not an index of the descriptor table. */
        DESCRIPTOR_INDEX,
        /** A chain was made available again before the device was done with it. */
        HEAD_IN_FLIGHT,
        /** A chain has more descriptors than the queue, or a loop (virtio 1.2, 2.7.5.3.1 and 2.8.17). */
        CHAIN_TOO_LONG,
        /** The lengths of a chain add up to more than a used length's 32 bits can hold (virtio 1.2, 2.7.5.2 and 2.7.8). */
        CHAIN_TOO_LARGE,
        /** A buffer or an indirect table is not in memory. */
        BUFFER_OUTSIDE_MEMORY,
        /** A buffer for the device to write is in memory that the guest may not write. */
        BUFFER_READ_ONLY,
        /** A readable buffer follows a writable one (virtio 1.2, 2.7.4.2 and 2.8.17). */
        READABLE_AFTER_WRITABLE,
        /** An indirect descriptor without {@link QueueFeature#INDIRECT_DESCRIPTORS} (virtio 1.2, 2.7.5.3.1 and 2.8.19). */
        INDIRECT_NOT_NEGOTIATED,
        /** An indirect descriptor that has a next one (virtio 1.2, 2.7.5.3.1 and 2.8.19). */
        INDIRECT_WITH_NEXT,
        /** An indirect descriptor in an indirect table (virtio 1.2, 2.7.5.3.1). */
        INDIRECT_NESTED,
        /** An indirect table that is empty, not a multiple of 16 bytes, or longer than the queue (virtio 1.2, 2.7.5.3.1). */
        INDIRECT_LENGTH,
        /** An indirect descriptor in a list of other descriptors of a packed ring (virtio 1.2, 2.8.19). */
        INDIRECT_IN_LIST
    }

    /** Returns the reason and the detail. */
    @Override
    public String toString() {
        return reason + ": " + detail;
    }
}
