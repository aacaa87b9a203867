package io.github.jkvm.virtio.block;

import static io.github.jkvm.virtio.block.Qcow2Format.COPIED;
import static io.github.jkvm.virtio.block.Qcow2Format.OFFSET_MASK;
import static io.github.jkvm.virtio.block.Qcow2Format.ZERO;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Changes which cluster of the file stands for which cluster of the disk, so that the file is consistent whenever the host crashes:
 *
 * <ol>
 *   <li>refcounts of clusters that are taken, and the data in them, are durable before
 *   <li>the L2 tables that point to them, which are durable before
 *   <li>the L1 entries that point to new L2 tables; after that,
 *   <li>clusters that nothing points to any more lose their refcount and can be taken again.
 * </ol>
 *
 * <p>A crash between two of these leaves clusters that are counted and not used, which {@code qemu-img check} calls leaks.
 *
 * <p>One thread at a time; the lock is inside. Reads, and writes to clusters that are there, go on meanwhile.
 */
final class Qcow2Allocator {
    /** The most that one allocation takes, in bytes: others wait for it. */
    private static final long MOST_AT_ONCE = 8 << 20;

    /** How many clusters may wait to be free before their time is made to come. */
    private static final int MOST_FREED = 64 << 10;

    private final ImageFile file;
    private final Qcow2Layout layout;
    private final Qcow2Refcounts refcounts;
    private final Qcow2Mapping mapping;
    private final Qcow2Contents contents;
    private final Runnable awaitTransfers;
    private final MemorySegment scratch;
    private final ReentrantLock lock = new ReentrantLock();

    /** Numbers of clusters that lost a reference which is still in the file. */
    private long[] freed = new long[64];

    private int freedCount;

    /**
     * Creates the allocator of an image.
     *
     * @param awaitTransfers waits until reads and writes of data that have begun have ended
     */
    Qcow2Allocator(
            ImageFile file,
            Qcow2Layout layout,
            Qcow2Refcounts refcounts,
            Qcow2Mapping mapping,
            Qcow2Contents contents,
            Arena arena,
            Runnable awaitTransfers) {
        this.file = file;
        this.layout = layout;
        this.refcounts = refcounts;
        this.mapping = mapping;
        this.contents = contents;
        this.awaitTransfers = awaitTransfers;
        this.scratch = arena.allocate(layout.clusterSize(), Long.BYTES);
    }

    /** The lock under which everything else here is called. */
    ReentrantLock lock() {
        return lock;
    }

    /** Writes the first part of some data, taking clusters for it; returns how many bytes. */
    long write(long offset, List<MemorySegment> sources) throws IOException {
        makeRoom();
        int within = (int) (offset & (layout.clusterSize() - 1));
        long cluster = offset >> layout.clusterBits();
        long length = DiskImage.length(sources);
        long entry = mapping.entry(cluster);
        if (Qcow2Format.isWritable(entry)) {
            // Another request has put a cluster there since.
            long count = Math.min(length, layout.clusterSize() - within);
            file.write((entry & OFFSET_MASK) + within, DiskImage.slice(sources, 0, count));
            return count;
        }
        ensureTable(cluster);
        boolean reserved = isReserved(entry);
        Qcow2Refcounts.Run run = reserved
                ? new Qcow2Refcounts.Run(entry & OFFSET_MASK, 1, Long.MAX_VALUE)
                : refcounts.allocate(clustersToTake(cluster, within + length), 1);
        long count = Math.min(length, (run.clusters() << layout.clusterBits()) - within);
        try {
            copyHead(entry, offset, run, within);
            copyTail(offset + count, run, within + count);
            file.write(run.offset() + within, DiskImage.slice(sources, 0, count));
        } catch (IOException | RuntimeException e) {
            if (!reserved) {
                giveBack(run);
            }
            throw e;
        }
        for (long i = 0; i < run.clusters(); i++) {
            long old = mapping.setEntry(cluster + i, (run.offset() + (i << layout.clusterBits())) | COPIED);
            if (!reserved) {
                free(old);
            }
        }
        return count;
    }

