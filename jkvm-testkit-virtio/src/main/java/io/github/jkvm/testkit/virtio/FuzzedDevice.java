package io.github.jkvm.testkit.virtio;

import io.github.jkvm.Device;

/**
 * A device that {@link DeviceFuzz} drives, and what must hold of it whatever the guest does.
 *
 * @param device the device in its transport
 * @param check looked at after each case; throws if what must hold does not, such as an {@link AssertionError}
 */
public record FuzzedDevice(Device device, Runnable check) {}
