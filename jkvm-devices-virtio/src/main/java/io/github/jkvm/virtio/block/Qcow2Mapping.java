package io.github.jkvm.virtio.block;

import static io.github.jkvm.virtio.block.Qcow2Format.BIG_LONG;
import static io.github.jkvm.virtio.block.Qcow2Format.COPIED;
import static io.github.jkvm.virtio.block.Qcow2Format.OFFSET_MASK;

import io.github.jkvm.virtio.block.Qcow2TableCache.Table;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.BitSet;
import java.util.List;

/**
 * Where each cluster of the disk is in the file: the active L1 table and its L2 tables (QEMU, docs/interop/qcow2, "Cluster mapping").
 *
 * <p>Read by anyone; changed only by those who hold the lock of those who allocate. What is changed reaches the file with
 * {@link #writeL2} and {@link #writeL1}, in this order and with a sync between them.
 */
final class Qcow2Mapping {
    private final ImageFile file;
    private final Qcow2Layout layout;
    private final Arena arena;
    private final Qcow2TableCache l2;
    private final int l2Bits;
    private final BitSet changedL1 = new BitSet();
    private long l1Offset;
    private MemorySegment l1;

    Qcow2Mapping(ImageFile file, Qcow2Layout layout, Qcow2Header header, Arena arena) throws IOException {
        this.file = file;
        this.layout = layout;
        this.arena = arena;
        this.l2 = new Qcow2TableCache(file, arena, header.clusterSize());
        this.l2Bits = Qcow2Format.l2EntriesBits(header.clusterBits());
        this.l1Offset = header.l1Offset();
        this.l1 = arena.allocate((long) header.l1Entries() * Long.BYTES, Long.BYTES);
        file.readOrZeros(l1Offset, List.of(l1));
    }

    /** Returns how many clusters of the disk share one L2 table. */
    long clustersPerTable() {
        return 1L << l2Bits;
    }

    int l1Entries() {
        return (int) (l1.byteSize() / Long.BYTES);
    }

    /** Returns the L2 entry of a cluster of the disk, its offset checked; 0 if there is no L2 table. */
    synchronized long entry(long cluster) throws IOException {
        long offset = tableOffset(cluster);
        return offset == 0 ? 0 : checked(l2.table(offset).bytes.getAtIndex(BIG_LONG, indexInTable(cluster)));
    }

    /** Tells whether a cluster of the disk has an L2 table at all. */
    synchronized boolean hasTable(long cluster) throws IOException {
        return tableOffset(cluster) != 0;
    }

    /** Tells whether the L2 table of a cluster may be changed where it is. */
    synchronized boolean hasWritableTable(long cluster) throws IOException {
        return tableOffset(cluster) != 0 && (l1.getAtIndex(BIG_LONG, cluster >>> l2Bits) & COPIED) != 0;
    }

    /**
     * Gives a cluster an L2 table that may be changed: empty, or a copy of the one it shares with a snapshot.
     *
     * @return the offset of the table that it had, which has lost a reference; 0 if none
     */
    synchronized long newTable(long cluster, long offset) throws IOException {
        long old = tableOffset(cluster);
        MemorySegment shared = old == 0 ? MemorySegment.NULL : l2.table(old).bytes;
        Table table = l2.newTable(offset);
        // The old table was used last but one, so its memory was not taken for the new one.
        MemorySegment.copy(shared, 0, table.bytes, 0, shared.byteSize());
        setL1(cluster >>> l2Bits, offset | COPIED);
        return old;
    }

    /** Changes the entry of a cluster whose L2 table may be changed; returns the old one. */
    synchronized long setEntry(long cluster, long entry) throws IOException {
        Table table = l2.table(tableOffset(cluster));
        long old = table.bytes.getAtIndex(BIG_LONG, indexInTable(cluster));
        table.bytes.setAtIndex(BIG_LONG, indexInTable(cluster), entry);
        l2.changed(table);
        return old;
    }

    synchronized void forget(long offset) {
        l2.forget(offset);
    }

    synchronized boolean isDirty() {
        return l2.isDirty() || !changedL1.isEmpty();
    }

    synchronized boolean isFilling() {
        return l2.isFilling();
    }

    synchronized void writeL2() throws IOException {
        l2.write();
    }

    synchronized boolean hasChangedL1() {
        return !changedL1.isEmpty();
    }

    synchronized void writeL1() throws IOException {
        for (int i = changedL1.nextSetBit(0); i >= 0; i = changedL1.nextSetBit(i)) {
            int end = changedL1.nextClearBit(i);
            long from = (long) i * Long.BYTES;
            file.write(l1Offset + from, List.of(l1.asSlice(from, (long) (end - i) * Long.BYTES)));
            changedL1.clear(i, end);
        }
    }

    /** Returns a copy of the L1 table with more entries, which are empty. */
    synchronized MemorySegment l1With(long entries) {
        MemorySegment grown = arena.allocate(entries * Long.BYTES, Long.BYTES);
        grown.copyFrom(l1);
        return grown;
    }

    /** Uses a larger L1 table, which is in the file already. */
    synchronized void replaceL1(MemorySegment grown, long offset) {
        l1 = grown;
        l1Offset = offset;
        layout.setL1(offset, l1Entries());
    }

    long l1Offset() {
        return l1Offset;
    }

    private void setL1(long index, long entry) {
        l1.setAtIndex(BIG_LONG, index, entry);
        changedL1.set((int) index);
    }

    private long tableOffset(long cluster) throws IOException {
        long offset = l1.getAtIndex(BIG_LONG, cluster >>> l2Bits) & OFFSET_MASK;
        return offset == 0 ? 0 : layout.checkInUse("L2 table", offset);
    }

    private long indexInTable(long cluster) {
        return cluster & (clustersPerTable() - 1);
    }

    private long checked(long entry) throws IOException {
        if (Qcow2Format.isCompressed(entry)) {
            long offset = Qcow2Format.compressedOffset(entry, layout.clusterBits());
            if (offset < layout.clusterSize() || offset >= layout.end()) {
                throw layout.corrupt("compressed data at 0x" + Long.toHexString(offset) + " is not within the file");
            }
        } else if ((entry & OFFSET_MASK) != 0) {
            layout.checkInUse("data cluster", entry & OFFSET_MASK);
        }
        return entry;
    }
}
