package io.github.jkvm.kvm;

import io.github.jkvm.HypervisorException;

/**
 * The kernel wrote more pages into a ring of dirty pages than fit it, so that some are lost: every page of the regions that are tracked has to be
 * taken for written. The ring can be used further.
 *
 * <p>Linux stops a vCPU before its ring is full. A KVM that runs guest code through its instruction emulator (such as PVM) may not notice in time.
 */
public final class DirtyRingOverrunException extends HypervisorException {
    private static final long serialVersionUID = 1L;

    /**
     * Creates an exception.
     *
     * @param message which ring, and what can be done
     */
    public DirtyRingOverrunException(String message) {
        super(message);
    }
}
