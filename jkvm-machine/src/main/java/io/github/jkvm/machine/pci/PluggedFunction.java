package io.github.jkvm.machine.pci;

import io.github.jkvm.Bus;
import io.github.jkvm.DeviceState;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.HostFile;
import io.github.jkvm.InterruptLine;
import io.github.jkvm.MessageInterrupt;
import io.github.jkvm.PciBar;
import io.github.jkvm.PciFunction;
import io.github.jkvm.PciSlot;
import java.util.ArrayList;
import java.util.List;
import java.util.function.LongUnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * A function in its slot: configuration space, registers in their places, vectors and pin.
 *
 * <p>Interrupts may be sent by any thread; all else is called with the host's lock held.
 */
final class PluggedFunction implements PciSlot {
    /** The capability of MSI-X (6.8.2): its id, its BAR, and the fields after message control. */
    private static final int MSIX = 0x11;

    private static final int MSIX_LENGTH = 10;
    private static final int MSIX_BAR = 4;
    private static final int MSIX_TABLE = 2;
    private static final int MSIX_PENDING = 6;

    private final PciHost host;
    private final int device;
    private final PciFunction function;
    private final Bus bus;
    private final PciPins pins;
    private final ConfigSpace config;
    private final List<BarRegister> bars = new ArrayList<>();
    private final @Nullable MsixTable msix;
    private final int msixControl;
    private final InterruptLine pin = new Pin();
    private boolean plugged = true;

    /**
     * Plugs a function in.
     *
     * @param host where
     * @param device the number of the slot
     * @param function what
     * @param pin whether it has one
     * @param bus where its registers answer
     * @param pins the pins of the bus
     * @param placer finds a place for registers of a size
     */
    PluggedFunction(
            PciHost host,
            int device,
            PciFunction function,
            ConfigSpace.Pin pin,
            Bus bus,
            PciPins pins,
            LongUnaryOperator placer) {
        this.host = host;
        this.device = device;
        this.function = function;
        this.bus = bus;
        this.pins = pins;
        this.config = new ConfigSpace(function.identity(), pin);
        List<PciBar> own = function.bars();
        int vectors = function.vectors();
        if (own.size() > PciFunction.MAX_BARS || vectors < 0 || vectors > PciFunction.MAX_VECTORS) {
            throw new IllegalArgumentException(function.name() + " has " + own.size() + " ranges of registers and "
                    + vectors + " vectors; the limits are " + PciFunction.MAX_BARS + " and " + PciFunction.MAX_VECTORS);
        }
        for (int i = 0; i < own.size(); i++) {
            addBar(2 * i, own.get(i), placer, new Told(i));
        }
        function.capabilities().forEach(capability -> config.add(function.name(), capability));
        this.msixControl = vectors == 0 ? 0 : config.add(function.name(), MSIX, MSIX_LENGTH);
        this.msix = vectors == 0 ? null : addVectors(vectors, placer);
        powerOn();
    }

    private void addBar(int number, PciBar bar, LongUnaryOperator placer, BarRegister.Listener listener) {
        long place = placer.applyAsLong(bar.size());
        var register = new BarRegister(function.name() + " BAR " + number, number, bar, place, listener);
        register.addTo(config);
        bars.add(register);
    }

    private MsixTable addVectors(int vectors, LongUnaryOperator placer) {
        var table = new MsixTable(function.name(), vectors, bus);
        try {
            addBar(MSIX_BAR, new PciBar(table.size(), table), placer, BarRegister.Listener.NONE);
        } catch (Throwable failure) {
            table.close();
            throw failure;
        }
        config.set(msixControl, 2, vectors - 1L);
        config.allow(msixControl, 2, MsixTable.CONTROL_ENABLE | MsixTable.CONTROL_MASK_ALL);
        config.set(msixControl + MSIX_TABLE, Integer.BYTES, MSIX_BAR);
        config.set(msixControl + MSIX_PENDING, Integer.BYTES, table.pendingOffset() | MSIX_BAR);
        return table;
    }

