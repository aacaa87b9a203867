package io.github.jkvm.virtio.rng;

import io.github.jkvm.virtio.fuzz.DeviceFuzz;
import org.junit.jupiter.api.Test;

/** No guest makes the entropy device throw, hang, or take memory without bound. */
class RngDeviceFuzzTest {
    @Test
    void survivesAnyGuest() {
        new DeviceFuzz(() -> new RngDevice("rng0"), (choices, queue, buffers, chain) -> {
                    for (int i = choices.below(3); i >= 0; i--) {
                        chain.add(buffers.writable(choices.below(1000)));
                    }
                })
                .run();
    }
}
