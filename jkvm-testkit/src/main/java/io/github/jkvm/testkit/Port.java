package io.github.jkvm.testkit;

/** Where a {@link MicroGuest} can print, a byte a write. */
public enum Port {
    /** Port 0xe9, the debug console of Bochs and QEMU: nothing to set up, and reads as 0xe9. */
    DEBUG("debug port"),
    /** Port 0x3f8, the data register of the first serial port, which is always ready to send. */
    SERIAL("serial port");

    private final String title;

    Port(String title) {
        this.title = title;
    }

    /** Returns the name for messages. */
    String title() {
        return title;
    }
}
