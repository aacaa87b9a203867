package io.github.jkvm.spi;

import io.github.jkvm.Availability;
import io.github.jkvm.Hypervisor;

/**
 * A backend, registered as a {@link java.util.ServiceLoader} service.
 *
 * <p>A provider must be cheap to construct and must not fail in its constructor: what is wrong with the host is told by
 * {@link #availability()}.
 */
public interface HypervisorProvider {

    /**
     * Returns the short name of the backend, for messages and for choosing one by name.
     *
     * @return a lower-case name such as {@code kvm}
     */
    String name();

    /**
     * Tells whether this backend works here and now, without keeping anything open.
     *
     * @return available, or why not and what the user can do about it
     */
    Availability availability();

    /**
     * Opens the backend.
     *
     * @return an open hypervisor, to be closed by the caller
     * @throws io.github.jkvm.HypervisorUnavailableException if it can't work here, with the text of {@link #availability()}
     */
    Hypervisor open();
}
