package io.github.jkvm.sandbox;

import org.jspecify.annotations.Nullable;

/** A guest that broke down, or broke the rules of how it talks to the host. The sandbox is poisoned. */
public class GuestCrashedException extends SandboxException {
    private static final long serialVersionUID = 1L;

    /**
     * Creates an exception.
     *
     * @param message what happened, and what can be done
     * @param cause what led to it, or null
     */
    public GuestCrashedException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
