package io.github.jkvm.kvm;

import io.github.jkvm.HostFile;
import io.github.jkvm.kvm.ffi.OwnedFd;

/** Events that callers bring along. */
final class HostEvents {
    private HostEvents() {}

    /** Returns the descriptor of an event, or throws {@link IllegalArgumentException} if it is of another backend. */
    static OwnedFd descriptor(HostFile event) {
        if (event instanceof OwnedFd fd) {
            return fd;
        }
        throw new IllegalArgumentException("KVM takes eventfds of this host as events, got " + event);
    }
}
