package io.github.jkvm.virtio.block;

import java.io.IOException;

/** The tables of an image contradict themselves; the image is marked as corrupt if it is open for writing. */
final class Qcow2CorruptionException extends IOException {
    private static final long serialVersionUID = 1L;

    Qcow2CorruptionException(String message) {
        super(message);
    }
}
