package io.github.jkvm.testkit.virtio;

/** Feature bits that are the same for all devices, as masks (virtio 1.2, 6). */
public final class RingFeatures {
    /** {@code VIRTIO_F_INDIRECT_DESC}: a descriptor may refer to a table of descriptors. */
    public static final long INDIRECT_DESC = 1L << 28;

    /** {@code VIRTIO_F_EVENT_IDX}: each side says at which index it wants to be notified. */
    public static final long EVENT_IDX = 1L << 29;

    /** {@code VIRTIO_F_VERSION_1}: not a legacy device. */
    public static final long VERSION_1 = 1L << 32;

    /** {@code VIRTIO_F_RING_PACKED}: rings have the packed format (2.8); without it they are split (2.7). */
    public static final long RING_PACKED = 1L << 34;

    /** {@code VIRTIO_F_IN_ORDER}: the device uses chains in the order in which they were made available. */
    public static final long IN_ORDER = 1L << 35;

    /** {@code VIRTIO_F_RING_RESET}: one queue may be reset alone. */
    public static final long RING_RESET = 1L << 40;

    /** The bits that belong to the type of the device (2.2: "0 to 23, and 50 to 127"), as far as 64 bits go. */
    public static final long DEVICE_SPECIFIC = (1L << 24) - 1 | -1L << 50;

    private RingFeatures() {}
}
