package io.github.jkvm.it.linux;

import io.github.jkvm.Device;
import io.github.jkvm.virtio.VirtioDevice;
import io.github.jkvm.virtio.VirtioMmio;
import io.github.jkvm.virtio.VirtioPci;

/** The ways in which a guest reaches a virtio device, for tests that show that all of them will do. */
enum GuestTransport {
    /** Registers at an address that ACPI tells. */
    MMIO("virtio_mmio") {
        @Override
        Device of(VirtioDevice device) {
            return new VirtioMmio(device);
        }
    },
    /** A function on the PCI bus, with an interrupt of its own for each queue. */
    PCI("virtio_pci") {
        @Override
        Device of(VirtioDevice device) {
            return new VirtioPci(device);
        }
    };

    private final String module;

    GuestTransport(String module) {
        this.module = module;
    }

    /** Returns the kernel module that drives it. */
    String module() {
        return module;
    }

    /** Connects a device. */
    abstract Device of(VirtioDevice device);
}
