package io.github.jkvm.virtio.block;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;

/**
 * A disk that is stored byte for byte: in a file, on a block device of the host, or in memory.
 *
 * <p>A file in use is locked: see {@link ImageAccess}. Space that is discarded goes back to the host where its file system can punch holes.
 */
public final class RawImage implements DiskImage {
    private final ImageFile file;
    private volatile long size;

    private RawImage(ImageFile file, long size) {
        this.file = file;
        this.size = size;
    }

    /**
     * Opens a file or a block device.
     *
     * @param path the file
     * @param access what for
     * @return the image
     * @throws IOException if there is no such file, it can't be opened, is in use, or is not made of whole sectors
     */
    public static RawImage open(Path path, ImageAccess access) throws IOException {
        Objects.requireNonNull(access, "access");
        ImageFile file = ImageFile.open(path, access);
        try {
            long size = file.length();
            if (size % SECTOR_BYTES != 0) {
                throw new FileSystemException(
                        path.toString(),
                        null,
                        "its " + size + " bytes are not whole sectors of " + SECTOR_BYTES
                                + "; extend it (truncate --size=%" + SECTOR_BYTES + ")");
            }
            return new RawImage(file, size);
        } catch (IOException | RuntimeException e) {
            file.close();
            throw e;
        }
    }

    /**
     * Makes a new, sparse file that reads as zeros, and opens it.
     *
     * @param path the file, which must not be there
     * @param size its size in bytes, a multiple of {@link DiskImage#SECTOR_BYTES}
     * @return the image
     * @throws IllegalArgumentException if the size is negative or not made of whole sectors
     * @throws IOException if the file is there or can't be made
     */
    public static RawImage create(Path path, long size) throws IOException {
        checkSize(size);
        ImageFile file = ImageFile.create(path);
        try {
            file.setLength(size);
            return new RawImage(file, size);
        } catch (IOException | RuntimeException e) {
            file.close();
            Files.delete(path);
            throw e;
        }
    }

    /**
     * Makes a disk in memory that reads as zeros. It takes as much memory as was written and not discarded, outside the Java heap, and is
     * gone when it is closed.
     *
     * @param size its size in bytes, a multiple of {@link DiskImage#SECTOR_BYTES}
     * @return the image
     * @throws IllegalArgumentException if the size is negative or not made of whole sectors
     * @throws IOException if the host refuses it
     */
    public static RawImage inMemory(long size) throws IOException {
        checkSize(size);
        return sized(ImageFile.inMemory("disk of " + size + " bytes in memory"), size);
    }

    /** Makes a disk in a file without a name. */
    static RawImage unnamed(Path directory, long size) throws IOException {
        return sized(ImageFile.createUnnamed(directory), size);
    }

    private static RawImage sized(ImageFile file, long size) throws IOException {
        try {
            file.setLength(size);
            return new RawImage(file, size);
        } catch (IOException | RuntimeException e) {
            file.close();
            throw e;
        }
    }

    private static void checkSize(long size) {
        if (size < 0 || size % SECTOR_BYTES != 0) {
            throw new IllegalArgumentException(
                    "disk size " + size + " must be 0 or more bytes in whole sectors of " + SECTOR_BYTES);
        }
    }

    /**
     * Makes the disk larger. What is added reads as zeros. The device is told with {@code BlockDevice.resize}.
     *
     * @param newSize the new size in bytes, a multiple of {@link DiskImage#SECTOR_BYTES}, at least the size there is
     * @throws IllegalArgumentException if the size is none of these
     * @throws IllegalStateException if the image is closed or read-only
     * @throws IOException if the file can't be extended
     */
    public synchronized void grow(long newSize) throws IOException {
        checkWritable();
        checkSize(newSize);
        if (newSize < size) {
            throw new IllegalArgumentException(
                    "new size " + newSize + " must be at least the " + size + " bytes of " + this);
        }
        file.setLength(newSize);
        size = newSize;
    }

    /** Returns the file, whose bytes are the disk's. */
    ImageFile file() {
        return file;
    }

    @Override
    public long size() {
        return size;
    }

    @Override
    public boolean isReadOnly() {
        return file.access() == ImageAccess.READ_ONLY;
    }

    @Override
    public void read(long offset, List<MemorySegment> targets) throws IOException {
        checkRange(offset, DiskImage.length(targets));
        file.readFully(offset, targets);
    }

    @Override
    public void write(long offset, List<MemorySegment> sources) throws IOException {
        checkWritable();
        checkRange(offset, DiskImage.length(sources));
        file.write(offset, sources);
    }

    @Override
    public void flush() throws IOException {
        file.sync();
    }

    @Override
    public void discard(long offset, long length) throws IOException {
        checkWritable();
        checkRange(offset, length);
        if (length != 0) {
            // Advice: where the file system can't do it, the range stays as it is.
            file.punchHole(offset, length);
        }
    }

    @Override
    public void writeZeroes(long offset, long length, ZeroMode mode) throws IOException {
        checkWritable();
        checkRange(offset, length);
        file.writeZeroes(offset, length, mode);
    }

    @Override
    public void close() throws IOException {
        try {
            if (!isReadOnly() && !file.isClosed()) {
                file.sync();
            }
        } finally {
            file.close();
        }
    }

    /** Returns the path, or what it is. */
    @Override
    public String toString() {
        return file.toString();
    }
}
