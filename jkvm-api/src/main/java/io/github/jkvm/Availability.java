package io.github.jkvm;

import java.util.Objects;

/**
 * Whether a hypervisor can be used on this host and, if not, why.
 *
 * @param available true if {@link Hypervisor#open()} is expected to succeed
 * @param reason one or two sentences for a person: what was found, and when not available what to type to mend it
 */
public record Availability(boolean available, String reason) {

    /**
     * Checks the parts.
     *
     * @throws NullPointerException if {@code reason} is null
     */
    public Availability {
        Objects.requireNonNull(reason, "reason");
    }

    /**
     * Returns an answer that says yes.
     *
     * @param reason what was found, such as {@code KVM API 12 on /dev/kvm}
     * @return the answer
     */
    public static Availability yes(String reason) {
        return new Availability(true, reason);
    }

    /**
     * Returns an answer that says no.
     *
     * @param reason what is missing and how to mend it
     * @return the answer
     */
    public static Availability no(String reason) {
        return new Availability(false, reason);
    }
}
