package io.github.jkvm.virtio.rng;

import java.lang.foreign.MemorySegment;

/** Where a {@link RngDevice} takes random bytes from. */
@FunctionalInterface
public interface EntropySource {

    /**
     * Returns the source of the host's kernel, {@code getrandom(2)}. It does not run dry and does not wait once the host has started.
     *
     * @return the source, for any number of devices
     */
    static EntropySource host() {
        return HostEntropy.INSTANCE;
    }

    /**
     * Fills memory with random bytes. Called on the event loop; must not wait for long.
     *
     * @param target what to fill, all of it: native memory, at most {@link RngDevice#MAX_REQUEST} bytes
     * @throws RuntimeException if there are none to be had; the device then asks its driver for a reset
     */
    void fill(MemorySegment target);
}
