package io.github.jkvm.machine.snapshot;

import io.github.jkvm.DirtyPages;
import io.github.jkvm.Hypervisor;
import io.github.jkvm.MemoryImage;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.Vm;
import io.github.jkvm.machine.boot.GuestRange;
import io.github.jkvm.machine.state.Pages;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Copies a machine's memory for its snapshots, and knows which of its pages may differ from an earlier snapshot. There are three ways to know. The host
 * tells which pages are no longer what the memory began with, and it began as zeros or as a snapshot. From the first increment on, the VM records what is
 * written. And if neither reaches back to the snapshot in question, the pages are compared.
 *
 * <p>For one thread at a time, while nobody writes the memory.
 */
public final class MemoryRecord {
    private final Vm vm;
    private final List<Part> parts = new ArrayList<>();
    private final long size;
    private final @Nullable Layer origin;

    /** What the memory was when the VM's record began; null if there is none that can be relied on. */
    private @Nullable Layer recordedSince;

    private boolean recording;

    /**
     * A part of the memory.
     *
     * @param start where it begins, with all parts taken one after the other, in bytes
     * @param region has it
     * @param memory its bytes
     */
    private record Part(long start, MemoryRegion region, MemorySegment memory) {
        long end() {
            return start + memory.byteSize();
        }
    }

    /**
     * Begins to know a memory.
     *
     * @param vm the VM
     * @param ram where its memory is
     * @param origin what it began as; null for zeros
     */
    public MemoryRecord(Vm vm, List<GuestRange> ram, @Nullable Layer origin) {
        this.vm = vm;
        this.origin = origin;
        long at = 0;
        for (GuestRange range : ram) {
            MemoryRegion region = vm.memory().region(range.start(), range.size());
            parts.add(new Part(at, region, vm.memory().slice(range.start(), range.size())));
            at += range.size();
        }
        this.size = at;
    }

    /**
     * Copies the memory.
     *
     * @param hypervisor has the copy
     * @param base of which only the differences are to be copied, held by the caller meanwhile; null to copy all
     * @return the copy, held by the caller
     * @throws io.github.jkvm.HypervisorException if the host has no room for it, or can't record
     */
    public Layer copy(Hypervisor hypervisor, @Nullable Layer base) {
        Layer since = recordedSince;
        // Whatever fails from here on, what is taken from the record now is missing in it.
        recordedSince = null;
        BitSet written = recording ? takeWritten() : null;
        if (base != null) {
            startRecording();
        }
        MemoryImage image = hypervisor.createMemoryImage(size, "jkvm snapshot");
        try {
            BitSet pages;
            if (base == null) {
                pages = copyNonzero(maybeNonzero(), image);
            } else {
                pages = differing(base, since, written);
                copyNonzero(pages, image);
            }
            Layer copy = Layer.taken(base, size, pages, image);
            recordedSince = recording ? copy : null;
            return copy;
        } catch (RuntimeException | Error failure) {
            image.close();
            throw failure;
        }
    }

    private BitSet differing(Layer base, @Nullable Layer since, @Nullable BitSet written) {
        BitSet recorded = since == null || written == null ? null : since.pagesSince(base);
        if (recorded != null) {
            recorded.or(written);
            return recorded;
        }
        BitSet changed = origin == null ? null : changed();
        BitSet known = origin == null || changed == null ? null : origin.pagesSince(base);
        if (known != null) {
            known.or(changed);
            return known;
        }
        return compare(base);
    }

    /** Returns the pages that are no longer what the memory began with; null if the host does not know. */
    private @Nullable BitSet changed() {
        var all = new BitSet();
        for (Part part : parts) {
            Optional<DirtyPages> pages = part.region.changedPages();
            if (pages.isEmpty()) {
                return null;
            }
            add(all, part, pages.get());
        }
        return all;
    }

    private BitSet maybeNonzero() {
        BitSet pages = changed();
        if (pages == null) {
            pages = new BitSet();
            pages.set(0, (int) (size / Pages.SIZE));
        } else if (origin != null) {
            pages.or(origin.allPages());
        }
        return pages;
    }

    private static void add(BitSet all, Part part, DirtyPages pages) {
        pages.offsets().forEach(offset -> all.set((int) ((part.start + offset) / Pages.SIZE)));
    }

    /** Memory that another process has mapped, too, is written without a record. */
    private boolean isShared() {
        return parts.stream().anyMatch(part -> part.region.sharedFile().isPresent());
    }

    private void startRecording() {
        if (!recording && !isShared()) {
            parts.forEach(part -> vm.startDirtyTracking(part.region));
            recording = true;
        }
    }

    private BitSet takeWritten() {
        var all = new BitSet();
        parts.forEach(part -> add(all, part, vm.takeDirtyPages(part.region)));
        return all;
    }

    /** Returns the pages that are not as in a snapshot. */
    private BitSet compare(Layer base) {
        BitSet candidates = maybeNonzero();
        var differing = new BitSet();
        for (Run run : Run.seen(base)) {
            MemorySegment bytes = run.bytes();
            for (long at = run.start(); at < run.end(); at += Pages.SIZE) {
                int page = (int) (at / Pages.SIZE);
                candidates.clear(page);
                Part part = partOf(at);
                if (!Pages.same(part.memory, at - part.start, bytes, at - run.start())) {
                    differing.set(page);
                }
            }
        }
        // Zeros in the base.
        for (int page = candidates.nextSetBit(0); page >= 0; page = candidates.nextSetBit(page + 1)) {
            Part part = partOf(Pages.offset(page));
            if (!Pages.isZero(part.memory, Pages.offset(page) - part.start)) {
                differing.set(page);
            }
        }
        return differing;
    }

    private Part partOf(long offset) {
        for (Part part : parts) {
            if (offset < part.end()) {
                return part;
            }
        }
        throw new IndexOutOfBoundsException("memory of " + size + " bytes has no offset " + offset);
    }

    /** Copies those of some pages that are not all zeros, and returns which. */
    private BitSet copyNonzero(BitSet pages, MemoryImage image) {
        var copied = new BitSet();
        MemorySegment to = image.segment();
        for (Part part : parts) {
            int last = (int) (part.end() / Pages.SIZE);
            for (int page = pages.nextSetBit((int) (part.start / Pages.SIZE)); page >= 0 && page < last; ) {
                long at = Pages.offset(page) - part.start;
                if (!Pages.isZero(part.memory, at)) {
                    MemorySegment.copy(part.memory, at, to, Pages.offset(page), Pages.SIZE);
                    copied.set(page);
                }
                page = pages.nextSetBit(page + 1);
            }
        }
        return copied;
    }
}
