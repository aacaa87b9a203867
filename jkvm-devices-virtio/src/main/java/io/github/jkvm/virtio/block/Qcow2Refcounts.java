package io.github.jkvm.virtio.block;

import static io.github.jkvm.virtio.block.Qcow2Format.BIG_INT;
import static io.github.jkvm.virtio.block.Qcow2Format.BIG_LONG;

import io.github.jkvm.virtio.block.Qcow2TableCache.Table;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.List;

/**
 * Which clusters of an image's file are in use: the refcount table and its blocks (QEMU, docs/interop/qcow2, "Host cluster management").
 *
 * <p>Used under the lock of those who allocate. A count that is changed reaches the file with {@link #write}.
 */
final class Qcow2Refcounts {
    private static final ValueLayout.OfShort BIG_SHORT = ValueLayout.JAVA_SHORT.withOrder(ByteOrder.BIG_ENDIAN);

    /** How many clusters behind the end of the file may be in use: those of writes that a crash cut off. */
    private static final long MOST_BEYOND_END = 1 << 20;

    private final ImageFile file;
    private final Qcow2Layout layout;
    private final Qcow2TableCache blocks;
    private final Arena arena;
    private final int order;

    /** Binary logarithm of how many counts a block holds. */
    private final int blockBits;

    private long tableOffset;
    private int tableClusters;
    private MemorySegment table;

    /** No cluster below this number is free. */
    private long lowestFree = 1;

    Qcow2Refcounts(ImageFile file, Qcow2Layout layout, Qcow2Header header, Arena arena) throws IOException {
        this.file = file;
        this.layout = layout;
        this.arena = arena;
        this.blocks = new Qcow2TableCache(file, arena, header.clusterSize());
        this.order = header.refcountOrder();
        this.blockBits = blockBits(header.clusterBits(), order);
        this.tableOffset = header.refcountTableOffset();
        this.tableClusters = header.refcountTableClusters();
        this.table = arena.allocate((long) tableClusters << header.clusterBits(), Long.BYTES);
        file.readOrZeros(tableOffset, List.of(table));
    }

    /** Returns the binary logarithm of how many counts a block holds. */
    static int blockBits(int clusterBits, int order) {
        return clusterBits + 3 - order;
    }

    /** Returns the count of a cluster, unsigned. */
    long get(long cluster) throws IOException {
        long offset = blockOffset(cluster >>> blockBits);
        return offset == 0 ? 0 : read(blocks.table(offset).bytes, order, indexInBlock(cluster));
    }

    /** Takes clusters that are free and follow one another: {@code most} at most and {@code least} at least. */
    Run allocate(long most, long least) throws IOException {
        if (least >= 1L << blockBits) {
            throw new ImageFormatException(
                    file.toString(), least + " clusters in a row are more than a refcount block counts");
        }
        long first = lowestFree;
        while (true) {
            first = nextFree(first);
            if (least == 1) {
                lowestFree = first;
            }
            if (ensureBlock(first)) {
                // The block may be where the free cluster was.
                continue;
            }
            long count = 1;
            while (count < most && blockOffset((first + count) >>> blockBits) != 0 && get(first + count) == 0) {
                count++;
            }
            if (count >= least) {
                return take(first, count);
            }
            first += count;
        }
    }

    private long nextFree(long from) throws IOException {
        // Tables that name one block many times could have this go on for hours.
        long last = (layout.end() >> layout.clusterBits()) + MOST_BEYOND_END;
        long cluster = from;
        while (get(cluster) != 0) {
            if (cluster++ > last) {
                throw layout.corrupt("there are refcounts for clusters far beyond the end of the file");
            }
        }
        return cluster;
    }

    private Run take(long first, long count) throws IOException {
        long offset = layout.check("free cluster", first << layout.clusterBits(), count);
        for (long i = 0; i < count; i++) {
            set(first + i, 1);
        }
        long neverUsed = layout.end();
        layout.extend(offset + (count << layout.clusterBits()));
        return new Run(offset, count, neverUsed);
    }

    /** Clusters that follow one another; from {@code neverUsed} on they read as zeros. */
    record Run(long offset, long clusters, long neverUsed) {}

    /** Takes one reference away; true if the cluster is free now. */
    boolean release(long cluster) throws IOException {
        long count = get(cluster);
        if (count == 0) {
            throw layout.corrupt("cluster 0x" + Long.toHexString(cluster << layout.clusterBits())
                    + " is in use and has a refcount of 0");
        }
        set(cluster, count - 1);
        if (count == 1) {
            lowestFree = Math.min(lowestFree, cluster);
        }
        return count == 1;
    }

    boolean isDirty() {
        return blocks.isDirty();
    }

    boolean isFilling() {
        return blocks.isFilling();
    }

    void write() throws IOException {
        blocks.write();
    }

    private void set(long cluster, long count) throws IOException {
        Table block = blocks.table(blockOffset(cluster >>> blockBits));
        write(block.bytes, order, indexInBlock(cluster), count);
        blocks.changed(block);
    }

    private int indexInBlock(long cluster) {
        return (int) (cluster & ((1L << blockBits) - 1));
    }

