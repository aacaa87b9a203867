package io.github.jkvm.virtio.queue;

import io.github.jkvm.GuestMemory;

/** How the rings of a device's queues lie in memory: the same for all queues of a device. */
public enum RingFormat {
    /** A descriptor table, an available and a used ring (virtio 1.2, 2.7). */
    SPLIT {
        @Override
        public VirtQueue queue(GuestMemory memory, int maxSize) {
            return new SplitQueue(memory, maxSize);
        }
    },
    /** One ring that both sides write (virtio 1.2, 2.8). */
    PACKED {
        @Override
        public VirtQueue queue(GuestMemory memory, int maxSize) {
            return new PackedQueue(memory, maxSize);
        }
    };

    /** Bit of {@code VIRTIO_F_RING_PACKED}, with which a driver chooses {@link #PACKED} (virtio 1.2, 6). */
    public static final int PACKED_BIT = 34;

    /**
     * Returns the format that driver and device agreed on.
     *
     * @param features the negotiated feature bits
     * @return the format
     */
    public static RingFormat negotiated(long features) {
        return (features & 1L << PACKED_BIT) != 0 ? PACKED : SPLIT;
    }

    /**
     * Makes a queue of this format that is not in use.
     *
     * @param memory the guest's memory
     * @param maxSize greatest size the driver may choose, in descriptors: from 1 to {@link QueueLayout#MAX_SIZE}, and a power of two
     *     if the format is {@link #SPLIT}
     * @return the queue
     * @throws IllegalArgumentException if {@code maxSize} is none of these
     */
    public abstract VirtQueue queue(GuestMemory memory, int maxSize);
}
