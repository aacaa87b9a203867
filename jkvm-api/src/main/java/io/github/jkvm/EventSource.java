package io.github.jkvm;

/**
 * Something of the host that a loop can wait for, such as a network interface or a socket. Made by a backend or by a device's own
 * resources of the same host; see {@link EventLoop#onReady}.
 */
public interface EventSource {
    /** There is something to read. */
    int READABLE = 0x1;

    /** There is room to write. */
    int WRITABLE = 0x4;

    /** It has failed. */
    int ERROR = 0x8;

    /** The other side is gone. */
    int HANG_UP = 0x10;
}
