package io.github.jkvm.machine.device;

import io.github.jkvm.Bus;
import io.github.jkvm.Device;
import io.github.jkvm.DeviceState;
import io.github.jkvm.InterruptLine;
import java.io.IOException;
import java.io.OutputStream;
import java.lang.System.Logger.Level;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * A serial port as a PC has it: a 16550A with its 16-byte receiver FIFO (National Semiconductor, PC16550D data sheet; "DS" below).
 *
 * <p>The line to the host is infinitely fast, so the transmitter is always empty and the baud rate changes nothing.
 *
 * <p><b>To the host:</b> each byte is written to the output stream and flushed, on the thread of the vCPU that sends it. A stream that
 * blocks holds that vCPU back, so a guest that floods the port costs no memory; a stream that throws loses the byte, which
 * {@link #lostOutputBytes()} counts.
 *
 * <p><b>To the guest:</b> bytes wait in a queue of {@value #QUEUE_SIZE} bytes and move to the FIFO when it has room, so the guest never
 * overruns. {@link #receive} tells how many it took, {@link #input()} waits. Bytes in the FIFO are lost when the guest resets it, as guests
 * do when they open the port: wait for a prompt before sending.
 *
 * <p><b>Interrupts:</b> the line follows the state of the port, and reaches the bus only while the guest sets OUT2, as it is wired on a PC.
 * A byte below the trigger level asks for attention at once ("character timeout", DS 8.10): no more is on its way then.
 *
 * <p>Safe for use by many threads.
 */
public final class Serial16550 implements Device {
    /** Bytes that wait for room in the FIFO, at most. */
    public static final int QUEUE_SIZE = Uart16550.QUEUE_SIZE;

    private static final System.Logger LOG = System.getLogger(Serial16550.class.getName());
    private static final int REGISTERS = 8;

    /** Where the serial ports of a PC are. */
    public enum Port {
        /** Ports 0x3f8 to 0x3ff, interrupt 4. */
        COM1(0x3F8, 4),
        /** Ports 0x2f8 to 0x2ff, interrupt 3. */
        COM2(0x2F8, 3),
        /** Ports 0x3e8 to 0x3ef, interrupt 4: of no use together with {@link #COM1}, since ISA interrupts can't be shared. */
        COM3(0x3E8, 4),
        /** Ports 0x2e8 to 0x2ef, interrupt 3: of no use together with {@link #COM2}. */
        COM4(0x2E8, 3);

        private final int base;
        private final int gsi;

        Port(int base, int gsi) {
            this.base = base;
            this.gsi = gsi;
        }

        /**
         * Returns where its registers begin.
         *
         * @return the first of 8 ports
         */
        public int base() {
            return base;
        }

        /**
         * Returns its interrupt.
         *
         * @return the global system interrupt
         */
        public int gsi() {
            return gsi;
        }
    }

    private final Port port;
    private final OutputStream output;
    private final Object lock = new Object();
    private final Uart16550 uart = new Uart16550();
    private @Nullable InterruptLine line;
    private boolean asserted;
    private boolean closed;
    private long lostOutputBytes;

    /**
     * Creates a port.
     *
     * @param port where it is
     * @param output where the guest's bytes go; stays the caller's to close
     */
    public Serial16550(Port port, OutputStream output) {
        this.port = Objects.requireNonNull(port, "port");
        this.output = Objects.requireNonNull(output, "output");
    }

    @Override
    public String name() {
        return "serial" + port.ordinal();
    }

    /**
     * Returns where the port is.
     *
     * @return the place
     */
    public Port port() {
        return port;
    }

    @Override
    public void attach(Bus bus) {
        bus.claimPorts(port.base(), REGISTERS, new Registers(), name());
        line = bus.interruptLine(port.gsi());
    }

    /**
     * Offers bytes to the guest without waiting.
     *
     * @param data where they are
     * @param offset the first
     * @param length how many
     * @return how many were taken: fewer than {@code length} if the queue is full, 0 once the port is closed
     * @throws IndexOutOfBoundsException if the range is not inside {@code data}
     */
    public int receive(byte[] data, int offset, int length) {
        Objects.checkFromIndexSize(offset, length, data.length);
        synchronized (lock) {
            if (closed) {
                return 0;
            }
            int taken = uart.receive(data, offset, length);
            updateLine();
            return taken;
        }
    }

    /** Waits until the queue has room, then does as {@link #receive} does. */
    int receiveSome(byte[] data, int offset, int length) throws IOException, InterruptedException {
        synchronized (lock) {
            while (!closed && uart.isQueueFull()) {
                lock.wait();
            }
            if (closed) {
                throw new IOException(name() + " is closed: its machine has ended");
            }
            return receive(data, offset, length);
        }
    }

    /**
     * Returns a stream to the guest. A write waits while the queue is full, and throws {@link IOException} once the port is closed.
     *
     * @return the stream; closing it does nothing
     */
    public OutputStream input() {
        return new SerialInput(this);
    }

    /**
     * Returns how many of the guest's bytes the output stream refused.
     *
     * @return the count
     */
    public long lostOutputBytes() {
        synchronized (lock) {
            return lostOutputBytes;
        }
    }

    /** What the guest's port accesses reach. */
    private final class Registers implements ByteRegisters {
        @Override
        public int readByte(int offset) {
            synchronized (lock) {
                boolean wasFull = uart.isQueueFull();
                int value = uart.read(offset);
                changed(wasFull);
                return value;
            }
        }

        @Override
        public void writeByte(int offset, int value) {
            boolean send;
            synchronized (lock) {
                boolean wasFull = uart.isQueueFull();
                send = uart.write(offset, value);
                changed(wasFull);
            }
            if (send) {
                // Outside the lock: a stream that blocks must hold back this vCPU alone.
                send(value);
            }
        }
    }

    private void changed(boolean queueWasFull) {
        if (queueWasFull && !uart.isQueueFull()) {
            lock.notifyAll();
        }
        updateLine();
    }

    private void updateLine() {
        boolean level = uart.interrupts();
        InterruptLine now = line;
        if (now == null || closed || level == asserted) {
            return;
        }
        asserted = level;
        if (level) {
            now.raise();
        } else {
            now.lower();
        }
    }

    private void send(int value) {
        try {
            output.write(value);
            output.flush();
        } catch (IOException | RuntimeException e) {
            boolean first;
            synchronized (lock) {
                first = lostOutputBytes++ == 0;
            }
            if (first) {
                LOG.log(Level.WARNING, "the output of " + name() + " fails; what the guest sends may be lost", e);
            }
        }
    }

    @Override
    public void reset() {
        synchronized (lock) {
            boolean wasFull = uart.isQueueFull();
            uart.reset();
            changed(wasFull);
        }
    }

    @Override
    public void save(DeviceState state) {
        synchronized (lock) {
            uart.save(state);
        }
    }

    @Override
    public void restore(DeviceState state) {
        synchronized (lock) {
            boolean wasFull = uart.isQueueFull();
            uart.restore(state);
            changed(wasFull);
        }
    }

    /** Ends the port: writes to {@link #input()} that wait fail. */
    @Override
    public void close() {
        synchronized (lock) {
            closed = true;
            lock.notifyAll();
        }
    }
}
