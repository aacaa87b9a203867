package io.github.jkvm.virtio;

import io.github.jkvm.virtio.queue.DescriptorChain;

/** What a device does with a chain. */
@FunctionalInterface
public interface ChainHandler {
    /**
     * Serves one chain, completely.
     *
     * @param chain the chain, good until the return
     * @return how many bytes were written to it, from the first writable one on
     */
    long serve(DescriptorChain chain);
}
