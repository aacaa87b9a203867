package io.github.jkvm.virtio.console;

/** What a guest takes a port for (virtio 1.2, 5.3.6.2, {@code VIRTIO_CONSOLE_CONSOLE_PORT}). */
public enum PortKind {
    /** A terminal: {@code /dev/hvc0} in a Linux guest. */
    CONSOLE,
    /** A line for programs to talk over: {@code /dev/vport0p1} in a Linux guest. */
    DATA
}
