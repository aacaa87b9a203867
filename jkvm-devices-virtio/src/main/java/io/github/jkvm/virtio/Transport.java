package io.github.jkvm.virtio;

/** How a {@link DeviceCore} interrupts the guest. Called on any thread; must not throw when the machine is being closed. */
interface Transport {
    /** Tells the driver that a queue has used chains. */
    void interruptForQueue(int queue);

    /** Tells the driver that the configuration, or the device's need for a reset, has changed. */
    void interruptForConfig();
}
