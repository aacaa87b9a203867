package io.github.jkvm.virtio.fuzz;

import io.github.jkvm.testkit.virtio.Choices;
import io.github.jkvm.testkit.virtio.DeviceFuzz;
import io.github.jkvm.testkit.virtio.FuzzedDevice;
import io.github.jkvm.virtio.VirtioDevice;
import io.github.jkvm.virtio.VirtioMmio;
import io.github.jkvm.virtio.VirtioPci;
import java.util.function.Function;
import java.util.function.Supplier;

/** Fuzzes devices of this module over both transports and in both ring formats. No code of a device may throw: its core would catch that, and counts it. */
public final class VirtioFuzz {
    private VirtioFuzz() {}

    /** Prepares to fuzz devices of a kind. */
    public static DeviceFuzz of(Supplier<? extends VirtioDevice> devices, DeviceFuzz.Requests requests) {
        return ofDevices(choices -> devices.get(), requests);
    }

    /** Prepares to fuzz devices that have choices to make of their own. */
    public static DeviceFuzz ofDevices(
            Function<Choices, ? extends VirtioDevice> devices, DeviceFuzz.Requests requests) {
        return DeviceFuzz.ofDevices(choices -> fuzzed(choices, devices.apply(choices)), requests);
    }

    private static FuzzedDevice fuzzed(Choices choices, VirtioDevice device) {
        if (choices.oneIn(2)) {
            device.offerPackedRings();
        }
        return new FuzzedDevice(choices.oneIn(4) ? new VirtioPci(device) : new VirtioMmio(device), () -> {
            if (device.counters().getOrDefault("failures", 0L) != 0) {
                throw new AssertionError("code of the device threw: " + device.counters());
            }
        });
    }
}
