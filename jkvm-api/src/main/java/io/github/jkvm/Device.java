package io.github.jkvm;

/**
 * Something a guest can talk to: a serial port, a disk, a clock.
 *
 * <p>A device is made by the program, attached once to a {@link Bus}, on which it claims addresses, interrupts and doorbells, and closed by the
 * board that it was attached to. It knows nothing else of the machine, so one device works on every board and in a
 * unit test without a hypervisor.
 */
public interface Device extends AutoCloseable {

    /**
     * Returns a name for messages and for saved state, the same each time the same machine is built, such as {@code serial0}.
     *
     * @return the name, not empty
     */
    String name();

    /**
     * Claims what the device needs. Called once, before the guest runs.
     *
     * @param bus where it is attached
     * @throws IllegalArgumentException if what it claims is taken; the text names who has it
     */
    void attach(Bus bus);

    /** Returns to the state of power-on, as the guest sees it. Called when the machine is reset, with no vCPU running. */
    default void reset() {}

    /**
     * Brings the work under way to an end and writes down all that the guest can see of the device, which then leaves the guest's memory and
     * interrupts alone until {@link #resume()}. Called with no vCPU running, and on the thread of {@link Bus#eventLoop()}, on which nothing else
     * runs before {@link #resume()} either; where the bus has no loop, or nothing came to it yet, on any thread.
     *
     * @param state where to put it
     * @throws IllegalStateException if the device can't be saved now; the text says why and what to do
     */
    default void save(DeviceState state) {}

    /** Goes on after {@link #save}, whether that succeeded or not. */
    default void resume() {}

    /**
     * Takes over a state written by {@link #save}. Called after {@link #attach}, with no vCPU running. Treats it as untrusted.
     *
     * @param state the state
     * @throws IllegalArgumentException if something is missing or out of range; the device is then as it was
     */
    default void restore(DeviceState state) {}

    /** Stops the device and gives back what it holds. Closing twice does nothing. */
    @Override
    void close();
}
