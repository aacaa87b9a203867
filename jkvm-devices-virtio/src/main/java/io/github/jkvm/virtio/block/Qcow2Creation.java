package io.github.jkvm.virtio.block;

import static io.github.jkvm.virtio.block.Qcow2Format.BIG_LONG;

import io.github.jkvm.virtio.block.Qcow2Options.Backing;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;

/** Writes the tables of a new, empty image: header, refcount table, refcount blocks and L1 table, one behind the other. */
final class Qcow2Creation {
    /** 16 bits a count, as QEMU makes them. */
    private static final int REFCOUNT_ORDER = 4;

    private Qcow2Creation() {}

    static void write(ImageFile file, long size, Qcow2Options options) throws IOException {
        int clusterBits = Integer.numberOfTrailingZeros(options.clusterSize());
        int blockBits = Qcow2Refcounts.blockBits(clusterBits, REFCOUNT_ORDER);
        int l1Entries = Math.max(1, Math.toIntExact(Qcow2Format.l1Entries(size, clusterBits)));
        long l1Clusters = clusters((long) l1Entries * Long.BYTES, clusterBits);
        long tableClusters = 1;
        long blocks = 1;
        // The blocks count themselves and the table that names them, so a larger table may need another block.
        while (blocks << blockBits < 1 + tableClusters + blocks + l1Clusters) {
            blocks++;
            tableClusters = clusters(blocks * Long.BYTES, clusterBits);
        }
        long all = 1 + tableClusters + blocks + l1Clusters;
        Backing backing = options.backing();
        Qcow2Header header = new Qcow2Header(
                clusterBits,
                size,
                l1Entries,
                (1 + tableClusters + blocks) << clusterBits,
                1L << clusterBits,
                (int) tableClusters,
                0,
                0,
                0,
                0,
                REFCOUNT_ORDER,
                backing == null ? null : backing.name());
        file.setLength(all << clusterBits);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment table = arena.allocate(tableClusters << clusterBits, Long.BYTES);
            MemorySegment block = arena.allocate(1L << clusterBits, Long.BYTES);
            for (long i = 0; i < blocks; i++) {
                long offset = (1 + tableClusters + i) << clusterBits;
                table.setAtIndex(BIG_LONG, i, offset);
                for (int j = 0; j < 1 << blockBits; j++) {
                    Qcow2Refcounts.write(block, REFCOUNT_ORDER, j, (i << blockBits) + j < all ? 1 : 0);
                }
                file.write(offset, List.of(block));
            }
            file.write(1L << clusterBits, List.of(table));
        }
        file.sync();
        // Last: only then is it an image.
        header.write(file, backing == null ? null : backing.format());
        file.sync();
    }

    private static long clusters(long bytes, int clusterBits) {
        return Math.ceilDiv(bytes, 1L << clusterBits);
    }
}
