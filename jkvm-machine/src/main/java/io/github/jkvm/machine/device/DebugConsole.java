package io.github.jkvm.machine.device;

import io.github.jkvm.Bus;
import io.github.jkvm.Device;
import java.io.IOException;
import java.io.OutputStream;
import java.lang.System.Logger.Level;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * A port that takes text, one byte a write, with nothing to set up: the debug console of Bochs and QEMU, from which the port reads as 0xe9 to
 * show that it is there.
 *
 * <p>Each byte is written to the output stream and flushed on the vCPU's thread, so a stream that blocks holds the guest back; one that throws
 * loses the byte. Has no state.
 */
public final class DebugConsole implements Device {
    /** The port, and what it reads as. */
    public static final int PORT = 0xE9;

    private static final System.Logger LOG = System.getLogger(DebugConsole.class.getName());

    private final OutputStream output;
    private final AtomicBoolean failed = new AtomicBoolean();

    /**
     * Creates the device.
     *
     * @param output where the guest's bytes go; stays the caller's to close
     */
    public DebugConsole(OutputStream output) {
        this.output = Objects.requireNonNull(output, "output");
    }

    @Override
    public String name() {
        return "debug-console";
    }

    @Override
    public void attach(Bus bus) {
        bus.claimPorts(PORT, 1, new Register(), name());
    }

    private final class Register implements ByteRegisters {
        @Override
        public int readByte(int offset) {
            return PORT;
        }

        @Override
        public void writeByte(int offset, int value) {
            try {
                output.write(value);
                output.flush();
            } catch (IOException | RuntimeException e) {
                if (failed.compareAndSet(false, true)) {
                    LOG.log(
                            Level.WARNING,
                            "the output of the debug console fails; what the guest sends may be lost",
                            e);
                }
            }
        }
    }

    @Override
    public void close() {}
}
