package io.github.jkvm.virtio.queue;

/** What driver and device may agree on that changes how a queue is used (virtio 1.2, 6). */
public enum QueueFeature {
    /** {@code VIRTIO_F_INDIRECT_DESC}: a descriptor may refer to a table of descriptors (virtio 1.2, 2.7.5.3 and 2.8.7). */
    INDIRECT_DESCRIPTORS(28),
    /** {@code VIRTIO_F_EVENT_IDX}: each side says at which index it wants to be notified (virtio 1.2, 2.7.7, 2.7.10 and 2.8.10). */
    EVENT_INDEX(29),
    /** {@code VIRTIO_F_RING_PACKED}: the rings have the format {@link RingFormat#PACKED} (virtio 1.2, 2.8). */
    PACKED_RING(34),
    /** {@code VIRTIO_F_IN_ORDER}: chains come back to the driver in the order it made them available (virtio 1.2, 2.7.9 and 2.8.8). */
    IN_ORDER(35);

    private final int bit;

    QueueFeature(int bit) {
        this.bit = bit;
    }

    /**
     * Returns the number of the feature's bit.
     *
     * @return the bit, 0 for the lowest
     */
    public int bit() {
        return bit;
    }
}
