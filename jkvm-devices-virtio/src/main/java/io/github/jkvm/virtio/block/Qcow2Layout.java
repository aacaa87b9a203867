package io.github.jkvm.virtio.block;

import java.io.IOException;

/**
 * Where the fixed structures of an image are, and the check that nothing else claims their place. The file is not trusted: each offset that
 * is found in it comes here before it is used.
 */
final class Qcow2Layout {
    private final ImageFile file;
    private final int clusterBits;
    /** Nothing was ever written from here on. */
    private volatile long end;

    private volatile Place l1;
    private volatile Place refcountTable;

    /** Some bytes of the file. */
    private record Place(long start, long end) {
        boolean overlaps(long offset, long length) {
            return offset < end && start < offset + length;
        }
    }

    Qcow2Layout(ImageFile file, Qcow2Header header) throws IOException {
        this.file = file;
        this.clusterBits = header.clusterBits();
        this.end = roundUp(file.length());
        this.l1 = l1Place(header.l1Offset(), header.l1Entries());
        this.refcountTable = refcountTablePlace(header.refcountTableOffset(), header.refcountTableClusters());
    }

    void setL1(long offset, int entries) {
        l1 = l1Place(offset, entries);
    }

    void setRefcountTable(long offset, int clusters) {
        refcountTable = refcountTablePlace(offset, clusters);
    }

    private Place l1Place(long offset, int entries) {
        return new Place(offset, roundUp(offset + (long) entries * Long.BYTES));
    }

    private Place refcountTablePlace(long offset, int clusters) {
        return new Place(offset, offset + ((long) clusters << clusterBits));
    }

    /** Returns the end of the last cluster that is in use or ever was. What is behind reads as zeros. */
    long end() {
        return end;
    }

    /** Takes note that clusters up to an offset are in use. Called by those who allocate, one at a time. */
    @SuppressWarnings("NonAtomicVolatileUpdate") // written under the lock of those who allocate
    void extend(long to) {
        end = Math.max(end, to);
    }

    int clusterBits() {
        return clusterBits;
    }

    int clusterSize() {
        return 1 << clusterBits;
    }

    /** Rounds up to whole clusters. */
    long roundUp(long bytes) {
        return (bytes + clusterSize() - 1) & -clusterSize();
    }

    /** Checks a place for a table or data: whole clusters, clear of the structures that are at fixed places. Returns its offset. */
    long check(String what, long offset, long clusters) throws IOException {
        long bytes = clusters << clusterBits;
        if ((offset & (clusterSize() - 1)) != 0
                || offset < clusterSize()
                || offset > Qcow2Format.OFFSET_MASK - bytes
                || l1.overlaps(offset, bytes)
                || refcountTable.overlaps(offset, bytes)) {
            throw corrupt(what + " at 0x" + Long.toHexString(offset)
                    + " is not on a cluster, or overlaps the header, the L1 table or the refcount table");
        }
        return offset;
    }

    /** The same, for what the file is said to have. */
    long checkInUse(String what, long offset) throws IOException {
        check(what, offset, 1);
        if (offset >= end) {
            throw corrupt(what + " at 0x" + Long.toHexString(offset) + " is beyond the end of the file, 0x"
                    + Long.toHexString(end));
        }
        return offset;
    }

    Qcow2CorruptionException corrupt(String problem) {
        return new Qcow2CorruptionException(file + ": " + problem + "; check it with qemu-img check");
    }
}
