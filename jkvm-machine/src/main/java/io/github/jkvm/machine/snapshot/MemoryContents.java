package io.github.jkvm.machine.snapshot;

import io.github.jkvm.GuestMemory;
import io.github.jkvm.Hypervisor;
import io.github.jkvm.MemoryBacking;
import io.github.jkvm.MemoryImage;
import io.github.jkvm.machine.boot.GuestRange;
import java.lang.foreign.MemorySegment;
import java.util.List;

/** Contents kept in memory. */
public final class MemoryContents implements GuestContents {
    private final MemoryImage image;

    private MemoryContents(MemoryImage image) {
        this.image = image;
    }

    /**
     * Copies the contents of a guest's memory.
     *
     * @param hypervisor has the copy
     * @param memory the memory, which nobody writes meanwhile
     * @param ram the parts to copy
     * @return the copy
     * @throws io.github.jkvm.HypervisorException if the host has no room for it
     */
    public static MemoryContents copy(Hypervisor hypervisor, GuestMemory memory, List<GuestRange> ram) {
        MemoryImage image = hypervisor.createMemoryImage(
                ram.stream().mapToLong(GuestRange::size).sum(), "jkvm snapshot");
        try {
            for (GuestRange range : ram) {
                MemorySegment from = memory.slice(range.start(), range.size());
                MemorySegment to = image.segment().asSlice(GuestContents.offsetOf(ram, range), range.size());
                Pages.copyNonzero(from, to);
            }
            return new MemoryContents(image);
        } catch (RuntimeException | Error failure) {
            image.close();
            throw failure;
        }
    }

    @Override
    public MemoryBacking backing(long offset, long size) {
        return MemoryBacking.copyOf(image, offset, size);
    }

    @Override
    public MemorySegment bytes() {
        return image.segment();
    }

    @Override
    public void close() {
        image.close();
    }
}
