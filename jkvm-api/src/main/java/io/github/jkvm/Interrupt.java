package io.github.jkvm;

/**
 * An interrupt that happens at a moment, with no level to keep: an edge, or a message (MSI).
 *
 * <p>Made by {@link Vm#interrupt(int)}; with KVM it is an irqfd, so signalling costs one write and never waits for a vCPU. Safe for use by
 * many threads. Signals that the guest has not yet taken may merge into one, as on hardware.
 */
public interface Interrupt extends AutoCloseable {

    /**
     * Returns the number that the interrupt routes turn into a pin or a message.
     *
     * @return the global system interrupt (GSI)
     */
    int gsi();

    /**
     * Interrupts the guest.
     *
     * @throws IllegalStateException if this interrupt or its VM is closed
     */
    void signal();

    /** Detaches the interrupt from the VM. Closing twice does nothing. */
    @Override
    void close();
}
