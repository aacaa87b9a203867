package io.github.jkvm;

/** An operation needs something that this host's hypervisor does not have. */
public final class UnsupportedCapabilityException extends HypervisorException {
    private static final long serialVersionUID = 1L;

    /** What is missing. */
    private final Capability capability;

    /**
     * Creates an exception.
     *
     * @param capability what is missing
     * @param message what needed it and what can be done
     */
    public UnsupportedCapabilityException(Capability capability, String message) {
        super(message);
        this.capability = capability;
    }

    /**
     * Returns what is missing.
     *
     * @return the capability
     */
    public Capability capability() {
        return capability;
    }
}
