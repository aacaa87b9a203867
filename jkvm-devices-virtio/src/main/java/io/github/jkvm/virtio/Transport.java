package io.github.jkvm.virtio;

import io.github.jkvm.HostFile;
import io.github.jkvm.MessageInterrupt;

/** How a {@link DeviceCore} interrupts the guest. Called on any thread; must not throw when the machine is being closed. */
interface Transport {
    /** Tells the driver that a queue has used chains. */
    void interruptForQueue(int queue);

    /** Tells the driver that the configuration, or the device's need for a reset, has changed. */
    void interruptForConfig();

    /**
     * Has an event of the host's interrupt the driver for a queue whenever that needs nothing of this process. At other times the event is left for whoever
     * waits for it, who then calls {@link #interruptForQueue}. At most one event for each queue.
     */
    MessageInterrupt.Attachment attach(int queue, HostFile event);
}
