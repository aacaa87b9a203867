package io.github.jkvm.machine;

import io.github.jkvm.machine.device.Serial16550;
import java.io.InputStream;
import java.io.OutputStream;

/**
 * The serial console of a {@link Machine}, seen from the host.
 *
 * <p>What the guest prints is kept until it is read, {@value #CAPACITY} bytes at most: then the oldest is dropped and counted, so that a guest
 * no one listens to goes on and a guest that floods costs no memory. It can be read after the machine has ended too. Give
 * {@link MachineBuilder#consoleOutput} a stream to have it elsewhere.
 *
 * <p>Safe for use by many threads.
 */
public final class Console {
    /** Bytes of output that are kept, at most. */
    public static final int CAPACITY = 1 << 20;

    private final Serial16550 serial;
    private final ConsoleBuffer buffer;

    Console(Serial16550 serial, ConsoleBuffer buffer) {
        this.serial = serial;
        this.buffer = buffer;
    }

    /**
     * Returns a stream to the guest. A write waits while the port's queue is full, and throws {@link java.io.IOException} once the machine
     * is closed.
     *
     * @return the stream; closing it does nothing
     */
    public OutputStream input() {
        return serial.input();
    }

    /**
     * Returns a stream of what the guest prints. A read waits for output, and gives the end once the machine has ended and all is read. With
     * {@link MachineBuilder#consoleOutput}, there is nothing to read here.
     *
     * @return the stream, the same output for all who ask; closing it does nothing
     */
    public InputStream output() {
        return buffer.reader();
    }

    /**
     * Returns how many bytes of output were dropped since no one read them, or since the stream given to the builder refused them.
     *
     * @return the count
     */
    public long droppedBytes() {
        return buffer.dropped() + serial.lostOutputBytes();
    }
}
