package io.github.jkvm.sandbox.linux;

/** What guests of sandboxes begin as: booted, and with an agent that listens. Shared by copies of a sandbox, of which each closes it once. */
interface CleanState extends AutoCloseable {
    /**
     * Starts a guest.
     *
     * @throws io.github.jkvm.HypervisorException if the host refuses something
     */
    LinuxGuest start();

    /**
     * Lets another sandbox begin as this one.
     *
     * @return what it begins as, to be closed like this
     * @throws IllegalStateException if all have closed it
     */
    CleanState share();

    /** Gives back what the state takes, once all that share it have called this. */
    @Override
    void close();
}
