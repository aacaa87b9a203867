package io.github.jkvm.virtio.block;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.List;

/**
 * A disk that begins as the content of another image and keeps what is written to itself. The other image, the base, is only read.
 *
 * <p>Many overlays may share one base, as the disks of clones do. The program closes the base after them, and does not write it as long as
 * there are any. What an overlay holds is gone when it is closed; {@link Qcow2Image} has overlays that stay.
 */
public final class OverlayImage implements DiskImage {
    private final DiskImage base;
    private final RawImage written;
    private final SectorMap own;
    private final long size;

    private OverlayImage(DiskImage base, RawImage written) {
        this.base = base;
        this.written = written;
        this.size = written.size();
        this.own = new SectorMap(size / SECTOR_BYTES);
    }

    /**
     * Makes an overlay that keeps what is written in memory, outside the Java heap: at most as much as the disk is large.
     *
     * @param base the image below
     * @return the overlay, of the base's size
     * @throws IOException if the host refuses the memory
     */
    public static OverlayImage inMemory(DiskImage base) throws IOException {
        return new OverlayImage(base, RawImage.inMemory(base.size()));
    }

    /**
     * Makes an overlay that keeps what is written in a sparse file without a name, which is gone when the overlay is closed or the program ends.
     *
     * @param base the image below
     * @param directory folder on the file system that is to hold the file
     * @return the overlay, of the base's size
     * @throws IOException if the file can't be made
     */
    public static OverlayImage onDisk(DiskImage base, Path directory) throws IOException {
        return new OverlayImage(base, RawImage.unnamed(directory, base.size()));
    }

    @Override
    public long size() {
        return size;
    }

    @Override
    public boolean isReadOnly() {
        return false;
    }

    @Override
    public void read(long offset, List<MemorySegment> targets) throws IOException {
        long length = DiskImage.length(targets);
        checkRange(offset, length);
        long end = (offset + length) / SECTOR_BYTES;
        for (long sector = offset / SECTOR_BYTES; sector < end; ) {
            long runEnd = own.runEnd(sector, end);
            DiskImage source = own.contains(sector) ? written : base;
            long from = sector * SECTOR_BYTES;
            source.read(from, DiskImage.slice(targets, from - offset, (runEnd - sector) * SECTOR_BYTES));
            sector = runEnd;
        }
    }

    @Override
    public void write(long offset, List<MemorySegment> sources) throws IOException {
        written.write(offset, sources);
        // The bytes are in place before a reader is sent to them.
        markOwn(offset, DiskImage.length(sources));
    }

    @Override
    public void flush() throws IOException {
        written.flush();
    }

    @Override
    public void discard(long offset, long length) throws IOException {
        writeZeroes(offset, length, ZeroMode.MAY_UNMAP);
    }

    @Override
    public void writeZeroes(long offset, long length, ZeroMode mode) throws IOException {
        written.writeZeroes(offset, length, mode);
        markOwn(offset, length);
    }

    private void markOwn(long offset, long length) {
        own.add(offset / SECTOR_BYTES, (offset + length) / SECTOR_BYTES);
    }

    /** Lets go of what was written. The base stays open. Closing twice does nothing. */
    @Override
    public void close() throws IOException {
        written.close();
    }

    /** Returns what it is an overlay of. */
    @Override
    public String toString() {
        return "overlay of " + base;
    }
}
