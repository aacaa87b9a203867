package io.github.jkvm.sandbox;

import org.jspecify.annotations.Nullable;

/** The process of a sandbox could not be started, has ended, or does not talk sense; see {@link Isolation#PROCESS}. The sandbox is poisoned. */
public class SandboxProcessException extends SandboxException {
    private static final long serialVersionUID = 1L;

    /**
     * Creates an exception.
     *
     * @param message what happened, and what can be done
     * @param cause what led to it, or null
     */
    public SandboxProcessException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
