package io.github.jkvm.machine.device;

import io.github.jkvm.DeviceState;

/**
 * The registers of a 16550A and what is behind them (National Semiconductor, PC16550D data sheet; "DS" below): a machine of states without
 * threads, locks and wires. {@link Serial16550} puts it on a bus and ties it to the host.
 */
final class Uart16550 {
    /** Bytes that wait for room in the FIFO, at most. */
    static final int QUEUE_SIZE = 65_536;

    private static final int FIFO_SIZE = 16;

    private static final int DATA = 0;
    private static final int IER = 1;
    private static final int IIR_FCR = 2;
    private static final int LCR = 3;
    private static final int MCR = 4;
    private static final int LSR = 5;
    private static final int MSR = 6;
    private static final int SCR = 7;

    private static final int IER_RECEIVED = 0x01;
    private static final int IER_TRANSMITTER = 0x02;
    private static final int IER_LINE_STATUS = 0x04;
    private static final int IER_MODEM_STATUS = 0x08;
    private static final int IER_ALL = 0x0F;

    private static final int IIR_NONE = 0x01;
    private static final int IIR_MODEM_STATUS = 0x00;
    private static final int IIR_TRANSMITTER = 0x02;
    private static final int IIR_RECEIVED = 0x04;
    private static final int IIR_LINE_STATUS = 0x06;
    private static final int IIR_TIMEOUT = 0x0C;
    private static final int IIR_FIFOS_ENABLED = 0xC0;

    private static final int FCR_ENABLE = 0x01;
    private static final int FCR_RESET_RECEIVER = 0x02;
    private static final int[] TRIGGER_LEVELS = {1, 4, 8, 14};

    private static final int LCR_DIVISOR_LATCH = 0x80;

    private static final int MCR_OUT2 = 0x08;
    private static final int MCR_LOOP = 0x10;
    private static final int MCR_ALL = 0x1F;

    private static final int LSR_DATA_READY = 0x01;
    private static final int LSR_OVERRUN = 0x02;
    private static final int LSR_TRANSMITTER_EMPTY = 0x60;

    private static final int MSR_RING = 0x40;
    private static final int MSR_TRAILING_RING = 0x04;
    /** A modem that is there: carrier, data set ready, clear to send. */
    private static final int MSR_CONNECTED = 0xB0;

    private final ByteQueue queue = new ByteQueue(QUEUE_SIZE);
    private final ByteQueue fifo = new ByteQueue(FIFO_SIZE);

    private int divisor;
    private int ier;
    private int lcr;
    private int mcr;
    private int msrDelta;
    private int scratch;
    private boolean fifosEnabled;
    private int triggerLevel;
    private boolean overrun;
    private boolean transmitterPending;

    Uart16550() {
        reset();
    }

    boolean isQueueFull() {
        return queue.isFull();
    }

