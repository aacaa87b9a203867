package io.github.jkvm;

import org.jspecify.annotations.Nullable;

/**
 * Something the hypervisor or the host refused, or that failed below this library.
 *
 * <p>The root of the library's own exceptions; all are unchecked. The text names the operation, its arguments, what the
 * system answered, and what can be done about it. Mistakes of the calling program are the JDK's own
 * {@link IllegalArgumentException}, {@link IllegalStateException} and {@link IndexOutOfBoundsException}.
 */
public class HypervisorException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /**
     * Creates an exception.
     *
     * @param message what failed, with the values at hand and the remedy
     */
    public HypervisorException(String message) {
        super(message);
    }

    /**
     * Creates an exception with a cause.
     *
     * @param message what failed, with the values at hand and the remedy
     * @param cause what led to it, or null
     */
    public HypervisorException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
