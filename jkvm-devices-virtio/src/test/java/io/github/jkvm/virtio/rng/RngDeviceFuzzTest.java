package io.github.jkvm.virtio.rng;

import io.github.jkvm.testkit.virtio.Chain;
import io.github.jkvm.testkit.virtio.DeviceFuzz;
import io.github.jkvm.virtio.fuzz.DeviceFuzzTest;
import io.github.jkvm.virtio.fuzz.VirtioFuzz;

class RngDeviceFuzzTest extends DeviceFuzzTest {
    @Override
    protected DeviceFuzz fuzz() {
        return VirtioFuzz.of(() -> new RngDevice("rng0"), (choices, queue) -> {
            Chain chain = Chain.of();
            for (int i = choices.below(3); i >= 0; i--) {
                chain = chain.writable(choices.below(1000));
            }
            return chain;
        });
    }
}