    /** The state in which firmware leaves it: registers placed, and memory accesses enabled so that they answer. */
    void powerOn() {
        config.powerOn();
        bars.forEach(bar -> bar.reset(config));
        if (msix != null) {
            msix.reset();
        }
        pins.setAsserted(device, false);
        update();
    }

    long read(int offset, int length) {
        config.setPinAsserted(pins.isAsserted(device));
        return config.read(offset, length);
    }

    void write(int offset, int length, long value) {
        config.write(offset, length, value);
        update();
    }

    /** Has everything be as configuration space says. */
    private void update() {
        long command = config.get(ConfigSpace.COMMAND, 2);
        for (BarRegister bar : bars) {
            bar.update(config, bus, (command & ConfigSpace.COMMAND_MEMORY) != 0);
        }
        if (msix != null) {
            msix.setControl((int) config.get(msixControl, 2));
        }
        pins.setConnected(device, (command & ConfigSpace.COMMAND_PIN_DISABLED) == 0 && !vectorsEnabled());
    }

    void save(DeviceState state) {
        state.putNumber(key("function"), config.get(0, Integer.BYTES));
        state.putNumber(key("pin"), pins.isAsserted(device) ? 1 : 0);
        state.putBytes(key("config"), config.toBytes());
        if (msix != null) {
            state.putBytes(key("msix"), msix.toBytes());
        }
    }

    /**
     * Reads what {@link #save} wrote, without changing anything.
     *
     * @return takes it over
     * @throws IllegalArgumentException if it is not of this function
     */
    Runnable restorer(DeviceState state) {
        long identity = config.get(0, Integer.BYTES);
        state.number(key("function"), identity, identity);
        boolean asserted = state.number(key("pin"), 0, 1) == 1;
        byte[] bytes = exactly("config", state, ConfigSpace.SIZE);
        byte[] table = msix == null ? null : exactly("msix", state, msix.savedSize());
        return () -> {
            config.restore(bytes);
            if (msix != null && table != null) {
                msix.restore(table);
            }
            pins.setAsserted(device, asserted);
            update();
        };
    }

    private byte[] exactly(String what, DeviceState state, int length) {
        byte[] bytes = state.bytes(key(what), length);
        if (bytes.length != length) {
            throw new IllegalArgumentException(
                    "state entry '" + key(what) + "' has " + bytes.length + " bytes; it must have " + length);
        }
        return bytes;
    }

    private String key(String what) {
        return "slot" + device + "." + what;
    }

    /** Takes it off the bus. */
    void unplug() {
        if (!plugged) {
            return;
        }
        plugged = false;
        bars.forEach(BarRegister::remove);
        pins.setConnected(device, false);
        if (msix != null) {
            msix.close();
        }
    }

    @Override
    public int device() {
        return device;
    }

    @Override
    public boolean vectorsEnabled() {
        return msix != null && msix.isEnabled();
    }

    @Override
    public void signal(int vector) {
        if (msix != null) {
            msix.signal(vector);
        }
    }

    @Override
    public MessageInterrupt.Attachment attach(int vector, HostFile event) {
        return msix == null ? () -> {} : msix.attach(vector, event);
    }

    @Override
    public InterruptLine pin() {
        return pin;
    }

    @Override
    public void close() {
        host.unplug(this);
    }

    /** The pin, as wide as the wire behind it that it shares with other devices. */
    private final class Pin implements InterruptLine {
        @Override
        public int gsi() {
            return pins.lineOf(device).gsi();
        }

        @Override
        public void raise() {
            pins.setAsserted(device, true);
        }

        @Override
        public void lower() {
            pins.setAsserted(device, false);
        }
    }

    /** Tells the function where its own registers are. */
    private final class Told implements BarRegister.Listener {
        private final int index;

        Told(int index) {
            this.index = index;
        }

        @Override
        public void placed(GuestAddress base) {
            function.placed(index, base);
        }

        @Override
        public void removed() {
            function.removed(index);
        }
    }
}
