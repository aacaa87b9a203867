package io.github.jkvm.virtio;

import io.github.jkvm.Bus;
import io.github.jkvm.Device;
import io.github.jkvm.DeviceState;
import io.github.jkvm.Doorbell;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.HostFile;
import io.github.jkvm.Interrupt;
import io.github.jkvm.MessageInterrupt;
import io.github.jkvm.PlatformSlot;
import io.github.jkvm.UnsupportedCapabilityException;
import java.lang.System.Logger.Level;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * Connects a device through registers in memory and one interrupt: virtio over MMIO, version 2 (virtio 1.2, 4.2).
 *
 * <p>Where the board has {@linkplain Bus#platformSlot platform slots}, the device takes one, and a guest with ACPI finds it under the id
 * {@code LNRO0005}. Elsewhere, {@link #at} gives it a fixed place, and the guest is told by {@link #commandLineParameter()}.
 */
public final class VirtioMmio implements Device {
    /** What ACPI knows a virtio-mmio device by (Linux, drivers/virtio/virtio_mmio.c). */
    public static final String HARDWARE_ID = "LNRO0005";

    /** Size of the registers with the configuration space, in bytes. */
    public static final int SIZE = 0x1000;

    private static final System.Logger LOG = System.getLogger(VirtioMmio.class.getName());

    private final VirtioDevice device;
    private final @Nullable PlatformSlot fixed;
    private final List<AutoCloseable> held = new ArrayList<>();
    private @Nullable PlatformSlot slot;
    private @Nullable MmioRegisters registers;
    private @Nullable DeviceCore core;
    private boolean closed;

    /**
     * Connects a device at a place that the board gives it.
     *
     * @param device the device, closed with this
     */
    public VirtioMmio(VirtioDevice device) {
        this(device, null);
    }

    private VirtioMmio(VirtioDevice device, @Nullable PlatformSlot fixed) {
        this.device = Objects.requireNonNull(device, "device");
        this.fixed = fixed;
    }

    /**
     * Connects a device at a fixed place.
     *
     * @param device the device, closed with this
     * @param base where its registers begin: {@link #SIZE} bytes
     * @param gsi its edge-triggered interrupt
     * @return the transport
     */
    public static VirtioMmio at(VirtioDevice device, GuestAddress base, int gsi) {
        return new VirtioMmio(device, new PlatformSlot(HARDWARE_ID, 0, base, SIZE, gsi));
    }

    /**
     * Returns the device.
     *
     * @return the device
     */
    public VirtioDevice device() {
        return device;
    }

    /**
     * Returns where the device sits.
     *
     * @return the place and the interrupt
     * @throws IllegalStateException if it is not attached yet
     */
    public PlatformSlot slot() {
        PlatformSlot now = slot;
        if (now == null) {
            throw new IllegalStateException("device " + name() + " is not attached to a machine yet");
        }
        return now;
    }

    /**
     * Returns what tells a Linux guest without ACPI of the device (Linux, Documentation/admin-guide/kernel-parameters.txt).
     *
     * @return a parameter of the kernel's command line
     * @throws IllegalStateException if the device is not attached yet
     */
    public String commandLineParameter() {
        return "virtio_mmio.device=" + slot().size() + "@0x"
                + Long.toHexString(slot().base().value()) + ":" + slot().gsi();
    }

    @Override
    public String name() {
        return device.name();
    }

    @Override
    public void attach(Bus bus) {
        PlatformSlot place = fixed != null ? fixed : bus.platformSlot(HARDWARE_ID, SIZE);
        slot = place;
        Interrupt interrupt = bus.interrupt(place.gsi());
        held.add(interrupt);
        var wires = new MmioInterrupt(interrupt);
        var newCore = new DeviceCore(device, wires, bus);
        core = newCore;
        var newRegisters = new MmioRegisters(newCore, wires, device.deviceId());
        registers = newRegisters;
        for (int queue = 0; queue < newCore.queueCount(); queue++) {
            placeDoorbell(bus, newCore, place, queue);
        }
        held.add(bus.claimMmio(place.base(), SIZE, newRegisters, name()));
    }

    private void placeDoorbell(Bus bus, DeviceCore to, PlatformSlot place, int queue) {
        Doorbell.Match match = Doorbell.Match.mmio(
                        GuestAddress.of(place.base().value() + MmioRegisters.QUEUE_NOTIFY), Integer.BYTES)
                .withValue(queue);
        try {
            held.add(QueueBell.place(bus, to, queue, match));
        } catch (UnsupportedCapabilityException e) {
            // The write reaches the register then, which is slower and does the same.
            LOG.log(Level.DEBUG, "{0} has no doorbell for queue {1}: {2}", name(), queue, e.getMessage());
        }
    }

    @Override
    public void reset() {
        if (core != null) {
            core.reset();
        }
    }

    @Override
    public void save(DeviceState state) {
        if (core != null && registers != null) {
            core.save(state);
            registers.save(state);
        }
    }

    @Override
    public void resume() {
        if (core != null) {
            core.resume();
        }
    }

    @Override
    public void restore(DeviceState state) {
        if (core != null && registers != null) {
            core.restore(state);
            registers.restore(state);
        }
    }

    @Override
    public void close() {
        if (closed) {
            return;
        }
        closed = true;
        try {
            if (core != null) {
                core.end();
            }
            for (AutoCloseable each : held.reversed()) {
                giveBack(each);
            }
        } finally {
            // After the doorbells, which may signal events of its own.
            device.close();
        }
    }

    private void giveBack(AutoCloseable what) {
        try {
            what.close();
        } catch (Exception e) {
            throw new IllegalStateException("virtio device " + name() + " can't give back " + what, e);
        }
    }

    /** The interrupt and the register that tells what it is for (virtio 1.2, 4.2.2: InterruptStatus). */
    static final class MmioInterrupt implements Transport {
        private static final int USED_BUFFER = 1;
        private static final int CONFIG = 2;

        private final Interrupt interrupt;
        private final AtomicInteger status = new AtomicInteger();

        MmioInterrupt(Interrupt interrupt) {
            this.interrupt = interrupt;
        }

        @Override
        public void interruptForQueue(int queue) {
            signal(USED_BUFFER);
        }

        @Override
        public void interruptForConfig() {
            signal(CONFIG);
        }

        /** Does not: the driver reads the register to learn what an interrupt is for, and only this process can set it. */
        @Override
        public MessageInterrupt.Attachment attach(int queue, HostFile event) {
            return () -> {};
        }

        private void signal(int reason) {
            status.getAndAccumulate(reason, (now, added) -> now | added);
            try {
                interrupt.signal();
            } catch (IllegalStateException closed) {
                LOG.log(Level.DEBUG, "{0} interrupts a machine that is closed", this);
            }
        }

        int status() {
            return status.get();
        }

        void acknowledge(int reasons) {
            status.getAndAccumulate(reasons, (now, gone) -> now & ~gone);
        }

        /** Takes over a saved register; an interrupt for what is in it may have been lost, and one too many does no harm. */
        void restore(int reasons) {
            status.set(reasons);
            if (reasons != 0) {
                interrupt.signal();
            }
        }
    }
}