    /** Returns where a block is; 0 if there is none. */
    private long blockOffset(long blockIndex) throws IOException {
        if (blockIndex >= table.byteSize() / Long.BYTES) {
            return 0;
        }
        long entry = table.getAtIndex(BIG_LONG, blockIndex);
        return entry == 0 ? 0 : layout.checkInUse("refcount block", entry);
    }

    /** Makes the block for a free cluster's count if there is none; true if it had to, and has taken clusters for it. */
    private boolean ensureBlock(long cluster) throws IOException {
        long index = cluster >>> blockBits;
        if (blockOffset(index) != 0) {
            return false;
        }
        if (index >= table.byteSize() / Long.BYTES) {
            growTable(index);
            return true;
        }
        // All the clusters it counts are free, so it takes the first of them.
        long first = index << blockBits;
        long offset = layout.check("refcount block", first << layout.clusterBits(), 1);
        Table block = blocks.newTable(offset);
        write(block.bytes, order, 0, 1);
        layout.extend(offset + layout.clusterSize());
        // The block is durable before the table names it.
        blocks.write();
        file.sync();
        table.setAtIndex(BIG_LONG, index, offset);
        file.write(tableOffset + index * Long.BYTES, List.of(table.asSlice(index * Long.BYTES, Long.BYTES)));
        return true;
    }

    /** Moves to a larger table, which begins with new blocks that count themselves and the new table's clusters. */
    private void growTable(long index) throws IOException {
        long entriesNeeded = index + 1;
        long newClusters;
        long newBlocks;
        long taken;
        do {
            long bytes = Math.max(entriesNeeded * Long.BYTES, table.byteSize() * 2);
            newClusters = layout.roundUp(bytes) >> layout.clusterBits();
            newBlocks = 1;
            while (newBlocks << blockBits < newBlocks + newClusters) {
                newBlocks++;
            }
            taken = newBlocks + newClusters;
            entriesNeeded = index + newBlocks;
        } while (entriesNeeded * Long.BYTES > newClusters << layout.clusterBits());
        if (newClusters << layout.clusterBits() > Qcow2Format.MAX_REFCOUNT_TABLE_BYTES) {
            throw new ImageFormatException(
                    file.toString(), "it has reached the largest size that its refcount table can count");
        }
        long start = layout.check("refcount table", index << blockBits << layout.clusterBits(), taken);
        MemorySegment grown = arena.allocate(newClusters << layout.clusterBits(), Long.BYTES);
        grown.copyFrom(table);
        layout.extend(start + (taken << layout.clusterBits()));
        for (long i = 0; i < newBlocks; i++) {
            Table block = blocks.newTable(start + (i << layout.clusterBits()));
            grown.setAtIndex(BIG_LONG, index + i, block.offset());
            for (long count = 0; count < 1L << blockBits && (i << blockBits) + count < taken; count++) {
                write(block.bytes, order, (int) count, 1);
            }
        }
        long newOffset = start + (newBlocks << layout.clusterBits());
        blocks.write();
        file.write(newOffset, List.of(grown));
        file.sync();
        Qcow2Header.writeRefcountTable(file, newOffset, (int) newClusters);
        file.sync();
        long oldCluster = tableOffset >> layout.clusterBits();
        int oldClusters = tableClusters;
        tableOffset = newOffset;
        tableClusters = (int) newClusters;
        table = grown;
        layout.setRefcountTable(newOffset, tableClusters);
        for (int i = 0; i < oldClusters; i++) {
            release(oldCluster + i);
        }
    }

    /** Reads a count out of a block; of widths below a byte, the first is in the lowest bits. */
    static long read(MemorySegment block, int order, int index) {
        return switch (order) {
            case 3 -> Byte.toUnsignedLong(block.get(ValueLayout.JAVA_BYTE, index));
            case 4 -> Short.toUnsignedLong(block.getAtIndex(BIG_SHORT, index));
            case 5 -> Integer.toUnsignedLong(block.getAtIndex(BIG_INT, index));
            case 6 -> block.getAtIndex(BIG_LONG, index);
            default -> {
                int perByte = 3 - order;
                int shift = (index & ((1 << perByte) - 1)) << order;
                yield (block.get(ValueLayout.JAVA_BYTE, index >> perByte) >> shift) & ((1 << (1 << order)) - 1);
            }
        };
    }

    static void write(MemorySegment block, int order, int index, long count) {
        switch (order) {
            case 3 -> block.set(ValueLayout.JAVA_BYTE, index, (byte) count);
            case 4 -> block.setAtIndex(BIG_SHORT, index, (short) count);
            case 5 -> block.setAtIndex(BIG_INT, index, (int) count);
            case 6 -> block.setAtIndex(BIG_LONG, index, count);
            default -> {
                int perByte = 3 - order;
                int shift = (index & ((1 << perByte) - 1)) << order;
                int mask = ((1 << (1 << order)) - 1) << shift;
                int old = block.get(ValueLayout.JAVA_BYTE, index >> perByte);
                block.set(ValueLayout.JAVA_BYTE, index >> perByte, (byte) ((old & ~mask) | ((int) count << shift)));
            }
        }
    }
}
