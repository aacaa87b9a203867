package io.github.jkvm;

import org.jspecify.annotations.Nullable;

/** No hypervisor can be opened on this host. The text says why and what to type. */
public final class HypervisorUnavailableException extends HypervisorException {
    private static final long serialVersionUID = 1L;

    /**
     * Creates an exception.
     *
     * @param message why, and the remedy
     */
    public HypervisorUnavailableException(String message) {
        super(message);
    }

    /**
     * Creates an exception with a cause.
     *
     * @param message why, and the remedy
     * @param cause what led to it, or null
     */
    public HypervisorUnavailableException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
