package io.github.jkvm.machine.snapshot;

import io.github.jkvm.Hypervisor;
import io.github.jkvm.MemoryImage;
import io.github.jkvm.machine.snapshot.Checksums.Gaps;
import io.github.jkvm.machine.state.Pages;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Objects;
import java.util.UUID;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * The memory of one snapshot: the pages that were written since another was taken, over the memory of that one. A snapshot that builds on no other is the
 * bottom: it has all pages but those of zeros. Layers are held by all who use them: snapshots, and the layers above.
 *
 * <p>Safe for use by many threads.
 */
public final class Layer {
    private final @Nullable Layer below;
    private final long size;
    private final BitSet pages;
    private final PageSource source;
    private final String id;
    private @Nullable List<Integer> checksums;
    private @Nullable Identity identity;
    private int users = 1;

    private Layer(@Nullable Layer below, long size, BitSet pages, PageSource source, String id) {
        this.below = below;
        this.size = size;
        this.pages = pages;
        this.source = source;
        this.id = id;
        if (below != null) {
            below.hold();
        }
    }

    /**
     * Makes a layer of a snapshot that was just taken. The caller holds it.
     *
     * @param below what it lies on, held by the caller meanwhile; null if on nothing
     * @param size size of the memory in bytes
     * @param pages the pages that it has, not changed any more
     * @param image has them
     */
    static Layer taken(@Nullable Layer below, long size, BitSet pages, MemoryImage image) {
        return new Layer(
                below, size, pages, new KeptPages(image), UUID.randomUUID().toString());
    }

    /** Makes a layer of a snapshot that was read. The caller holds it. */
    static Layer opened(@Nullable Layer below, MemoryFile file, PageSource source) {
        var layer = new Layer(
                below, file.size(), file.pageSet(), source, file.identity().id());
        layer.identity = file.identity();
        layer.checksums = file.checksums();
        return layer;
    }

    @Nullable
    Layer below() {
        return below;
    }

    /** The one below all others. */
    Layer bottom() {
        Layer layer = this;
        while (layer.below != null) {
            layer = layer.below;
        }
        return layer;
    }

    /**
     * Returns how many layers are below.
     *
     * @return the number, 0 for the bottom
     */
    public int depth() {
        int depth = 0;
        for (Layer layer = below; layer != null; layer = layer.below) {
            depth++;
        }
        return depth;
    }

    /**
     * Returns how large the memory is.
     *
     * @return the size in bytes
     */
    public long size() {
        return size;
    }

    /**
     * Returns how much of it is this layer's.
     *
     * @return the size in bytes
     */
    public long ownBytes() {
        return (long) pages.cardinality() * Pages.SIZE;
    }

    /**
     * Returns the snapshot's name.
     *
     * @return a name that no other has
     */
    public String id() {
        return id;
    }

    /** The pages that it has, by their numbers; to be read only. */
    BitSet pages() {
        return pages;
    }

    PageSource source() {
        return source;
    }

    MemoryImage image(Hypervisor hypervisor) {
        return source.image(hypervisor, pages);
    }

    /** The checksums of its own pages. Takes reading them, the first time. */
    synchronized List<Integer> checksums() {
        List<Integer> known = checksums;
        if (known == null) {
            known = Checksums.of(size, Run.own(this), gaps());
            checksums = known;
        }
        return known;
    }

    private Gaps gaps() {
        return below == null ? Gaps.ZEROS : Gaps.NOTHING;
    }

    Identity identity() {
        // From the bottom up, as there may be more of them than calls fit on a stack.
        List<Layer> unknown = new ArrayList<>();
        for (Layer layer = this; layer != null && layer.knownIdentity() == null; layer = layer.below) {
            unknown.add(layer);
        }
        unknown.reversed().forEach(Layer::identify);
        return Objects.requireNonNull(knownIdentity());
    }

    private synchronized @Nullable Identity knownIdentity() {
        return identity;
    }

    private synchronized void identify() {
        var crc = new CRC32C();
        if (below != null) {
            add(crc, below.identity().checksum());
        }
        crc.update(pages.toByteArray());
        checksums().forEach(checksum -> add(crc, checksum));
        identity = new Identity(id, (int) crc.getValue());
    }

    private static void add(CRC32C crc, int number) {
        crc.update(ByteBuffer.allocate(Integer.BYTES).putInt(0, number));
    }

    /**
     * Compares the pages of this layer and all below with the checksums that were saved with them.
     *
     * @return a sentence for each damaged piece, from the bottom up
     */
    public List<String> problems() {
        List<String> problems = new ArrayList<>();
        List<Layer> layers = new ArrayList<>();
        for (Layer layer = this; layer != null; layer = layer.below) {
            layers.add(layer);
        }
        layers.reversed().forEach(layer -> layer.addProblems(problems));
        return problems;
    }

    private void addProblems(List<String> problems) {
        if (!(source instanceof FilePages file)) {
            return;
        }
        // All of a file at the bottom is seen by guests, also what should be zeros.
        List<Run> runs = below == null ? List.of(new Run(this, 0, size)) : Run.own(this);
        List<Integer> found = Checksums.of(size, runs, gaps());
        List<Integer> expected = checksums();
        for (int i = 0; i < expected.size(); i++) {
            if (!found.get(i).equals(expected.get(i))) {
                long start = (long) i * Checksums.PIECE;
                long end = Math.min(start + Checksums.PIECE, size);
                problems.add("bytes 0x" + Long.toHexString(start) + " to 0x" + Long.toHexString(end - 1) + " of " + file
                        + " are damaged");
            }
        }
    }

    /** Returns the pages that may differ between this and a layer below; null if that is not below this, nor this itself. */
    @Nullable
    BitSet pagesSince(Layer lower) {
        var all = new BitSet();
        Layer layer = this;
        while (layer != lower) {
            all.or(layer.pages);
            layer = layer.below;
            if (layer == null) {
                return null;
            }
        }
        return all;
    }

    /** Returns the pages that are not known to be zeros. */
    BitSet allPages() {
        var all = new BitSet();
        for (Layer layer = this; layer != null; layer = layer.below) {
            all.or(layer.pages);
        }
        return all;
    }

    private synchronized void hold() {
        if (users == 0) {
            throw new IllegalStateException("snapshot " + id + " is closed; keep it open until another builds on it");
        }
        users++;
    }

    /** Lets go of it. Who does it last gives its pages back. */
    void release() {
        // No recursion, as there may be more layers than calls fit on a stack.
        for (Layer layer = this; layer != null && layer.releaseOne(); layer = layer.below) {}
    }

    private synchronized boolean releaseOne() {
        users--;
        if (users != 0) {
            return false;
        }
        source.close();
        return true;
    }
}
