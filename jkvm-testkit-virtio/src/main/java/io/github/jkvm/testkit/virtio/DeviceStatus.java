package io.github.jkvm.testkit.virtio;

/** Bits of the device status field (virtio 1.2, 2.1). */
public final class DeviceStatus {
    /** The guest has found the device. */
    public static final int ACKNOWLEDGE = 1;

    /** The guest has a driver for it. */
    public static final int DRIVER = 2;

    /** The driver is set up, and the device may work. */
    public static final int DRIVER_OK = 4;

    /** Driver and device agree on features. */
    public static final int FEATURES_OK = 8;

    /** {@code DEVICE_NEEDS_RESET}: the device has met an error that it can't recover from. */
    public static final int NEEDS_RESET = 64;

    /** The driver has given up. */
    public static final int FAILED = 128;

    private DeviceStatus() {}
}
