package io.github.jkvm.virtio.net;

/** Whether a network cable is plugged in, so to say. */
public enum LinkState {
    /** Frames can pass. */
    UP,
    /** No frame passes. */
    DOWN
}
