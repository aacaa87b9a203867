package io.github.jkvm.machine.snapshot;

import io.github.jkvm.Hypervisor;
import io.github.jkvm.MemoryImage;
import java.lang.foreign.MemorySegment;
import java.util.BitSet;

/**
 * Pages kept in memory.
 *
 * @param image has them
 */
record KeptPages(MemoryImage image) implements PageSource {
    @Override
    public MemorySegment bytes() {
        return image.segment();
    }

    @Override
    public MemoryImage image(Hypervisor hypervisor, BitSet pages) {
        return image;
    }

    @Override
    public void close() {
        image.close();
    }
}
