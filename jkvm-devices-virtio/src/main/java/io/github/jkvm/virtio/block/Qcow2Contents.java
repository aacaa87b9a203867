package io.github.jkvm.virtio.block;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.zip.DataFormatException;
import java.util.zip.Inflater;
import org.jspecify.annotations.Nullable;

/** Reads what an L2 entry stands for. Safe for use by many threads. */
final class Qcow2Contents {
    private final ImageFile file;
    private final Qcow2Layout layout;
    private final @Nullable DiskImage backing;

    /** The compressed cluster that was read last; small reads come in runs. */
    private volatile @Nullable Inflated last;

    /** What is at a place of the file never changes as long as there are entries of compressed clusters for it. */
    private record Inflated(long entry, MemorySegment bytes) {}

    Qcow2Contents(ImageFile file, Qcow2Layout layout, @Nullable DiskImage backing) {
        this.file = file;
        this.layout = layout;
        this.backing = backing;
    }

    boolean hasBacking() {
        return backing != null;
    }

    /** Returns the size of the image below in bytes, 0 if there is none. */
    long backingSize() {
        return backing == null ? 0 : backing.size();
    }

    /** Tells whether all of a cluster reads as zeros, as its entry has it. */
    boolean isZero(long entry, long offset) {
        return Qcow2Format.readsAsZeros(entry)
                || (Qcow2Format.isUnallocated(entry) && (backing == null || offset >= backing.size()));
    }

    /**
     * Reads from one cluster, or from several whose data follows that of the first.
     *
     * @param offset where on the disk
     */
    void read(long entry, long offset, List<MemorySegment> targets) throws IOException {
        int within = (int) (offset & (layout.clusterSize() - 1));
        if (Qcow2Format.isCompressed(entry)) {
            SegmentLists.scatter(inflated(entry).asSlice(within), targets);
        } else if (isZero(entry, offset)) {
            SegmentLists.fillWithZeros(targets);
        } else if (Qcow2Format.isUnallocated(entry)) {
            readBacking(offset, targets);
        } else {
            file.readOrZeros((entry & Qcow2Format.OFFSET_MASK) + within, targets);
        }
    }

    private void readBacking(long offset, List<MemorySegment> targets) throws IOException {
        DiskImage below = backing;
        long length = DiskImage.length(targets);
        // The image below may be smaller; behind its end are zeros.
        long there = below == null ? 0 : Math.clamp(below.size() - offset, 0, length);
        if (below != null && there > 0) {
            below.read(offset, DiskImage.slice(targets, 0, there));
        }
        SegmentLists.fillWithZeros(DiskImage.slice(targets, there, length - there));
    }

    private MemorySegment inflated(long entry) throws IOException {
        Inflated known = last;
        if (known != null && known.entry == entry) {
            return known.bytes;
        }
        long offset = Qcow2Format.compressedOffset(entry, layout.clusterBits());
        byte[] compressed = new byte[Qcow2Format.compressedLength(entry, layout.clusterBits())];
        // The last one of a file may end within its sector.
        file.readOrZeros(offset, List.of(MemorySegment.ofArray(compressed)));
        byte[] bytes = new byte[layout.clusterSize()];
        Inflater inflater = new Inflater(true);
        try {
            inflater.setInput(compressed);
            int done = 0;
            while (done < bytes.length) {
                int count = inflater.inflate(bytes, done, bytes.length - done);
                if (count == 0) {
                    throw layout.corrupt("compressed cluster at 0x" + Long.toHexString(offset) + " ends after " + done
                            + " of " + bytes.length + " bytes");
                }
                done += count;
            }
        } catch (DataFormatException e) {
            throw layout.corrupt(
                    "compressed cluster at 0x" + Long.toHexString(offset) + " is damaged (" + e.getMessage() + ")");
        } finally {
            inflater.end();
        }
        Inflated now = new Inflated(entry, MemorySegment.ofArray(bytes).asReadOnly());
        last = now;
        return now.bytes;
    }
}
