package io.github.jkvm.sandbox;

/** How a {@link Sandbox} is. */
public enum SandboxState {
    /** It takes calls. */
    READY,

    /** It went over a limit, was cancelled, or broke down: it takes no calls until {@link Sandbox#restore()}. */
    POISONED,

    /** It is no more. */
    CLOSED
}
