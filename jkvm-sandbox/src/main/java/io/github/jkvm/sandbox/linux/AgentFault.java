package io.github.jkvm.sandbox.linux;

import org.jspecify.annotations.Nullable;

/** An agent that is gone, or says what no agent says. {@link Call} makes of it what callers of a sandbox get. */
final class AgentFault extends RuntimeException {
    private static final long serialVersionUID = 1L;

    AgentFault(String message, @Nullable Throwable cause) {
        super(message, cause);
    }

    AgentFault(String message) {
        this(message, null);
    }
}
