package io.github.jkvm.sandbox;

/**
 * A virtual machine for code that nobody trusts.
 *
 * <p>All of its methods may be called from any thread. {@link #cancel()} and {@link #close()} end the calls that run, and don't wait for the guest's consent.
 */
public interface Sandbox extends AutoCloseable {
    /**
     * Returns how the sandbox is now.
     *
     * @return the state; calls that run do not show in it
     */
    SandboxState state();

    /**
     * Brings the sandbox back to its clean state: the one that it was built in. All that guests did since then is gone, and a poisoned sandbox takes calls
     * again. Calls that still run are cancelled first.
     *
     * @throws IllegalStateException if the sandbox is closed
     * @throws io.github.jkvm.HypervisorException if the host refuses something; the sandbox is poisoned then
     */
    void restore();

    /**
     * Ends all calls that run now: each throws a {@link CallCancelledException}, and the sandbox is poisoned. Does nothing if no call runs.
     */
    void cancel();

    /** Ends all calls that run and gives back all that the sandbox has of the host. Closing twice does nothing. */
    @Override
    void close();
}
