package io.github.jkvm.virtio.block;

import static io.github.jkvm.virtio.block.Qcow2Format.BIG_INT;
import static io.github.jkvm.virtio.block.Qcow2Format.BIG_LONG;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The header of a qcow2 image, version 3 (QEMU, docs/interop/qcow2, "Header"), with every number checked against the format's limits and
 * the length of the file.
 */
record Qcow2Header(
        int clusterBits,
        long size,
        int l1Entries,
        long l1Offset,
        long refcountTableOffset,
        int refcountTableClusters,
        int snapshots,
        long snapshotsOffset,
        long incompatible,
        long autoclear,
        int refcountOrder,
        @Nullable String backingName) {

    /** Refcounts may be wrong. */
    static final long DIRTY = 1;

    /** Anything may be wrong. */
    static final long CORRUPT = 1 << 1;

    private static final long EXTERNAL_DATA = 1 << 2;
    private static final long COMPRESSION_TYPE = 1 << 3;
    private static final long EXTENDED_L2 = 1 << 4;

    private static final int MAGIC = 0x514649FB;
    private static final int VERSION = 3;

    /** Length of the fields that every version 3 image has. */
    static final int LENGTH = 104;

    private static final int COMPRESSION_TYPE_AT = 104;
    private static final int ZSTD = 1;
    private static final int MAX_BACKING_NAME = 1023;
    private static final int BACKING_FORMAT_EXTENSION = 0xE2792ACA;

    private static final int BACKING_OFFSET = 8;
    private static final int BACKING_LENGTH = 16;
    private static final int CLUSTER_BITS = 20;
    private static final int SIZE = 24;
    private static final int CRYPT_METHOD = 32;
    private static final int L1_ENTRIES = 36;
    private static final int L1_OFFSET = 40;
    private static final int REFCOUNT_TABLE_OFFSET = 48;
    private static final int REFCOUNT_TABLE_CLUSTERS = 56;
    private static final int SNAPSHOTS = 60;
    private static final int SNAPSHOTS_OFFSET = 64;
    private static final int INCOMPATIBLE = 72;
    private static final int AUTOCLEAR = 88;
    private static final int REFCOUNT_ORDER = 96;
    private static final int HEADER_LENGTH = 100;

    int clusterSize() {
        return 1 << clusterBits;
    }

    /** Reads and checks the header of an image. */
    static Qcow2Header read(ImageFile file) throws IOException {
        long fileLength = file.length();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment bytes = arena.allocate(LENGTH + Long.BYTES, Long.BYTES);
            file.readOrZeros(0, List.of(bytes));
            require(file, bytes.get(BIG_INT, 0) == MAGIC, "not a qcow2 image; open a raw one with RawImage");
            int version = bytes.get(BIG_INT, 4);
            require(
                    file,
                    version == VERSION,
                    "qcow2 version " + Integer.toUnsignedString(version)
                            + " is not supported; convert it with qemu-img amend -o compat=v3");
            checkFeatures(file, bytes);
            Qcow2Header header = new Qcow2Header(
                    bytes.get(BIG_INT, CLUSTER_BITS),
                    bytes.get(BIG_LONG, SIZE),
                    bytes.get(BIG_INT, L1_ENTRIES),
                    bytes.get(BIG_LONG, L1_OFFSET),
                    bytes.get(BIG_LONG, REFCOUNT_TABLE_OFFSET),
                    bytes.get(BIG_INT, REFCOUNT_TABLE_CLUSTERS),
                    bytes.get(BIG_INT, SNAPSHOTS),
                    bytes.get(BIG_LONG, SNAPSHOTS_OFFSET),
                    bytes.get(BIG_LONG, INCOMPATIBLE),
                    bytes.get(BIG_LONG, AUTOCLEAR),
                    bytes.get(BIG_INT, REFCOUNT_ORDER),
                    null);
            header.check(file, fileLength, Integer.toUnsignedLong(bytes.get(BIG_INT, HEADER_LENGTH)));
            return header.withBackingName(readBackingName(
                    file, header, bytes.get(BIG_LONG, BACKING_OFFSET), bytes.get(BIG_INT, BACKING_LENGTH)));
        }
    }

    private static void checkFeatures(ImageFile file, MemorySegment bytes) throws IOException {
        int crypt = bytes.get(BIG_INT, CRYPT_METHOD);
        require(
                file,
                crypt == 0,
                "encryption (" + (crypt == 1 ? "AES" : crypt == 2 ? "LUKS" : crypt) + ") is not supported");
        long incompatible = bytes.get(BIG_LONG, INCOMPATIBLE);
        require(file, (incompatible & EXTERNAL_DATA) == 0, "external data files are not supported");
        int compression = bytes.get(ValueLayout.JAVA_BYTE, COMPRESSION_TYPE_AT) & 0xFF;
        require(
                file,
                (incompatible & COMPRESSION_TYPE) == 0,
                "compression type " + (compression == ZSTD ? "zstd" : compression)
                        + " is not supported; convert it with qemu-img convert -O qcow2 -o compression_type=zlib");
        require(
                file,
                (incompatible & EXTENDED_L2) == 0,
                "extended L2 entries (subclusters) are not supported; convert it with qemu-img convert -O qcow2");
        long unknown = incompatible & -(EXTENDED_L2 << 1);
        require(
                file,
                unknown == 0,
                "incompatible feature bit " + Long.numberOfTrailingZeros(unknown) + " is not known");
    }

    private void check(ImageFile file, long fileLength, long headerLength) throws IOException {
        require(
                file,
                clusterBits >= Qcow2Format.MIN_CLUSTER_BITS && clusterBits <= Qcow2Format.MAX_CLUSTER_BITS,
                "cluster bits " + clusterBits + " must be from " + Qcow2Format.MIN_CLUSTER_BITS + " to "
                        + Qcow2Format.MAX_CLUSTER_BITS);
        require(
                file,
                headerLength >= LENGTH && headerLength % 8 == 0 && headerLength <= clusterSize(),
                "header length " + headerLength + " must be a multiple of 8 from " + LENGTH + " to the cluster size");
        require(
                file,
                refcountOrder >= 0 && refcountOrder <= Qcow2Format.MAX_REFCOUNT_ORDER,
                "refcount order " + refcountOrder + " must be from 0 to " + Qcow2Format.MAX_REFCOUNT_ORDER);
        require(
                file,
                size >= 0 && size % DiskImage.SECTOR_BYTES == 0 && size <= Qcow2Format.maxSize(clusterBits),
                "disk size " + Long.toUnsignedString(size) + " must be whole sectors and at most "
                        + Qcow2Format.maxSize(clusterBits) + " bytes with this cluster size");
        long l1Needed = Qcow2Format.l1Entries(size, clusterBits);
        require(
                file,
                l1Entries >= l1Needed && l1Entries <= Qcow2Format.MAX_L1_BYTES / Long.BYTES,
                "L1 table of " + Integer.toUnsignedString(l1Entries) + " entries must have " + l1Needed + " to "
                        + Qcow2Format.MAX_L1_BYTES / Long.BYTES);
        require(
                file,
                refcountTableClusters > 0
                        && (long) refcountTableClusters << clusterBits <= Qcow2Format.MAX_REFCOUNT_TABLE_BYTES,
                "refcount table of " + Integer.toUnsignedString(refcountTableClusters) + " clusters must have 1 to "
                        + (Qcow2Format.MAX_REFCOUNT_TABLE_BYTES >> clusterBits));
        require(
                file,
                snapshots >= 0 && snapshots <= Qcow2Format.MAX_SNAPSHOTS,
                Integer.toUnsignedString(snapshots) + " snapshots are more than the limit of "
                        + Qcow2Format.MAX_SNAPSHOTS);
        checkTable(file, "L1 table", l1Offset, (long) l1Entries * Long.BYTES, fileLength);
        checkTable(
                file, "refcount table", refcountTableOffset, (long) refcountTableClusters << clusterBits, fileLength);
        require(
                file,
                l1Entries == 0
                        || l1Offset >= refcountTableOffset + ((long) refcountTableClusters << clusterBits)
                        || refcountTableOffset >= l1Offset + (long) l1Entries * Long.BYTES,
                "L1 table and refcount table overlap");
        if (snapshots != 0) {
            // Every snapshot's entry has 40 bytes and more.
            checkTable(file, "snapshot table", snapshotsOffset, snapshots * 40L, fileLength);
        }
    }

    private void checkTable(ImageFile file, String table, long offset, long length, long fileLength)
            throws IOException {
        long end = Math.ceilDiv(fileLength, (long) clusterSize()) << clusterBits;
        require(
                file,
                length == 0 || (offset >= clusterSize() && offset % clusterSize() == 0 && offset <= end - length),
                table + " of " + length + " bytes at 0x" + Long.toHexString(offset)
                        + " must be on a cluster behind the header and within the file of " + fileLength + " bytes");
    }

    private static @Nullable String readBackingName(ImageFile file, Qcow2Header header, long offset, int length)
            throws IOException {
        if (offset == 0) {
            return null;
        }
        require(
                file,
                length > 0 && length <= MAX_BACKING_NAME && offset >= LENGTH && offset <= header.clusterSize() - length,
                "name of the backing file, " + Integer.toUnsignedString(length) + " bytes at 0x"
                        + Long.toHexString(offset) + ", must be within the first cluster and at most "
                        + MAX_BACKING_NAME + " bytes");
        byte[] name = new byte[length];
        file.readFully(offset, List.of(MemorySegment.ofArray(name)));
        return new String(name, StandardCharsets.UTF_8);
    }

    private Qcow2Header withBackingName(@Nullable String name) {
        return new Qcow2Header(
                clusterBits,
                size,
                l1Entries,
                l1Offset,
                refcountTableOffset,
                refcountTableClusters,
                snapshots,
                snapshotsOffset,
                incompatible,
                autoclear,
                refcountOrder,
                name);
    }

    /** Writes a new image's header, which is all of its first cluster. */
    void write(ImageFile file, @Nullable String backingFormat) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment bytes = arena.allocate(clusterSize(), Long.BYTES);
            bytes.set(BIG_INT, 0, MAGIC);
            bytes.set(BIG_INT, 4, VERSION);
            bytes.set(BIG_INT, CLUSTER_BITS, clusterBits);
            bytes.set(BIG_LONG, SIZE, size);
            bytes.set(BIG_INT, L1_ENTRIES, l1Entries);
            bytes.set(BIG_LONG, L1_OFFSET, l1Offset);
            bytes.set(BIG_LONG, REFCOUNT_TABLE_OFFSET, refcountTableOffset);
            bytes.set(BIG_INT, REFCOUNT_TABLE_CLUSTERS, refcountTableClusters);
            bytes.set(BIG_INT, REFCOUNT_ORDER, refcountOrder);
            bytes.set(BIG_INT, HEADER_LENGTH, LENGTH);
            if (backingName != null && backingFormat != null) {
                writeBacking(file, bytes, backingName, backingFormat);
            }
            file.write(0, List.of(bytes));
        }
    }

    /** Puts the extension with the format behind the header, the one that ends extensions behind that, and the name behind that. */
    private static void writeBacking(ImageFile file, MemorySegment bytes, String name, String format)
            throws IOException {
        byte[] formatBytes = format.getBytes(StandardCharsets.UTF_8);
        byte[] nameBytes = name.getBytes(StandardCharsets.UTF_8);
        long nameAt = LENGTH + 8 + Math.ceilDiv(formatBytes.length, 8) * 8L + 8;
        require(
                file,
                nameBytes.length > 0
                        && nameBytes.length <= MAX_BACKING_NAME
                        && nameAt + nameBytes.length <= bytes.byteSize(),
                "name of the backing file, " + nameBytes.length + " bytes, must have 1 to " + MAX_BACKING_NAME
                        + " and fit into the first cluster");
        bytes.set(BIG_INT, LENGTH, BACKING_FORMAT_EXTENSION);
        bytes.set(BIG_INT, LENGTH + 4, formatBytes.length);
        MemorySegment.copy(formatBytes, 0, bytes, ValueLayout.JAVA_BYTE, LENGTH + 8, formatBytes.length);
        MemorySegment.copy(nameBytes, 0, bytes, ValueLayout.JAVA_BYTE, nameAt, nameBytes.length);
        bytes.set(BIG_LONG, BACKING_OFFSET, nameAt);
        bytes.set(BIG_INT, BACKING_LENGTH, nameBytes.length);
    }

    /** Writes the incompatible features, all of which the format says must be understood. */
    static void writeIncompatible(ImageFile file, long features) throws IOException {
        writeLong(file, INCOMPATIBLE, features);
    }

    /** Clears the features that tell of data which is not kept up to date here. */
    static void clearAutoclear(ImageFile file) throws IOException {
        writeLong(file, AUTOCLEAR, 0);
    }

    /** Points the header to another refcount table, in one write within one sector. */
    static void writeRefcountTable(ImageFile file, long offset, int clusters) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment bytes = arena.allocate(Long.BYTES + Integer.BYTES, Long.BYTES);
            bytes.set(BIG_LONG, 0, offset);
            bytes.set(BIG_INT, Long.BYTES, clusters);
            file.write(REFCOUNT_TABLE_OFFSET, List.of(bytes));
        }
    }

    /** Gives the disk another size and L1 table, in one write within one sector. */
    static void writeSize(ImageFile file, long size, int l1Entries, long l1Offset) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment bytes = arena.allocate(L1_OFFSET + Long.BYTES - SIZE, Long.BYTES);
            bytes.set(BIG_LONG, 0, size);
            // Between them is the encryption method, which is none.
            bytes.set(BIG_INT, L1_ENTRIES - SIZE, l1Entries);
            bytes.set(BIG_LONG, L1_OFFSET - SIZE, l1Offset);
            file.write(SIZE, List.of(bytes));
        }
    }

    private static void writeLong(ImageFile file, long at, long value) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment bytes = arena.allocate(BIG_LONG);
            bytes.set(BIG_LONG, 0, value);
            file.write(at, List.of(bytes));
        }
    }

    private static void require(ImageFile file, boolean condition, String problem) throws IOException {
        if (!condition) {
            throw new ImageFormatException(file.toString(), problem);
        }
    }
}
