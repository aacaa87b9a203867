package io.github.jkvm.machine.pci;

import io.github.jkvm.Bus;
import io.github.jkvm.Device;
import io.github.jkvm.DeviceState;
import io.github.jkvm.IoHandler;
import io.github.jkvm.PciBar;
import io.github.jkvm.PciBus;
import io.github.jkvm.PciFunction;
import io.github.jkvm.PciIdentity;
import io.github.jkvm.PciSlot;
import io.github.jkvm.machine.boot.GuestRange;
import io.github.jkvm.machine.device.ResetControl;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * A PCI bus with its host bridge. Guests reach configuration space through the ports of configuration mechanism #1 (3.2.2.3.2) and, mapped into
 * memory, by the enhanced configuration access mechanism (PCI Express Base Specification 4.0, 7.2.2).
 *
 * <p>There is bus 0 with the host bridge as device 0 and up to 31 functions that are plugged in, each the only one of its device. Like
 * firmware, it gives their registers places and lets them answer there; the guest may move them. What the guest places on top of memory or
 * of other registers does not answer.
 *
 * <p>The reset control register is at one of the ports, and so belongs to this device. Safe for use by many threads.
 */
public final class PciHost implements Device, PciBus {
    /** First of the eight ports: CONFIG_ADDRESS, then CONFIG_DATA. */
    public static final int PORT = 0xCF8;

    /** How many ports there are. */
    public static final int PORTS = 8;

    private static final int ADDRESS = 0;
    private static final int RESET_CONTROL = ResetControl.PORT - PORT;
    private static final int DATA = 4;

    /** CONFIG_ADDRESS (figure 3-2): enable bit, bus, device, function, register number. */
    private static final int ENABLE = 1 << 31;

    private static final int ADDRESS_WRITABLE = ENABLE | 0xFF_FFFC;
    private static final int REGISTER = 0xFC;
    /** Bus and function number: all zeros for what is there. */
    private static final int NOT_DEVICE = 0xFF_0700;

    private static final int DEVICE_SHIFT = 11;
    private static final int DEVICES = 32;

    /** ECAM: 12 bits of register number, 3 of function, 5 of device. */
    private static final int ECAM_FUNCTION_SHIFT = 12;

    private static final int ECAM_DEVICE_SHIFT = 15;
    private static final int ECAM_REGISTERS = 1 << ECAM_FUNCTION_SHIFT;

    /** The "QEMU PCIe Host bridge" of the PCI ID Repository, which drivers take for nothing but a host bridge. */
    private static final PciIdentity BRIDGE = new PciIdentity(0x1B36, 0x0008, 0x06_0000, 0, 0x1AF4, 0x1100);

    private final PciLayout layout;
    private final ResetControl resetControl;
    private final Object lock = new Object();
    private final @Nullable PluggedFunction[] slots = new PluggedFunction[DEVICES];
    /** How far each window is given out. */
    private final long[] used;

    private @Nullable Bus bus;
    private @Nullable PciPins pins;
    private int address;

    /**
     * Creates the bus.
     *
     * @param layout where it is
     * @param resetControl the reset control register, which is not attached by itself
     */
    public PciHost(PciLayout layout, ResetControl resetControl) {
        this.layout = Objects.requireNonNull(layout, "layout");
        this.resetControl = Objects.requireNonNull(resetControl, "resetControl");
        this.used = new long[layout.windows().size()];
    }

    @Override
    public String name() {
        return "pci";
    }

    @Override
    public void attach(Bus on) {
        on.claimPorts(PORT, PORTS, new Ports(), name());
        on.claimMmio(layout.configuration().address(), layout.configuration().size(), new Ecam(), name());
        synchronized (lock) {
            bus = on;
            pins = new PciPins(on, layout);
        }
        plug(new HostBridge(), ConfigSpace.Pin.NONE);
    }

    @Override
    public PciSlot plug(PciFunction function) {
        return plug(function, ConfigSpace.Pin.INTA);
    }

    private PciSlot plug(PciFunction function, ConfigSpace.Pin pin) {
        synchronized (lock) {
            if (bus == null || pins == null) {
                throw new IllegalStateException(
                        function.name() + " is plugged into a PCI bus that is not attached; attach it first");
            }
            int device = 0;
            while (device < DEVICES && slots[device] != null) {
                device++;
            }
            if (device == DEVICES) {
                throw new IllegalStateException(
                        function.name() + " finds no slot: the PCI bus takes " + (DEVICES - 1) + " functions");
            }
            long[] usedBefore = used.clone();
            try {
                var plugged = new PluggedFunction(this, device, function, pin, bus, pins, this::findPlace);
                slots[device] = plugged;
                return plugged;
            } catch (Throwable failure) {
                System.arraycopy(usedBefore, 0, used, 0, used.length);
                throw failure;
            }
        }
    }

