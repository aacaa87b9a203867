package io.github.jkvm.kvm;

import io.github.jkvm.Capability;
import io.github.jkvm.UnsupportedCapabilityException;
import io.github.jkvm.kvm.ffi.OwnedFd;

/** What a host must have for an operation, asked before it is tried, so that a lack is told by its name. */
final class Requirement {
    private Requirement() {}

    /**
     * Refuses an operation that the host can't serve.
     *
     * @param kvm the descriptor of {@code /dev/kvm} or of a VM, whose answers may differ
     * @param capability what it needs
     * @param operation the operation, and after a semicolon what can be done without
     * @throws UnsupportedCapabilityException if there is none
     */
    static void require(OwnedFd kvm, Capability capability, String operation) {
        if (!HostCapabilities.has(kvm, capability)) {
            throw new UnsupportedCapabilityException(
                    capability, "this host's KVM lacks " + capability + ", needed for " + operation);
        }
    }
}
