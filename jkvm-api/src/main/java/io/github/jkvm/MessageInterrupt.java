package io.github.jkvm;

/**
 * An interrupt whose message (MSI) the guest chooses, as drivers do with the vectors of PCI devices.
 *
 * <p>Made by {@link Vm#messageInterrupt()}, which finds a number for it. Until it has a message, signals are lost. Safe for use by many
 * threads.
 */
public interface MessageInterrupt extends Interrupt {

    /**
     * Sets what {@link #signal()} sends from now on. Setting what is set already costs nothing; a change makes the hypervisor read all routes
     * of the VM anew.
     *
     * @param address where the message is written, unsigned; where no interrupt controller listens, the message is lost
     * @param data what is written
     * @throws IllegalStateException if this interrupt or its VM is closed
     * @throws HypervisorException if the host refuses
     */
    void setMessage(long address, int data);

    /** An event that signals an interrupt. */
    interface Attachment extends AutoCloseable {
        /** Has the event signal the interrupt no more. What it counts from now on is left for others. Closing twice does nothing. */
        @Override
        void close();
    }

    /**
     * Has an event of the host's send the message, each time that anyone signals it, such as another process; also if it was signalled before and nobody
     * has taken that. Whoever else waits for the event may or may not see what the interrupt takes.
     *
     * @param event an eventfd of the same host, attached to no other interrupt; stays the caller's to close, after the attachment
     * @return ends it; it ends with this interrupt, too
     * @throws IllegalStateException if this interrupt, its VM or the event is closed
     * @throws IllegalArgumentException if the event is not of this kind
     * @throws UnsupportedCapabilityException if the host can't do that, as is the case unless a backend says otherwise
     * @throws HypervisorException if the host refuses
     */
    default Attachment attach(HostFile event) {
        throw new UnsupportedCapabilityException(
                Capability.IRQFD, "an interrupt by an event of the caller's; wait for the event and signal instead");
    }
}
