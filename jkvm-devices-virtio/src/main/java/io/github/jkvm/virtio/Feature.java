package io.github.jkvm.virtio;

/**
 * Feature bits that do not belong to one type of device (virtio 1.2, 6). Bits 0 to 23 and from 50 are the device type's.
 */
public final class Feature {
    /** {@code VIRTIO_F_INDIRECT_DESC}: descriptors may refer to tables of descriptors. */
    public static final int INDIRECT_DESCRIPTORS = 28;

    /** {@code VIRTIO_F_EVENT_IDX}: each side says at which index it wants to be notified. */
    public static final int EVENT_INDEX = 29;

    /** {@code VIRTIO_F_VERSION_1}: the device follows this specification, and is no legacy device. */
    public static final int VERSION_1 = 32;

    /** {@code VIRTIO_F_RING_PACKED}: queues are packed. */
    public static final int PACKED_RING = 34;

    /** {@code VIRTIO_F_IN_ORDER}: the device uses chains in the order in which they were made available. */
    public static final int IN_ORDER = 35;

    /** {@code VIRTIO_F_RING_RESET}: the driver may reset one queue alone. */
    public static final int RING_RESET = 40;

    private static final int FIRST_COMMON = 24;
    private static final int LAST_COMMON = 49;

    private Feature() {}

    /**
     * Returns the mask of one bit.
     *
     * @param bit the number of the bit, 0 to 63
     * @return a number with that bit set
     */
    public static long mask(int bit) {
        return 1L << bit;
    }

    /**
     * Returns the bits that belong to types of devices.
     *
     * @return a mask of bits 0 to 23 and 50 to 63
     */
    public static long deviceSpecific() {
        long common = (-1L << FIRST_COMMON) & (-1L >>> (Long.SIZE - 1 - LAST_COMMON));
        return ~common;
    }
}
