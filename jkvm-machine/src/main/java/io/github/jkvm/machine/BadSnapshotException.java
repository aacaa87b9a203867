package io.github.jkvm.machine;

import io.github.jkvm.HypervisorException;

/** A snapshot that is damaged, incomplete, or written by a version that this one does not understand. The text names the part. */
public final class BadSnapshotException extends HypervisorException {
    private static final long serialVersionUID = 1L;

    /**
     * Creates an exception.
     *
     * @param message what is wrong, with the name of the part
     */
    public BadSnapshotException(String message) {
        super(message);
    }
}
