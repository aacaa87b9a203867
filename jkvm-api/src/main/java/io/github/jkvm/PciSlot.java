package io.github.jkvm;

/** A function's place on a PCI bus, and its ways to interrupt the guest. Safe for use by many threads. */
public interface PciSlot extends AutoCloseable {

    /**
     * Returns the device number on the bus. The function number is 0.
     *
     * @return the number, from 0 to 31
     */
    int device();

    /**
     * Tells whether the guest wants message interrupts (MSI-X) instead of the {@linkplain #pin pin}.
     *
     * @return true from the moment when the driver enables MSI-X to that when it disables it
     */
    boolean vectorsEnabled();

    /**
     * Sends the message of an MSI-X vector. While the vector is masked, it stays pending and is sent once when the guest unmasks it
     * (6.8.2.9). Does nothing while MSI-X is disabled, for a vector the function has not, and after {@link #close()}. Allocates nothing.
     *
     * @param vector the vector, from 0
     */
    void signal(int vector);

    /**
     * Has an event of the host's send a vector's message without this process, as long as MSI-X is enabled and the vector is not masked. At all other
     * times, and where the bus can't do that (as is the case unless it says otherwise), the event is left for whoever else waits for it, who
     * {@linkplain #signal signals} in its place.
     *
     * @param vector the vector, from 0
     * @param event an eventfd of the same host, attached to no other vector; stays the caller's to close, after the attachment
     * @return ends it
     */
    default MessageInterrupt.Attachment attach(int vector, HostFile event) {
        return () -> {};
    }

    /**
     * Returns the interrupt pin INTA#, for guests without MSI-X. It reaches the guest only while MSI-X is disabled, and the guest has not
     * disabled the pin (6.2.2, command register bit 10).
     *
     * @return the pin, which does nothing after {@link #close()}
     */
    InterruptLine pin();

    /** Takes the function off the bus and gives its interrupts back. Closing twice does nothing. */
    @Override
    void close();
}
