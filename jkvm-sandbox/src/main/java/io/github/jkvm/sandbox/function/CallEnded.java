package io.github.jkvm.sandbox.function;

/** Leads out of a call that is over, past functions of the host, to where its caller is told. */
final class CallEnded extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** What the caller is told. */
    private final RuntimeException outcome;

    CallEnded(RuntimeException outcome) {
        super(outcome.getMessage(), outcome, false, false);
        this.outcome = outcome;
    }

    RuntimeException outcome() {
        return outcome;
    }
}
