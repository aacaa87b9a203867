package io.github.jkvm.sandbox;

import org.jspecify.annotations.Nullable;

/**
 * An error that a function of a guest reported, with the guest's message. The sandbox is as ready as before. If the guest passed on an exception of a
 * function of the host, that is the cause.
 */
public class GuestErrorException extends SandboxException {
    private static final long serialVersionUID = 1L;

    /**
     * Creates an exception.
     *
     * @param message the guest's
     * @param cause the exception of the host that led to it, or null
     */
    public GuestErrorException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
