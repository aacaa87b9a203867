package io.github.jkvm.testkit.virtio;

/**
 * The registers by which a driver reaches a device: what virtio over MMIO (virtio 1.2, 4.2) and over PCI (4.1) have in common. {@link VirtioDriver}
 * uses them in the order that the specification asks for; tests of a device's registers use them in any order.
 */
public abstract sealed class DriverTransport permits MmioTransport, PciTransport {
    /** In {@link #takeInterruptStatus}: the device has used a chain (4.1.4.5 and 4.2.2). */
    public static final int USED_BUFFER = 1;

    /** In {@link #takeInterruptStatus}: the configuration has changed, or the device needs a reset (4.1.4.5 and 4.2.2). */
    public static final int CONFIGURATION_CHANGE = 2;

    DriverTransport() {}

    /**
     * Checks that there is a virtio device behind the registers.
     *
     * @throws AssertionError if there is not; the text says what was found
     */
    abstract void check();

    /**
     * Reads what the device offers.
     *
     * @return the feature bits, 0 to 63
     */
    public abstract long offered();

    /**
     * Writes what the driver accepts.
     *
     * @param features the feature bits, 0 to 63
     */
    public abstract void accept(long features);

    /**
     * Reads the device status.
     *
     * @return the sum of {@link DeviceStatus} bits
     */
    public abstract int status();

    /**
     * Writes the device status; 0 resets the device.
     *
     * @param status the sum of {@link DeviceStatus} bits
     */
    public abstract void setStatus(int status);

    /**
     * Selects a queue and reads its greatest size.
     *
     * @param queue index of the queue
     * @return the size in descriptors; 0 if there is no such queue
     */
    public abstract int maxQueueSize(int queue);

    /** Says how the device tells of changes of its configuration. */
    abstract void setUpInterrupts();

    /**
     * Selects a queue, writes where it is, and enables it.
     *
     * @param queue index of the queue
     * @param areas size and place
     */
    public abstract void setUpQueue(int queue, QueueAreas areas);

    /**
     * Notifies the device of a queue ("available buffer notification").
     *
     * @param queue index of the queue
     */
    public abstract void notify(int queue);

    /**
     * Reads from the device's configuration space.
     *
     * @param offset offset in it
     * @param size how many bytes: 1, 2, 4 or 8
     * @return the value, zero-extended
     */
    public abstract long config(int offset, int size);

    /**
     * Writes to the device's configuration space.
     *
     * @param offset offset in it
     * @param size how many bytes: 1, 2, 4 or 8
     * @param value the value
     */
    public abstract void setConfig(int offset, int size, long value);

    /**
     * Returns how often the device has interrupted the guest.
     *
     * @return the count
     */
    public abstract int interrupts();

    /**
     * Reads what the device interrupted the guest for, and acknowledges it. Means nothing over PCI with MSI-X, whose vectors say it.
     *
     * @return the sum of {@link #USED_BUFFER} and {@link #CONFIGURATION_CHANGE}
     */
    public abstract int takeInterruptStatus();

    /** Tells whether there are registers at an offset of the device's configuration space, also beyond its end. */
    abstract boolean reachesConfig(int offset, int size);

    /** Writes any value to any register but the status and those of queues. */
    abstract void scribble(Choices choices);

    /** Resets a queue, or disables it the way a driver may not. */
    abstract void stopQueue(int queue, Choices choices);
}
