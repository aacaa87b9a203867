package io.github.jkvm.virtio;

import io.github.jkvm.Bus;
import io.github.jkvm.Device;
import io.github.jkvm.DeviceState;
import io.github.jkvm.Doorbell;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.HypervisorException;
import io.github.jkvm.PciBar;
import io.github.jkvm.PciBus;
import io.github.jkvm.PciCapability;
import io.github.jkvm.PciFunction;
import io.github.jkvm.PciIdentity;
import io.github.jkvm.PciSlot;
import io.github.jkvm.UnsupportedCapabilityException;
import java.lang.System.Logger.Level;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Connects a device as a function on the board's PCI bus: virtio over PCI without the legacy interface (virtio 1.2, 4.1).
 *
 * <p>There is an MSI-X vector for each queue and one for the configuration, and a doorbell for each queue. A guest without MSI-X is interrupted by
 * the pin.
 */
public final class VirtioPci implements Device {
    /** The vendor of all virtio devices (virtio 1.2, 4.1.2). */
    public static final int VENDOR = 0x1AF4;

    /** The PCI device id of virtio device 0 (virtio 1.2, 4.1.2). */
    public static final int FIRST_DEVICE_ID = 0x1040;

    /** "Non-transitional devices SHOULD have a PCI Revision ID of 1 or higher" (virtio 1.2, 4.1.2.1). */
    private static final int REVISION = 1;

    /** Any above 0x40 (virtio 1.2, 4.1.2.1): that of QEMU's virtual machines. */
    private static final int SUBSYSTEM = 0x1100;

    private static final System.Logger LOG = System.getLogger(VirtioPci.class.getName());

    private final VirtioDevice device;
    private @Nullable Attached attached;
    private boolean closed;

