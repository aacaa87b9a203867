package io.github.jkvm.virtio.rng;

import io.github.jkvm.virtio.fuzz.DeviceFuzz;
import io.github.jkvm.virtio.fuzz.DeviceFuzzTest;

class RngDeviceFuzzTest extends DeviceFuzzTest {
    @Override
    protected DeviceFuzz fuzz() {
        return new DeviceFuzz(() -> new RngDevice("rng0"), (choices, queue, buffers, chain) -> {
            for (int i = choices.below(3); i >= 0; i--) {
                chain.add(buffers.writable(choices.below(1000)));
            }
        });
    }
}
