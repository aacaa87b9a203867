package io.github.jkvm.virtio.block;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Objects;

/**
 * The bytes of a disk.
 *
 * <p>Offsets and lengths are in bytes and multiples of {@link #SECTOR_BYTES}. Every method may be called from several threads at the same time.
 * Requests that overlap and run at the same time take effect in any order, sector by sector; one that begins after another
 * has returned sees what that one did. A method blocks for as long as the storage takes.
 *
 * <p>Memory given to {@link #read} and {@link #write} is used until they return and not kept. Native memory is read and written where it lies.
 */
public interface DiskImage extends AutoCloseable {
    /** The unit of offsets and lengths in bytes (virtio 1.2, 5.2.4: "expressed in 512-byte sectors"). */
    int SECTOR_BYTES = 512;

    /**
     * Returns how large the disk is.
     *
     * @return the size in bytes, a multiple of {@link #SECTOR_BYTES}
     */
    long size();

    /**
     * Tells whether the image can't be written.
     *
     * @return true if it is read-only
     */
    boolean isReadOnly();

    /**
     * Returns what a range that is discarded should be made of, so that its space can be given back.
     *
     * @return the size and alignment in bytes, a multiple of {@link #SECTOR_BYTES}
     */
    default int discardGranularity() {
        return 4096;
    }

    /**
     * Reads.
     *
     * @param offset where from
     * @param targets where to, filled one after the other; a multiple of {@link #SECTOR_BYTES} in total
     * @throws IllegalArgumentException if the range is not within the disk or not made of whole sectors
     * @throws IllegalStateException if the image is closed
     * @throws IOException if the storage fails, or the image's structures turn out to be damaged; the targets then hold anything
     */
    void read(long offset, List<MemorySegment> targets) throws IOException;

    /**
     * Writes. What was written is durable after the next {@link #flush}.
     *
     * @param offset where to
     * @param sources the bytes, one after the other; a multiple of {@link #SECTOR_BYTES} in total
     * @throws IllegalArgumentException if the range is not within the disk or not made of whole sectors
     * @throws IllegalStateException if the image is closed or read-only
     * @throws IOException if the storage fails or is full; the range then holds old or new bytes, sector by sector
     */
    void write(long offset, List<MemorySegment> sources) throws IOException;

    /**
     * Makes durable what was written, discarded and zeroed before the call: after the return it survives a crash of the host.
     *
     * @throws IllegalStateException if the image is closed
     * @throws IOException if the storage fails; what is durable is then not known
     */
    void flush() throws IOException;

    /**
     * Says that a range is no longer needed. Its space is given back where the storage can do that. What it reads as afterwards is not
     * defined; it never is data of another disk or file.
     *
     * @param offset start of the range
     * @param length its length
     * @throws IllegalArgumentException if the range is not within the disk or not made of whole sectors
     * @throws IllegalStateException if the image is closed or read-only
     * @throws IOException if the storage fails
     */
    void discard(long offset, long length) throws IOException;

    /**
     * Makes a range read as zeros.
     *
     * @param offset start of the range
     * @param length its length
     * @param mode what becomes of its space
     * @throws IllegalArgumentException if the range is not within the disk or not made of whole sectors
     * @throws IllegalStateException if the image is closed or read-only
     * @throws IOException if the storage fails or is full
     */
    void writeZeroes(long offset, long length, ZeroMode mode) throws IOException;

    /**
     * Flushes the image if it can be written, and lets go of it and of what it owns. Requests under way end first. Closing twice does nothing.
     *
     * @throws IOException if the storage fails; the image is closed nevertheless
     */
    @Override
    void close() throws IOException;

    /**
     * Checks that a range is made of whole sectors within a disk of the current size, for implementations.
     *
     * @param offset start of the range
     * @param length its length
     * @throws IllegalArgumentException if it is not
     */
    default void checkRange(long offset, long length) {
        long size = size();
        if (((offset | length) & (SECTOR_BYTES - 1)) != 0 || offset < 0 || length < 0 || offset > size - length) {
            throw new IllegalArgumentException("range of " + length + " bytes at " + offset
                    + " must be whole sectors of " + SECTOR_BYTES + " bytes within the disk of " + size);
        }
    }

    /**
     * Checks that the image can be written, for implementations.
     *
     * @throws IllegalStateException if it is read-only
     */
    default void checkWritable() {
        if (isReadOnly()) {
            throw new IllegalStateException(this + " is read-only; open it with " + ImageAccess.READ_WRITE);
        }
    }

    /**
     * Returns the total length of a list of segments, for implementations.
     *
     * @param segments the segments
     * @return the length in bytes
     */
    static long length(List<MemorySegment> segments) {
        long length = 0;
        for (int i = 0; i < segments.size(); i++) {
            length = Math.addExact(length, segments.get(i).byteSize());
        }
        return length;
    }

    /**
     * Returns a part of what a list of segments holds, for implementations that cut requests.
     *
     * @param segments the segments
     * @param from where the part begins in bytes
     * @param length its length in bytes
     * @return the same memory; the list itself where the part is all of it
     * @throws IndexOutOfBoundsException if the segments do not hold the part
     */
    static List<MemorySegment> slice(List<MemorySegment> segments, long from, long length) {
        long total = length(segments);
        Objects.checkFromIndexSize(from, length, total);
        return length == total ? segments : SegmentLists.cut(segments, from, length);
    }
}