    /**
     * Connects a device.
     *
     * @param device the device, closed with this
     */
    public VirtioPci(VirtioDevice device) {
        this.device = Objects.requireNonNull(device, "device");
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
     * Returns where the device sits on the bus.
     *
     * @return the slot
     * @throws IllegalStateException if it is not attached yet
     */
    public PciSlot slot() {
        Attached now = attached;
        if (now == null || now.slot == null) {
            throw new IllegalStateException("device " + name() + " is not attached to a machine yet");
        }
        return now.slot;
    }

    @Override
    public String name() {
        return device.name();
    }

    @Override
    public void attach(Bus bus) {
        // First of all, so that a device which finds no bus is left as it was.
        PciBus pci = bus.pci();
        var now = new Attached(bus, device);
        attached = now;
        now.plug(pci);
    }

    @Override
    public void reset() {
        if (attached != null) {
            attached.reset();
        }
    }

    @Override
    public void save(DeviceState state) {
        if (attached != null) {
            attached.save(state);
        }
    }

    @Override
    public void resume() {
        if (attached != null) {
            attached.resume();
        }
    }

    @Override
    public void restore(DeviceState state) {
        if (attached != null) {
            attached.restore(state);
        }
    }

    @Override
    public void close() {
        if (closed) {
            return;
        }
        closed = true;
        if (attached != null) {
            attached.close();
        } else {
            device.close();
        }
    }

    /** The class code of a device: what QEMU gives it (hw/virtio/virtio-*-pci.c), which guests are used to. */
    static int classCode(int deviceId) {
        int other = 0x00_FF00;
        int network = 0x02_0000;
        int scsi = 0x01_0000;
        int communication = 0x07_8000;
        int storage = 0x01_8000;
        int display = 0x03_8000;
        int input = 0x09_8000;
        return switch (deviceId) {
            case 1 -> network;
            case 2, 8 -> scsi; // block, SCSI host
            case 3, 19 -> communication; // console, socket
            case 16 -> display;
            case 18 -> input;
            case 26 -> storage; // file system
            default -> other;
        };
    }

    /** The device in its slot. */
    private static final class Attached implements PciFunction {
        private final Bus bus;
        private final VirtioDevice device;
        private final DeviceCore core;
        private final PciInterrupt interrupt;
        private final PciCommonRegisters common;
        private final PciRegisters registers;
        private final PciConfigWindow window;
        private final List<QueueBell> bells = new ArrayList<>();
        private @Nullable PciSlot slot;

        Attached(Bus bus, VirtioDevice device) {
            this.bus = bus;
            this.device = device;
            this.interrupt = new PciInterrupt(device.name(), device.queueCount());
            this.core = new DeviceCore(device, interrupt, bus);
            this.common = new PciCommonRegisters(core, interrupt);
            this.registers =
                    new PciRegisters(core, interrupt, common, device.config().size());
            this.window = new PciConfigWindow(registers);
        }

        void plug(PciBus pci) {
            PciSlot plugged = pci.plug(this);
            slot = plugged;
            interrupt.connect(plugged);
        }

        @Override
        public String name() {
            return device.name();
        }

        @Override
        public PciIdentity identity() {
            return new PciIdentity(
                    VENDOR,
                    FIRST_DEVICE_ID + device.deviceId(),
                    classCode(device.deviceId()),
                    REVISION,
                    VENDOR,
                    SUBSYSTEM);
        }

        @Override
        public List<PciBar> bars() {
            return List.of(new PciBar(PciRegisters.SIZE, registers));
        }

        @Override
        public List<PciCapability> capabilities() {
            return registers.capabilities(window);
        }

        @Override
        public int vectors() {
            return interrupt.vectorCount();
        }

        @Override
        public synchronized void placed(int bar, GuestAddress base) {
            for (int queue = 0; queue < core.queueCount(); queue++) {
                placeDoorbell(queue, GuestAddress.of(base.value() + PciRegisters.notifyOffset(queue)));
            }
        }

        private void placeDoorbell(int queue, GuestAddress place) {
            try {
                bells.add(doorbell(queue, place));
            } catch (HypervisorException | IllegalStateException e) {
                // The write reaches the registers then, which is slower and does the same.
                LOG.log(Level.DEBUG, "{0} has no doorbell for queue {1}: {2}", name(), queue, e.getMessage());
            }
        }

        /** One for any width, where the host has such: KVM then need not look at the instruction (KVM_CAP_IOEVENTFD_ANY_LENGTH). */
        private QueueBell doorbell(int queue, GuestAddress place) {
            try {
                return QueueBell.place(bus, core, queue, Doorbell.Match.mmio(place, 0));
            } catch (UnsupportedCapabilityException e) {
                return QueueBell.place(bus, core, queue, Doorbell.Match.mmio(place, Short.BYTES));
            }
        }

        @Override
        public synchronized void removed(int bar) {
            bells.forEach(QueueBell::close);
            bells.clear();
            for (int queue = 0; queue < core.queueCount(); queue++) {
                // A doorbell may have been rung and not heard yet.
                core.notifyFromVcpu(queue);
            }
        }

        void reset() {
            core.reset();
            common.resetSelf();
            window.reset();
        }

        void save(DeviceState state) {
            core.save(state);
            common.save(state);
            interrupt.save(state);
            window.save(state);
        }

        void resume() {
            core.resume();
        }

        void restore(DeviceState state) {
            List<Runnable> restorers =
                    List.of(common.restorer(state), interrupt.restorer(state), window.restorer(state));
            // Before the device, which interrupts for what it finds in its queues.
            restorers.forEach(Runnable::run);
            try {
                core.restore(state);
            } catch (RuntimeException e) {
                common.resetSelf();
                window.reset();
                throw e;
            }
        }

        void close() {
            try {
                core.end();
                if (slot != null) {
                    slot.close();
                }
                synchronized (this) {
                    bells.forEach(QueueBell::close);
                    bells.clear();
                }
            } finally {
                // After the doorbells, which may signal events of its own.
                device.close();
            }
        }
    }
}
