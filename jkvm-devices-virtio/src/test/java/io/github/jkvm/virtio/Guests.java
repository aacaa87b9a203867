package io.github.jkvm.virtio;

import io.github.jkvm.DeviceState;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.kvm.ffi.EventFd;
import io.github.jkvm.kvm.ffi.OwnedFd;
import io.github.jkvm.testkit.virtio.ManualEventLoop;
import io.github.jkvm.testkit.virtio.TestBus;
import io.github.jkvm.testkit.virtio.VirtioDriver;
import io.github.jkvm.virtio.queue.RingFormat;

/** Guests of the testkit for this module's devices: over MMIO, on hosts whose doorbells may signal eventfds. */
@SuppressWarnings("exports") // of the testkit, which is on the class path
public final class Guests {
    private Guests() {}

    /** Returns a machine with doorbells that may signal eventfds. */
    static TestBus bus(GuestMemory memory) {
        return new TestBus(memory, new ManualEventLoop())
                .withEvents(event -> EventFd.borrow((OwnedFd) event).signal());
    }

    /** Attaches a device and touches nothing of it. */
    public static VirtioDriver attach(VirtioDevice device) {
        return attach(device, MemoryRegion.onHeap(GuestAddress.ZERO, VirtioDriver.MEMORY_BYTES));
    }

    /** Attaches a device to a guest with memory of the test's making, of {@link VirtioDriver#MEMORY_BYTES} at address 0. */
    public static VirtioDriver attach(VirtioDevice device, MemoryRegion region) {
        return VirtioDriver.attach(new VirtioMmio(device), bus(GuestMemory.of(region)));
    }

    /** Attaches a device and starts its driver, with all features that it offers and rings of a format. */
    public static VirtioDriver start(VirtioDevice device, RingFormat format) {
        VirtioDriver guest = attach(offering(device, format));
        guest.start();
        return guest;
    }

    /** Attaches a device and starts its driver with only some of the device's own features. */
    public static VirtioDriver start(VirtioDevice device, RingFormat format, long deviceFeatures) {
        VirtioDriver guest = attach(offering(device, format));
        guest.start((guest.offered() & ~Feature.deviceSpecific()) | deviceFeatures);
        return guest;
    }

    private static VirtioDevice offering(VirtioDevice device, RingFormat format) {
        if (format == RingFormat.PACKED) {
            device.offerPackedRings();
        }
        return device;
    }

    /** Gives a guest another device, which takes over the state of its first. */
    public static VirtioDriver restoreInto(VirtioDriver guest, VirtioDevice device, DeviceState state) {
        if (!guest.queues().isEmpty() && (guest.offered() & Feature.mask(Feature.PACKED_RING)) != 0) {
            device.offerPackedRings();
        }
        return guest.restoreInto(new VirtioMmio(device), state, bus(guest.memory()));
    }
}