    /** Tells whether the port asks for attention at its pin, as the bus of a PC sees it. */
    boolean interrupts() {
        // In loop mode the OUT2 pin is inactive (DS 8.7), so on a PC no interrupt reaches the bus.
        return (mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2 && interruptCause() != IIR_NONE;
    }

    /** Takes bytes from the line while there is room, and returns how many. */
    int receive(byte[] data, int offset, int length) {
        int taken = queue.add(data, offset, length);
        fillFifo();
        // The FIFO may have made room for more.
        return taken + queue.add(data, offset + taken, length - taken);
    }

    int read(int offset) {
        boolean divisorLatch = (lcr & LCR_DIVISOR_LATCH) != 0;
        return switch (offset) {
            case DATA -> divisorLatch ? divisor & 0xFF : readData();
            case IER -> divisorLatch ? divisor >>> Byte.SIZE : ier;
            case IIR_FCR -> readInterruptIdentification();
            case LCR -> lcr;
            case MCR -> mcr;
            case LSR -> readLineStatus();
            case MSR -> readModemStatus();
            default -> scratch;
        };
    }

    /** Writes a register. Returns whether the byte is to be sent to the host. */
    boolean write(int offset, int value) {
        boolean divisorLatch = (lcr & LCR_DIVISOR_LATCH) != 0;
        switch (offset) {
            case DATA -> {
                if (!divisorLatch) {
                    return writeData(value);
                }
                divisor = (divisor & 0xFF00) | value;
            }
            case IER -> {
                if (divisorLatch) {
                    divisor = (divisor & 0xFF) | (value << Byte.SIZE);
                } else {
                    writeInterruptEnable(value & IER_ALL);
                }
            }
            case IIR_FCR -> writeFifoControl(value);
            case LCR -> lcr = value;
            case MCR -> writeModemControl(value & MCR_ALL);
            case SCR -> scratch = value;
            default -> {
                // Line and modem status are only read (DS table II).
            }
        }
        return false;
    }

    private int readData() {
        if (fifo.isEmpty()) {
            return 0;
        }
        int value = fifo.remove();
        fillFifo();
        return value;
    }

    private boolean writeData(int value) {
        // The byte is gone at once: the interrupt for the empty transmitter is pending again (DS table IV).
        transmitterPending = true;
        if ((mcr & MCR_LOOP) == 0) {
            return true;
        }
        if (fifo.size() >= capacity()) {
            overrun = true;
            if (fifosEnabled) {
                // What is in the FIFO stays, the new character is lost (DS 8.3, bit 1).
                return false;
            }
            fifo.clear();
        }
        fifo.add(value);
        return false;
    }

    private void writeInterruptEnable(int value) {
        // Enabling the transmitter's interrupt with an empty transmitter asks for attention at once; what else is
        // pending shows through
        // interrupts(). Linux tests for both (drivers/tty/serial/8250/8250_port.c, serial8250_do_startup).
        if ((value & ~ier & IER_TRANSMITTER) != 0) {
            transmitterPending = true;
        }
        ier = value;
    }

    private int readInterruptIdentification() {
        int cause = interruptCause();
        if (cause == IIR_TRANSMITTER) {
            // Reading the IIR takes this cause back if it is the one shown (DS table IV).
            transmitterPending = false;
        }
        return cause | (fifosEnabled ? IIR_FIFOS_ENABLED : 0);
    }

    /** The highest of the pending and enabled causes (DS table IV). */
    private int interruptCause() {
        if ((ier & IER_LINE_STATUS) != 0 && overrun) {
            return IIR_LINE_STATUS;
        }
        if ((ier & IER_RECEIVED) != 0 && fifo.size() >= (fifosEnabled ? triggerLevel : 1)) {
            return IIR_RECEIVED;
        }
        if ((ier & IER_RECEIVED) != 0 && !fifo.isEmpty()) {
            return IIR_TIMEOUT;
        }
        if ((ier & IER_TRANSMITTER) != 0 && transmitterPending) {
            return IIR_TRANSMITTER;
        }
        if ((ier & IER_MODEM_STATUS) != 0 && msrDelta != 0) {
            return IIR_MODEM_STATUS;
        }
        return IIR_NONE;
    }

    private void writeFifoControl(int value) {
        boolean enable = (value & FCR_ENABLE) != 0;
        // A change of mode empties the FIFOs, and the other bits count only together with bit 0 (DS 8.4).
        if (enable != fifosEnabled || (enable && (value & FCR_RESET_RECEIVER) != 0)) {
            fifo.clear();
        }
        fifosEnabled = enable;
        if (enable) {
            triggerLevel = TRIGGER_LEVELS[value >>> 6];
        }
        fillFifo();
    }

    private void writeModemControl(int value) {
        int before = modemLines();
        mcr = value;
        int after = modemLines();
        // Delta bits: a change of CTS, DSR or DCD; for RI its end only (DS 8.8).
        msrDelta |= ((before ^ after) >>> 4) & ~MSR_TRAILING_RING;
        if ((before & ~after & MSR_RING) != 0) {
            msrDelta |= MSR_TRAILING_RING;
        }
        fillFifo();
    }

    private int readLineStatus() {
        int value = LSR_TRANSMITTER_EMPTY | (fifo.isEmpty() ? 0 : LSR_DATA_READY) | (overrun ? LSR_OVERRUN : 0);
        overrun = false;
        return value;
    }

    private int readModemStatus() {
        int value = modemLines() | msrDelta;
        msrDelta = 0;
        return value;
    }

    /** The upper half of the modem status: in loop mode DTR comes back as DSR, RTS as CTS, OUT1 as RI and OUT2 as DCD (DS 8.7). */
    private int modemLines() {
        if ((mcr & MCR_LOOP) == 0) {
            return MSR_CONNECTED;
        }
        int dsr = (mcr & 0x01) << 5;
        int cts = (mcr & 0x02) << 3;
        int ringAndCarrier = (mcr & 0x0C) << 4;
        return dsr | cts | ringAndCarrier;
    }

    private int capacity() {
        return fifosEnabled ? FIFO_SIZE : 1;
    }

    private void fillFifo() {
        // In loop mode the receiver is cut off from the line (DS 8.7): the host's bytes wait.
        if ((mcr & MCR_LOOP) != 0) {
            return;
        }
        while (fifo.size() < capacity() && !queue.isEmpty()) {
            fifo.add(queue.remove());
        }
    }

    /** Returns to the state after power-on. What waits in the queue stays: it is on the line. */
    void reset() {
        // After a master reset (DS table I), but for the registers it leaves undefined, which are 0 here.
        divisor = 0;
        ier = 0;
        lcr = 0;
        mcr = 0;
        msrDelta = 0;
        scratch = 0;
        fifosEnabled = false;
        triggerLevel = TRIGGER_LEVELS[0];
        overrun = false;
        transmitterPending = false;
        fifo.clear();
        fillFifo();
    }

    void save(DeviceState state) {
        state.putNumber("divisor", divisor);
        state.putNumber("ier", ier);
        state.putNumber("lcr", lcr);
        state.putNumber("mcr", mcr);
        state.putNumber("msrDelta", msrDelta);
        state.putNumber("scratch", scratch);
        state.putNumber("fifosEnabled", fifosEnabled ? 1 : 0);
        state.putNumber("triggerLevel", triggerLevel);
        state.putNumber("overrun", overrun ? 1 : 0);
        state.putNumber("transmitterPending", transmitterPending ? 1 : 0);
        state.putBytes("fifo", fifo.toArray());
        state.putBytes("queue", queue.toArray());
    }

    void restore(DeviceState state) {
        int newDivisor = (int) state.number("divisor", 0, 0xFFFF);
        int newIer = (int) state.number("ier", 0, IER_ALL);
        int newLcr = (int) state.number("lcr", 0, 0xFF);
        int newMcr = (int) state.number("mcr", 0, MCR_ALL);
        int newMsrDelta = (int) state.number("msrDelta", 0, 0x0F);
        int newScratch = (int) state.number("scratch", 0, 0xFF);
        boolean newFifosEnabled = state.number("fifosEnabled", 0, 1) == 1;
        int newTriggerLevel = (int) state.number("triggerLevel", 1, 14);
        boolean newOverrun = state.number("overrun", 0, 1) == 1;
        boolean newTransmitterPending = state.number("transmitterPending", 0, 1) == 1;
        byte[] newFifo = state.bytes("fifo", newFifosEnabled ? FIFO_SIZE : 1);
        byte[] newQueue = state.bytes("queue", QUEUE_SIZE);
        divisor = newDivisor;
        ier = newIer;
        lcr = newLcr;
        mcr = newMcr;
        msrDelta = newMsrDelta;
        scratch = newScratch;
        fifosEnabled = newFifosEnabled;
        triggerLevel = newTriggerLevel;
        overrun = newOverrun;
        transmitterPending = newTransmitterPending;
        fifo.clear();
        fifo.add(newFifo, 0, newFifo.length);
        queue.clear();
        queue.add(newQueue, 0, newQueue.length);
    }
}
