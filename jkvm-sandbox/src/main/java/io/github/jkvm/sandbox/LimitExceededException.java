package io.github.jkvm.sandbox;

/** A call that went over one of its {@link Limits}. The sandbox is poisoned. */
public class LimitExceededException extends SandboxException {
    private static final long serialVersionUID = 1L;

    /** Which limit the call went over. */
    private final Limit limit;

    /**
     * Creates an exception.
     *
     * @param limit which one
     * @param message what happened, and what can be done
     */
    public LimitExceededException(Limit limit, String message) {
        super(message);
        this.limit = limit;
    }

    /**
     * Returns which limit the call went over.
     *
     * @return the limit
     */
    public Limit limit() {
        return limit;
    }
}