    /** Gives out the next place that is aligned, as registers have to be. */
    private long findPlace(long size) {
        for (int i = 0; i < used.length; i++) {
            GuestRange window = layout.windows().get(i);
            long start = (window.start() + used[i] + size - 1) & -size;
            if (start <= window.end() - size) {
                used[i] = start + size - window.start();
                return start;
            }
        }
        throw new IllegalStateException("no room for " + size + " bytes of PCI registers in " + layout.windows()
                + "; use fewer or smaller devices");
    }

    void unplug(PluggedFunction function) {
        synchronized (lock) {
            if (slots[function.device()] == function) {
                slots[function.device()] = null;
            }
            function.unplug();
        }
    }

    private final class HostBridge implements PciFunction {
        @Override
        public String name() {
            return PciHost.this.name();
        }

        @Override
        public PciIdentity identity() {
            return BRIDGE;
        }

        @Override
        public List<PciBar> bars() {
            return List.of();
        }

        @Override
        public int vectors() {
            return 0;
        }
    }

    private final class Ports implements IoHandler {
        @Override
        public long read(long offset, int size) {
            if (offset == ADDRESS && size == Integer.BYTES) {
                synchronized (lock) {
                    return address;
                }
            }
            if (offset == RESET_CONTROL && size == 1) {
                return resetControl.read();
            }
            if (offset >= DATA) {
                synchronized (lock) {
                    PluggedFunction function = addressed();
                    if (function != null) {
                        return function.read((address & REGISTER) + (int) offset - DATA, size);
                    }
                }
            }
            return OPEN_BUS;
        }

        @Override
        public void write(long offset, int size, long value) {
            if (offset == ADDRESS && size == Integer.BYTES) {
                synchronized (lock) {
                    address = (int) value & ADDRESS_WRITABLE;
                }
            } else if (offset == RESET_CONTROL && size == 1) {
                resetControl.write((int) value);
            } else if (offset >= DATA) {
                synchronized (lock) {
                    PluggedFunction function = addressed();
                    if (function != null) {
                        function.write((address & REGISTER) + (int) offset - DATA, size, value);
                    }
                }
            }
        }

        private @Nullable PluggedFunction addressed() {
            return (address & ENABLE) == 0 || (address & NOT_DEVICE) != 0
                    ? null
                    : slots[address >>> DEVICE_SHIFT & DEVICES - 1];
        }
    }

    /** Configuration space in memory. Beyond the first 256 bytes of a function there are no extended capabilities: zeros. */
    private final class Ecam implements IoHandler {
        @Override
        public long read(long offset, int size) {
            int register = (int) offset & ECAM_REGISTERS - 1;
            synchronized (lock) {
                PluggedFunction function = at(offset);
                if (function == null || register + size > ECAM_REGISTERS) {
                    return OPEN_BUS;
                }
                return register + size <= ConfigSpace.SIZE ? function.read(register, size) : 0;
            }
        }

        @Override
        public void write(long offset, int size, long value) {
            int register = (int) offset & ECAM_REGISTERS - 1;
            synchronized (lock) {
                PluggedFunction function = at(offset);
                if (function != null && register + size <= ConfigSpace.SIZE) {
                    function.write(register, size, value);
                }
            }
        }

        private @Nullable PluggedFunction at(long offset) {
            boolean firstFunction = (offset >>> ECAM_FUNCTION_SHIFT & 7) == 0;
            return firstFunction ? slots[(int) (offset >>> ECAM_DEVICE_SHIFT) & DEVICES - 1] : null;
        }
    }

    @Override
    public void reset() {
        resetControl.reset();
        synchronized (lock) {
            address = 0;
            for (PluggedFunction function : slots) {
                if (function != null) {
                    function.powerOn();
                }
            }
        }
    }

    @Override
    public void save(DeviceState state) {
        resetControl.save(state);
        synchronized (lock) {
            state.putNumber("address", address);
            state.putNumber("functions", functions());
            for (PluggedFunction function : slots) {
                if (function != null) {
                    function.save(state);
                }
            }
        }
    }

    private long functions() {
        return Arrays.stream(slots).filter(Objects::nonNull).count();
    }

    @Override
    public void restore(DeviceState state) {
        synchronized (lock) {
            int restored = (int) state.number("address", Integer.MIN_VALUE, Integer.MAX_VALUE) & ADDRESS_WRITABLE;
            state.number("functions", functions(), functions());
            List<Runnable> restorers = new ArrayList<>();
            for (PluggedFunction function : slots) {
                if (function != null) {
                    restorers.add(function.restorer(state));
                }
            }
            resetControl.restore(state);
            address = restored;
            restorers.forEach(Runnable::run);
            if (pins != null) {
                pins.driveAnew();
            }
        }
    }

    @Override
    public void close() {
        synchronized (lock) {
            for (PluggedFunction function : slots) {
                if (function != null) {
                    unplug(function);
                }
            }
        }
    }
}
