package io.github.jkvm.machine.snapshot;

import io.github.jkvm.machine.state.Pages;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Comparator;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Pages of one layer that follow each other.
 *
 * @param layer the layer
 * @param start where they begin in the guest's memory, its parts taken one after the other, in bytes
 * @param end where they end
 */
record Run(Layer layer, long start, long end) {
    /** Returns all pages that a layer has of its own, in order. */
    static List<Run> own(Layer layer) {
        List<Run> runs = new ArrayList<>();
        add(runs, layer, layer.pages());
        return runs;
    }

    /** Returns all pages that are seen through the layers, in order; those between them are zeros. */
    static List<Run> seen(Layer top) {
        return seen(top, null);
    }

    /** Returns all pages that are seen through the layers but those of the one at the bottom. */
    static List<Run> seenAboveBottom(Layer top) {
        return seen(top, top.bottom());
    }

    private static List<Run> seen(Layer top, @Nullable Layer end) {
        List<Run> runs = new ArrayList<>();
        var covered = new BitSet();
        for (Layer layer = top; layer != null && layer != end; layer = layer.below()) {
            BitSet visible = (BitSet) layer.pages().clone();
            visible.andNot(covered);
            covered.or(visible);
            add(runs, layer, visible);
        }
        runs.sort(Comparator.comparingLong(Run::start));
        return runs;
    }

    private static void add(List<Run> runs, Layer layer, BitSet pages) {
        for (int page = pages.nextSetBit(0); page >= 0; ) {
            int end = pages.nextClearBit(page);
            runs.add(new Run(layer, Pages.offset(page), Pages.offset(end)));
            page = pages.nextSetBit(end);
        }
    }

    MemorySegment bytes() {
        return layer.source().bytes().asSlice(start, end - start);
    }
}
