package io.github.jkvm.sandbox;

import io.github.jkvm.HypervisorException;
import org.jspecify.annotations.Nullable;

/** A call into a sandbox that did not come to a good end. */
public class SandboxException extends HypervisorException {
    private static final long serialVersionUID = 1L;

    /**
     * Creates an exception.
     *
     * @param message what happened, and what can be done
     */
    public SandboxException(String message) {
        super(message);
    }

    /**
     * Creates an exception with a cause.
     *
     * @param message what happened, and what can be done
     * @param cause what led to it, or null
     */
    public SandboxException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
