package io.github.jkvm.virtio.queue;

/** What driver and device may agree on that changes how a split queue is used (virtio 1.2, 6). */
public enum QueueFeature {
    /** {@code VIRTIO_F_INDIRECT_DESC}: a descriptor may refer to a table of descriptors (virtio 1.2, 2.7.5.3). */
    INDIRECT_DESCRIPTORS(28),
    /** {@code VIRTIO_F_EVENT_IDX}: each side says at which index it wants to be notified (virtio 1.2, 2.7.7 and 2.7.10). */
    EVENT_INDEX(29);

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
