package io.github.jkvm.virtio.console;

import org.jspecify.annotations.Nullable;

/** What a control message is about (virtio 1.2, 5.3.6.2). Declared in the order in which a driver is told, which is not that of the numbers. */
enum ControlEvent {
    /** The port is gone. First, since another one may be in its place. */
    PORT_REMOVE(2),
    /** There is a port. */
    PORT_ADD(1),
    /** The port is a console. Before all else of a port: a driver that has made it something else does not go back. */
    CONSOLE_PORT(4),
    /** The port's name. */
    PORT_NAME(7),
    /** Whether the other side has the port open. */
    PORT_OPEN(6),
    /** How large the console is. */
    RESIZE(5),
    /** The driver is ready, or has failed. Sent by the driver only. */
    DEVICE_READY(0),
    /** The driver has taken a port, or has failed to. Sent by the driver only. */
    PORT_READY(3);

    /** The messages that the device sends. */
    static final int SENT_BITS = (1 << DEVICE_READY.ordinal()) - 1;

    private static final ControlEvent[] ALL = values();

    private final int number;

    ControlEvent(int number) {
        this.number = number;
    }

    int number() {
        return number;
    }

    int bit() {
        return 1 << ordinal();
    }

    static @Nullable ControlEvent of(int number) {
        for (ControlEvent event : ALL) {
            if (event.number == number) {
                return event;
            }
        }
        return null;
    }
}
