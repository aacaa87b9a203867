package io.github.jkvm.virtio.queue;

/** What came of looking for a descriptor chain. */
public enum PopResult {
    /** There was one, and all of it is checked. */
    CHAIN,
    /** The driver has made nothing available that was not popped before. */
    EMPTY,
    /** The queue is not in use: never activated, reset, or stopped by a {@linkplain VirtQueue#fault() fault}. */
    STOPPED
}
