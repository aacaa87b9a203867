package io.github.jkvm.virtio.block;

import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/** Numbers of the qcow2 format (QEMU, docs/interop/qcow2), and how entries of its tables are made up. */
final class Qcow2Format {
    static final ValueLayout.OfInt BIG_INT = ValueLayout.JAVA_INT.withOrder(ByteOrder.BIG_ENDIAN);
    static final ValueLayout.OfLong BIG_LONG = ValueLayout.JAVA_LONG.withOrder(ByteOrder.BIG_ENDIAN);

    static final int MIN_CLUSTER_BITS = 9;

    /** QEMU opens no image with larger clusters. */
    static final int MAX_CLUSTER_BITS = 21;

    static final int MAX_REFCOUNT_ORDER = 6;

    /** QEMU's limit. */
    static final long MAX_L1_BYTES = 32 << 20;

    /** QEMU's limit. */
    static final long MAX_REFCOUNT_TABLE_BYTES = 8 << 20;

    /** QEMU's limit (block/qcow2.h, {@code QCOW_MAX_SNAPSHOTS}). */
    static final int MAX_SNAPSHOTS = 65_536;

    /** Bits 9 to 55 of an L1 or standard L2 entry: an offset in the file. */
    static final long OFFSET_MASK = 0x00FF_FFFF_FFFF_FE00L;

    /** Of an L1 or L2 entry: what it points to has a refcount of exactly one, so it may be written where it is. */
    static final long COPIED = 1L << 63;

    /** Of an L2 entry. */
    static final long COMPRESSED = 1L << 62;

    /** Of a standard L2 entry: the cluster reads as zeros, whatever its offset. */
    static final long ZERO = 1;

    private Qcow2Format() {}

    static int l2EntriesBits(int clusterBits) {
        return clusterBits - 3;
    }

    static long l1Entries(long size, int clusterBits) {
        return Math.ceilDiv(size, 1L << (clusterBits + l2EntriesBits(clusterBits)));
    }

    /** Returns the largest disk whose L1 table is within the limit. */
    static long maxSize(int clusterBits) {
        return (MAX_L1_BYTES / Long.BYTES) << (clusterBits + l2EntriesBits(clusterBits));
    }

    static boolean isCompressed(long entry) {
        return (entry & COMPRESSED) != 0;
    }

    static boolean readsAsZeros(long entry) {
        return !isCompressed(entry) && (entry & ZERO) != 0;
    }

    static boolean isUnallocated(long entry) {
        return !isCompressed(entry) && (entry & (ZERO | OFFSET_MASK)) == 0;
    }

    /** Tells whether an entry's cluster holds the data and may be written in place. */
    static boolean isWritable(long entry) {
        return (entry & (COPIED | COMPRESSED | ZERO)) == COPIED;
    }

    /** Returns where the data of a compressed cluster begins. */
    static long compressedOffset(long entry, int clusterBits) {
        return entry & ((1L << (62 - (clusterBits - 8))) - 1) & 0x00FF_FFFF_FFFF_FFFFL;
    }

    /** Returns how many bytes of the file may belong to a compressed cluster: up to the end of its last sector. */
    static int compressedLength(long entry, int clusterBits) {
        int shift = 62 - (clusterBits - 8);
        long sectors = ((entry >>> shift) & ((1L << (clusterBits - 8)) - 1)) + 1;
        return (int) (sectors * DiskImage.SECTOR_BYTES
                - (compressedOffset(entry, clusterBits) & (DiskImage.SECTOR_BYTES - 1)));
    }
}
