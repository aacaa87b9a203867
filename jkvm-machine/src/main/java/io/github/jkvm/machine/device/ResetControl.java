package io.github.jkvm.machine.device;

import io.github.jkvm.Bus;
import io.github.jkvm.Device;
import io.github.jkvm.DeviceState;
import java.util.Objects;
import java.util.function.Consumer;

/**
 * The reset control register of a PC's chipset (Intel 82371SB data sheet, "RC - Reset Control Register"; the FADT of this project's board
 * names it as its reset register).
 *
 * <p>A change of bit 2 from 0 to 1 resets the machine; bit 1 chooses between a reset of the processor and one of the whole machine, which are
 * the same here.
 *
 * <p>Where there is a PCI bus, the register is among the ports of that bus, which then hands on accesses to it; otherwise it is attached like
 * any device.
 */
public final class ResetControl implements Device {
    /** The port. */
    public static final int PORT = 0xCF9;

    /** What a guest writes there to reset the machine: bits 1 and 2. */
    public static final int RESET_VALUE = 0x06;

    private static final int RESET_BIT = 0x04;
    private static final int KEPT = 0x02;

    private final Consumer<? super GuestRequest> listener;
    private volatile int value;

    /**
     * Creates the device.
     *
     * @param listener gets a {@link GuestRequest.Reset}, on the thread of the vCPU that asks
     */
    public ResetControl(Consumer<? super GuestRequest> listener) {
        this.listener = Objects.requireNonNull(listener, "listener");
    }

    @Override
    public String name() {
        return "reset-control";
    }

    @Override
    public void attach(Bus bus) {
        bus.claimPorts(PORT, 1, new Register(), name());
    }

    /**
     * Reads the register.
     *
     * @return its value, 0 to 255
     */
    public int read() {
        return value;
    }

    /**
     * Writes the register.
     *
     * @param written the value, of which the low 8 bits count
     */
    public void write(int written) {
        // The reset bit does not stay set, so every write of it is a change from 0 to 1.
        value = written & KEPT;
        if ((written & RESET_BIT) != 0) {
            listener.accept(new GuestRequest.Reset(name()));
        }
    }

    private final class Register implements ByteRegisters {
        @Override
        public int readByte(int offset) {
            return ResetControl.this.read();
        }

        @Override
        public void writeByte(int offset, int written) {
            ResetControl.this.write(written);
        }
    }

    @Override
    public void reset() {
        value = 0;
    }

    @Override
    public void save(DeviceState state) {
        state.putNumber("reset-control", value);
    }

    @Override
    public void restore(DeviceState state) {
        long restored = state.number("reset-control", 0, KEPT);
        value = (int) restored & KEPT;
    }

    @Override
    public void close() {}
}
