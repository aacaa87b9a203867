package io.github.jkvm.machine.snapshot;

import io.github.jkvm.Hypervisor;
import io.github.jkvm.MemoryImage;
import io.github.jkvm.machine.state.Pages;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Layers as guests map them: all of the bottom, and over it a few pieces. Where the pages of the layers are scattered, mapping each run of them would
 * take long for every guest, and a process has some 65,000 mappings ({@code vm.max_map_count}); so they are gathered once, in an image that all guests
 * then share, together with the pages of the bottom that lie between them where that is cheapest.
 *
 * @param bottom what is seen where no piece is
 * @param pieces what is seen elsewhere, in order
 * @param gathered the image that was made for it, if there was need
 */
record LayerStack(
        MemoryImage bottom, List<Piece> pieces, @Nullable MemoryImage gathered) {
    /** So many clones fit into a process: a thousand. To map so many took 0.3 ms. */
    private static final int MOST_PIECES = 64;

    /**
     * A part of an image that lies at its own place in the guest's memory.
     *
     * @param image the image
     * @param start where it begins
     * @param end where it ends
     */
    record Piece(MemoryImage image, long start, long end) {}

    static LayerStack of(Layer top, Hypervisor hypervisor) {
        MemoryImage bottom = top.bottom().image(hypervisor);
        List<Run> runs = Run.seenAboveBottom(top);
        if (runs.size() > MOST_PIECES) {
            return gather(top, runs, bottom, hypervisor);
        }
        List<Piece> pieces = runs.stream()
                .map(run -> new Piece(run.layer().image(hypervisor), run.start(), run.end()))
                .toList();
        return new LayerStack(bottom, pieces, null);
    }

    private static LayerStack gather(Layer top, List<Run> runs, MemoryImage bottomImage, Hypervisor hypervisor) {
        Layer bottom = top.bottom();
        Set<Integer> bridged = bridged(runs, bottom);
        MemoryImage image = hypervisor.createMemoryImage(top.size(), "jkvm snapshot layers");
        try {
            List<Piece> pieces = new ArrayList<>();
            long start = runs.getFirst().start();
            for (int i = 0; i < runs.size(); i++) {
                Run run = runs.get(i);
                Pages.copyNonzero(run.layer().source().bytes(), image.segment(), run.start(), run.end());
                if (bridged.contains(i)) {
                    copyBetween(run, runs.get(i + 1), bottom, image);
                } else {
                    pieces.add(new Piece(image, start, run.end()));
                    start = i + 1 < runs.size() ? runs.get(i + 1).start() : 0;
                }
            }
            return new LayerStack(bottomImage, List.copyOf(pieces), image);
        } catch (RuntimeException | Error failure) {
            image.close();
            throw failure;
        }
    }

    /** Returns the numbers of the runs that become one with the next: those with the fewest pages of the bottom between. */
    private static Set<Integer> bridged(List<Run> runs, Layer bottom) {
        record Gap(int after, int pages) {}
        List<Gap> gaps = new ArrayList<>();
        for (int i = 0; i + 1 < runs.size(); i++) {
            int from = (int) (runs.get(i).end() / Pages.SIZE);
            int to = (int) (runs.get(i + 1).start() / Pages.SIZE);
            gaps.add(new Gap(i, bottom.pages().get(from, to).cardinality()));
        }
        gaps.sort(Comparator.comparingInt(Gap::pages));
        Set<Integer> bridged = new HashSet<>();
        gaps.subList(0, runs.size() - MOST_PIECES).forEach(gap -> bridged.add(gap.after));
        return bridged;
    }

    private static void copyBetween(Run before, Run after, Layer layer, MemoryImage to) {
        int last = (int) (after.start() / Pages.SIZE);
        for (int page = layer.pages().nextSetBit((int) (before.end() / Pages.SIZE)); page >= 0 && page < last; ) {
            int runEnd = Math.min(layer.pages().nextClearBit(page), last);
            Pages.copyNonzero(layer.source().bytes(), to.segment(), Pages.offset(page), Pages.offset(runEnd));
            page = layer.pages().nextSetBit(runEnd);
        }
    }
}
