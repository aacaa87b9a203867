package io.github.jkvm.machine.device;

import io.github.jkvm.Bus;
import io.github.jkvm.Device;
import io.github.jkvm.IoHandler;
import java.util.Objects;
import java.util.function.Consumer;

/**
 * A port by which a guest ends its machine with an exit code, for tests and for commands run in a guest.
 *
 * <p>The place is that of QEMU's {@code isa-debug-exit}. QEMU ends with {@code (value << 1) | 1}; here the exit code is the value written, so
 * that 0 can be told. Has no state.
 */
public final class DebugExit implements Device {
    /** The first port. */
    public static final int PORT = 0x501;

    /** Ports there are, for a write of up to 32 bits. */
    public static final int SIZE = 4;

    private final Consumer<? super GuestRequest> listener;

    /**
     * Creates the device.
     *
     * @param listener gets a {@link GuestRequest.Exit} for each write, on the thread of the vCPU that writes
     */
    public DebugExit(Consumer<? super GuestRequest> listener) {
        this.listener = Objects.requireNonNull(listener, "listener");
    }

    @Override
    public String name() {
        return "debug-exit";
    }

    @Override
    public void attach(Bus bus) {
        bus.claimPorts(PORT, SIZE, new Register(), name());
    }

    private final class Register implements IoHandler {
        @Override
        public long read(long offset, int size) {
            return OPEN_BUS;
        }

        @Override
        public void write(long offset, int size, long value) {
            if (offset == 0) {
                listener.accept(new GuestRequest.Exit(name(), (int) value));
            }
        }
    }

    @Override
    public void close() {}
}
