package io.github.jkvm.machine.snapshot;

import io.github.jkvm.Hypervisor;
import io.github.jkvm.MemoryBacking;
import io.github.jkvm.MemoryImage;
import io.github.jkvm.machine.boot.GuestRange;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What is in a guest's memory, kept: its parts one after the other. Safe for use by many threads. */
public final class GuestContents implements AutoCloseable {
    private final Layer top;
    private @Nullable LayerStack stack;

    /**
     * Keeps a layer and all below.
     *
     * @param top the layer, held by this from now on in the place of the caller
     */
    public GuestContents(Layer top) {
        this.top = top;
    }

    /**
     * Returns the layer.
     *
     * @return the layer, to be used while this is open
     */
    public Layer layer() {
        return top;
    }

    /**
     * Returns memory that begins with the contents of a part.
     *
     * @param hypervisor maps it
     * @param offset where the part begins in the whole
     * @param size its size
     * @return the backing, of which copies are made of pages that are written
     * @throws io.github.jkvm.HypervisorException if the host refuses
     */
    public synchronized MemoryBacking backing(Hypervisor hypervisor, long offset, long size) {
        LayerStack now = stack;
        if (now == null) {
            now = LayerStack.of(top, hypervisor);
            stack = now;
        }
        List<MemoryBacking.Layer> layers = new ArrayList<>();
        for (LayerStack.Piece piece : now.pieces()) {
            long start = Math.max(piece.start(), offset);
            long end = Math.min(piece.end(), offset + size);
            if (start < end) {
                layers.add(new MemoryBacking.Layer(
                        start - offset, new MemoryBacking.Copy(piece.image(), start, end - start)));
            }
        }
        MemoryBacking bottom = MemoryBacking.copyOf(now.bottom(), offset, size);
        return layers.isEmpty() ? bottom : MemoryBacking.layered(bottom, layers);
    }

    /** Gives the contents back. Memory that began with them stays as it is. */
    @Override
    public synchronized void close() {
        if (stack != null) {
            MemoryImage gathered = stack.gathered();
            if (gathered != null) {
                gathered.close();
            }
        }
        top.release();
    }

    /**
     * Returns where a part begins in the whole.
     *
     * @param ram all parts
     * @param range one of them
     * @return the offset in bytes
     */
    public static long offsetOf(List<GuestRange> ram, GuestRange range) {
        return ram.stream()
                .takeWhile(each -> !each.equals(range))
                .mapToLong(GuestRange::size)
                .sum();
    }
}
