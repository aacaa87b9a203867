package io.github.jkvm.sandbox;

import org.jspecify.annotations.Nullable;

/** A call that another thread ended, with {@link Sandbox#cancel()}, {@link Sandbox#restore()} or {@link Sandbox#close()}. */
public class CallCancelledException extends SandboxException {
    private static final long serialVersionUID = 1L;

    /**
     * Creates an exception.
     *
     * @param message what happened, and what can be done
     * @param cause what led to it, or null
     */
    public CallCancelledException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