    /** What is to become of clusters. */
    enum Change {
        /** Nobody needs them. */
        DISCARD,
        /** They read as zeros. */
        ZERO,
        /** They read as zeros and stay reserved. */
        ZERO_AND_KEEP
    }

    /** Changes whole clusters of the disk, up to the end of the L2 table that has the first; returns the cluster after them. */
    long change(long cluster, long end, Change change) throws IOException {
        long stop = Math.min(end, (cluster | (mapping.clustersPerTable() - 1)) + 1);
        if (!mapping.hasTable(cluster) && (change == Change.DISCARD || !contents.hasBacking())) {
            return stop;
        }
        makeRoom();
        for (long at = cluster; at < stop; at++) {
            long old = mapping.entry(at);
            long entry = changed(old, at << layout.clusterBits(), change);
            if (entry != old) {
                ensureTable(at);
                mapping.setEntry(at, entry);
                if ((entry & OFFSET_MASK) == 0) {
                    free(old);
                }
            }
        }
        return stop;
    }

    private long changed(long entry, long offset, Change change) {
        boolean there = Qcow2Format.isCompressed(entry) || (entry & OFFSET_MASK) != 0;
        if (change == Change.ZERO_AND_KEEP && (Qcow2Format.isWritable(entry) || isReserved(entry))) {
            return entry | ZERO;
        }
        if (!there && (change == Change.DISCARD || contents.isZero(entry, offset))) {
            return entry;
        }
        return contents.hasBacking() ? ZERO : 0;
    }

    /** Makes everything durable that was changed before. */
    void writeBack() throws IOException {
        refcounts.write();
        if (mapping.isDirty()) {
            file.sync();
            mapping.writeL2();
            if (mapping.hasChangedL1()) {
                file.sync();
                mapping.writeL1();
            }
        }
        file.sync();
        releaseFreed();
    }

    boolean isDirty() {
        return refcounts.isDirty() || mapping.isDirty() || freedCount != 0;
    }

    /** Makes the disk larger, and moves the L1 table if it has no room for that. */
    void grow(long size) throws IOException {
        // Nothing that waits to be written knows the old place of the L1 table.
        writeBack();
        int entries = Math.toIntExact(Qcow2Format.l1Entries(size, layout.clusterBits()));
        if (entries <= mapping.l1Entries()) {
            Qcow2Header.writeSize(file, size, mapping.l1Entries(), mapping.l1Offset());
            file.sync();
            return;
        }
        long clusters = layout.roundUp((long) entries * Long.BYTES) >> layout.clusterBits();
        Qcow2Refcounts.Run run = refcounts.allocate(clusters, clusters);
        file.write(run.offset(), List.of(mapping.l1With((clusters << layout.clusterBits()) / Long.BYTES)));
        refcounts.write();
        file.sync();
        Qcow2Header.writeSize(file, size, entries, run.offset());
        file.sync();
        long oldOffset = mapping.l1Offset();
        long oldEnd = layout.roundUp(oldOffset + (long) mapping.l1Entries() * Long.BYTES);
        mapping.replaceL1(mapping.l1With(entries), run.offset());
        for (long offset = oldOffset; offset < oldEnd; offset += layout.clusterSize()) {
            refcounts.release(offset >> layout.clusterBits());
        }
    }

    private void makeRoom() throws IOException {
        if (refcounts.isFilling() || mapping.isFilling() || freedCount >= MOST_FREED) {
            writeBack();
        }
    }

    private static boolean isReserved(long entry) {
        return Qcow2Format.readsAsZeros(entry) && (entry & COPIED) != 0 && (entry & OFFSET_MASK) != 0;
    }

