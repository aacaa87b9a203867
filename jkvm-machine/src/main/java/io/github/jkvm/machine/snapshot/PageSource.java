package io.github.jkvm.machine.snapshot;

import io.github.jkvm.Hypervisor;
import io.github.jkvm.MemoryImage;
import java.lang.foreign.MemorySegment;
import java.util.BitSet;

/** Where the pages of a layer are: in something as large as the guest's memory, each at its own place. */
interface PageSource extends AutoCloseable {
    /** Returns the bytes; where the layer has no pages they mean nothing, and reading them may take memory. */
    MemorySegment bytes();

    /**
     * Returns the bytes for guests to begin as. They stay this object's.
     *
     * @param hypervisor maps them
     * @param pages the pages that the layer has
     * @throws io.github.jkvm.HypervisorException if the host refuses
     */
    MemoryImage image(Hypervisor hypervisor, BitSet pages);

    /** Gives all back. Memory that began as a copy stays as it is. */
    @Override
    void close();
}
