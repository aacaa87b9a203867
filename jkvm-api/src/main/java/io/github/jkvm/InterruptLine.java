package io.github.jkvm;

/**
 * One level-triggered input of the guest's interrupt controller, as a wire: it stays asserted until it is lowered.
 *
 * <p>Safe for use by many threads; two devices may not share one line object without agreeing on its level.
 */
public interface InterruptLine {

    /**
     * Returns the number of the line.
     *
     * @return the global system interrupt (GSI)
     */
    int gsi();

    /**
     * Asserts the line. Doing so again changes nothing.
     *
     * @throws IllegalStateException if the VM is closed
     */
    void raise();

    /**
     * Stops asserting the line. Doing so again changes nothing.
     *
     * @throws IllegalStateException if the VM is closed
     */
    void lower();

    /**
     * Asserts and releases the line: one interrupt if the guest takes it as edge-triggered.
     *
     * @throws IllegalStateException if the VM is closed
     */
    default void pulse() {
        raise();
        lower();
    }
}