    /** How many clusters to take for a write that begins in one: up to one that needs none, or that another L2 table has. */
    private long clustersToTake(long cluster, long bytes) throws IOException {
        long most = Math.min(
                Math.ceilDiv(Math.min(bytes, MOST_AT_ONCE), (long) layout.clusterSize()),
                mapping.clustersPerTable() - (cluster & (mapping.clustersPerTable() - 1)));
        long count = 1;
        while (count < most) {
            long next = mapping.entry(cluster + count);
            if (Qcow2Format.isWritable(next) || isReserved(next)) {
                break;
            }
            count++;
        }
        return count;
    }

    private void ensureTable(long cluster) throws IOException {
        if (mapping.hasWritableTable(cluster)) {
            return;
        }
        Qcow2Refcounts.Run run = refcounts.allocate(1, 1);
        try {
            long old = mapping.newTable(cluster, run.offset());
            if (old != 0) {
                free(old);
            }
        } catch (IOException e) {
            giveBack(run);
            throw e;
        }
    }

    /** Fills a taken cluster before the data with what was there. */
    private void copyHead(long entry, long offset, Qcow2Refcounts.Run run, int within) throws IOException {
        if (within != 0) {
            copy(entry, offset - within, run.offset(), within, run.neverUsed());
        }
    }

    /** Fills the last taken cluster behind the data with what was there. */
    private void copyTail(long end, Qcow2Refcounts.Run run, long used) throws IOException {
        int rest = (int) ((run.clusters() << layout.clusterBits()) - used);
        if (rest != 0) {
            copy(mapping.entry(end >> layout.clusterBits()), end, run.offset() + used, rest, run.neverUsed());
        }
    }

    private void copy(long entry, long from, long to, int length, long neverUsed) throws IOException {
        if (!contents.isZero(entry, from)) {
            List<MemorySegment> bytes = List.of(scratch.asSlice(0, length));
            contents.read(entry, from, bytes);
            file.write(to, bytes);
        } else if (to < neverUsed) {
            file.fillWithZeros(to, length);
        }
    }

    /** Gives back clusters that nothing has pointed to. */
    private void giveBack(Qcow2Refcounts.Run run) throws IOException {
        for (long i = 0; i < run.clusters(); i++) {
            refcounts.release((run.offset() >> layout.clusterBits()) + i);
        }
    }

    /** Takes note that an entry is gone. */
    private void free(long entry) {
        if (Qcow2Format.isCompressed(entry)) {
            long first = Qcow2Format.compressedOffset(entry, layout.clusterBits());
            long last = first + Qcow2Format.compressedLength(entry, layout.clusterBits()) - 1;
            for (long cluster = first >> layout.clusterBits(); cluster <= last >> layout.clusterBits(); cluster++) {
                addFreed(cluster);
            }
        } else if ((entry & OFFSET_MASK) != 0) {
            addFreed((entry & OFFSET_MASK) >> layout.clusterBits());
        }
    }

    private void addFreed(long cluster) {
        if (freedCount == freed.length) {
            freed = Arrays.copyOf(freed, freedCount * 2);
        }
        freed[freedCount++] = cluster;
    }

    private void releaseFreed() throws IOException {
        if (freedCount == 0) {
            return;
        }
        // Requests that looked before may still be reading or writing these clusters.
        awaitTransfers.run();
        Arrays.sort(freed, 0, freedCount);
        long holeEnd = 0;
        long holeStart = 0;
        while (freedCount > 0) {
            long cluster = freed[--freedCount];
            if (refcounts.release(cluster)) {
                mapping.forget(cluster << layout.clusterBits());
                if (cluster + 1 != holeStart) {
                    punch(holeStart, holeEnd);
                    holeEnd = cluster + 1;
                }
                holeStart = cluster;
            }
        }
        punch(holeStart, holeEnd);
    }

    private void punch(long firstCluster, long endCluster) throws IOException {
        if (firstCluster != endCluster) {
            file.punchHole(firstCluster << layout.clusterBits(), (endCluster - firstCluster) << layout.clusterBits());
        }
    }
}
