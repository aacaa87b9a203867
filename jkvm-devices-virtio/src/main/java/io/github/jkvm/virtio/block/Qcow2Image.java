package io.github.jkvm.virtio.block;

import static io.github.jkvm.virtio.block.Qcow2Format.OFFSET_MASK;

import io.github.jkvm.virtio.block.Qcow2Allocator.Change;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import org.jspecify.annotations.Nullable;

/**
 * A disk in a qcow2 file, version 3: takes space only for what was written, can have another image below, and is shared with QEMU's tools.
 *
 * <p>Read and written are images with all widths of refcounts, zero clusters, clusters compressed with deflate (written anew without
 * compression) and internal snapshots (kept as they are). Encryption, external data files, zstd and extended L2 entries are
 * refused by name. The file is not trusted: what its tables say is checked before it is used, and an image whose tables contradict themselves
 * is marked as corrupt, read where that is possible, and not written any more.
 *
 * <p>An image below is used only if the program names it, never because the file does. What is durable after {@link #flush} is
 * consistent if the host crashes, and what is not does not harm it.
 */
public final class Qcow2Image implements DiskImage {
    private static final MemorySegment ZEROS =
            Arena.global().allocate(1L << Qcow2Format.MAX_CLUSTER_BITS).asReadOnly();

    private final ImageFile file;
    private final Arena arena;
    private final Qcow2Layout layout;
    private final Qcow2Mapping mapping;
    private final Qcow2Contents contents;
    private final Qcow2Allocator allocator;
    private final long incompatible;

    /** Held for reading by those who move data; whoever gets it for writing knows that they have ended. */
    private final ReentrantReadWriteLock transfers = new ReentrantReadWriteLock();

    private volatile long size;
    private volatile boolean closed;
    private volatile @Nullable IOException damage;

    @SuppressWarnings("this-escape") // it is called later
    private Qcow2Image(ImageFile file, Qcow2Header header, @Nullable DiskImage backing, Arena arena)
            throws IOException {
        this.file = file;
        this.arena = arena;
        this.size = header.size();
        this.incompatible = header.incompatible();
        this.layout = new Qcow2Layout(file, header);
        this.mapping = new Qcow2Mapping(file, layout, header, arena);
        this.contents = new Qcow2Contents(file, layout, backing);
        Qcow2Refcounts refcounts = new Qcow2Refcounts(file, layout, header, arena);
        this.allocator = new Qcow2Allocator(file, layout, refcounts, mapping, contents, arena, this::awaitTransfers);
    }

    /**
     * Opens an image that has none below.
     *
     * @param path the file
     * @param access what for
     * @return the image
     * @throws ImageFormatException if the file is not such an image, is damaged, or needs what is not supported
     * @throws IOException if there is no such file, it can't be opened, or is in use
     */
    public static Qcow2Image open(Path path, ImageAccess access) throws IOException {
        return open(path, access, null);
    }

    /**
     * Opens an image with another one below.
     *
     * @param path the file
     * @param access what for
     * @param backing what the image shows where nothing was written, whatever its file says; stays open and unchanged as long as this image is
     *     open, and is closed by the program
     * @return the image
     * @throws ImageFormatException if the file is not such an image, is damaged, needs what is not supported, or was made without an image below
     * @throws IOException if there is no such file, it can't be opened, or is in use
     */
    public static Qcow2Image openOver(Path path, ImageAccess access, DiskImage backing) throws IOException {
        return open(path, access, Objects.requireNonNull(backing, "backing"));
    }

    /**
     * Makes a new image that takes little more space than a few clusters, and opens it.
     *
     * @param path the file, which must not be there
     * @param size size of the disk in bytes, a multiple of {@link DiskImage#SECTOR_BYTES}
     * @param options how it is made
     * @return the image; it reads as zeros, or as the image below
     * @throws IllegalArgumentException if the size is negative, not made of whole sectors, or larger than the format can have with this cluster size
     * @throws IOException if the file is there or can't be made
     */
    public static Qcow2Image create(Path path, long size, Qcow2Options options) throws IOException {
        long most = Qcow2Format.maxSize(Integer.numberOfTrailingZeros(options.clusterSize()));
        if (size < 0 || size % SECTOR_BYTES != 0 || size > most) {
            throw new IllegalArgumentException("disk size " + size + " must be whole sectors of " + SECTOR_BYTES
                    + " bytes, and at most " + most + " with clusters of " + options.clusterSize());
        }
        try (ImageFile file = ImageFile.create(path)) {
            Qcow2Creation.write(file, size, options);
        } catch (IOException | RuntimeException e) {
            Files.deleteIfExists(path);
            throw e;
        }
        Qcow2Options.Backing backing = options.backing();
        return open(path, ImageAccess.READ_WRITE, backing == null ? null : backing.image());
    }

    @SuppressWarnings("MustBeClosedChecker") // the image closes it
    private static Qcow2Image open(Path path, ImageAccess access, @Nullable DiskImage backing) throws IOException {
        ImageFile file = ImageFile.open(path, Objects.requireNonNull(access, "access"));
        Arena arena = Arena.ofShared();
        try {
            Qcow2Header header = Qcow2Header.read(file);
            checkBacking(file, header, backing);
            if (access == ImageAccess.READ_WRITE) {
                prepareToWrite(file, header);
            }
            return new Qcow2Image(file, header, backing, arena);
        } catch (IOException | RuntimeException e) {
            arena.close();
            file.close();
            throw e;
        }
    }

    private static void checkBacking(ImageFile file, Qcow2Header header, @Nullable DiskImage backing)
            throws ImageFormatException {
        String name = header.backingName();
        if (name != null && backing == null) {
            throw new ImageFormatException(
                    file.toString(),
                    "it lies over another image, which it calls '" + name
                            + "'; open that one and give it to openOver, or merge them with qemu-img convert");
        }
        if (name == null && backing != null) {
            throw new ImageFormatException(file.toString(), "it does not lie over another image; open it with open");
        }
    }

    private static void prepareToWrite(ImageFile file, Qcow2Header header) throws IOException {
        if ((header.incompatible() & Qcow2Header.CORRUPT) != 0) {
            throw new ImageFormatException(
                    file.toString(),
                    "it is marked as corrupt; repair it with qemu-img check -r all, or open it READ_ONLY");
        }
        if ((header.incompatible() & Qcow2Header.DIRTY) != 0) {
            throw new ImageFormatException(
                    file.toString(),
                    "it was not closed, and its refcounts may be wrong (dirty bit); repair it with qemu-img check -r all, or"
                            + " open it READ_ONLY");
        }
        if (header.autoclear() != 0) {
            // These bits say that dirty bitmaps and the like go with the content, which is about to change.
            Qcow2Header.clearAutoclear(file);
            file.sync();
        }
    }

    @Override
    public long size() {
        return size;
    }

    @Override
    public boolean isReadOnly() {
        return file.access() == ImageAccess.READ_ONLY;
    }

    /** Returns the cluster size. */
    @Override
    public int discardGranularity() {
        return layout.clusterSize();
    }

    @Override
    public void read(long offset, List<MemorySegment> targets) throws IOException {
        long length = DiskImage.length(targets);
        checkRange(offset, length);
        transfers.readLock().lock();
        try {
            checkOpen();
            for (long done = 0; done < length; ) {
                long at = offset + done;
                long entry = mapping.entry(at >> layout.clusterBits());
                long count = runLength(entry, at, length - done);
                contents.read(entry, at, DiskImage.slice(targets, done, count));
                done += count;
            }
        } catch (Qcow2CorruptionException e) {
            throw damaged(e);
        } finally {
            transfers.readLock().unlock();
        }
    }

    /** Returns how many bytes from a place on are read alike: of one cluster, and of the next ones if their data follows in the file. */
    private long runLength(long entry, long at, long most) throws IOException {
        int clusterSize = layout.clusterSize();
        long count = clusterSize - (at & (clusterSize - 1));
        if (Qcow2Format.isCompressed(entry) || Qcow2Format.readsAsZeros(entry)) {
            return Math.min(count, most);
        }
        boolean unallocated = Qcow2Format.isUnallocated(entry);
        long next = entry & OFFSET_MASK;
        while (count < most) {
            next += unallocated ? 0 : clusterSize;
            long other = mapping.entry((at + count) >> layout.clusterBits());
            if (Qcow2Format.isCompressed(other) || Qcow2Format.readsAsZeros(other) || (other & OFFSET_MASK) != next) {
                break;
            }
            count += clusterSize;
        }
        return Math.min(count, most);
    }

    @Override
    public void write(long offset, List<MemorySegment> sources) throws IOException {
        checkWritable();
        long length = DiskImage.length(sources);
        checkRange(offset, length);
        try {
            for (long done = 0; done < length; ) {
                List<MemorySegment> rest = DiskImage.slice(sources, done, length - done);
                long count = writeInPlace(offset + done, rest, length - done);
                done += count != 0 ? count : writeByAllocation(offset + done, rest);
            }
        } catch (Qcow2CorruptionException e) {
            throw damaged(e);
        }
    }

    /** Writes the first bytes where their clusters are; returns how many, 0 if the first one has no cluster that may be written. */
    private long writeInPlace(long at, List<MemorySegment> sources, long length) throws IOException {
        transfers.readLock().lock();
        try {
            checkUsable();
            int clusterSize = layout.clusterSize();
            long entry = mapping.entry(at >> layout.clusterBits());
            if (!Qcow2Format.isWritable(entry)) {
                return 0;
            }
            long count = clusterSize - (at & (clusterSize - 1));
            long next = entry;
            while (count < length) {
                next += clusterSize;
                if (mapping.entry((at + count) >> layout.clusterBits()) != next) {
                    break;
                }
                count += clusterSize;
            }
            count = Math.min(count, length);
            file.write((entry & OFFSET_MASK) + (at & (clusterSize - 1)), DiskImage.slice(sources, 0, count));
            return count;
        } finally {
            transfers.readLock().unlock();
        }
    }

    private long writeByAllocation(long at, List<MemorySegment> sources) throws IOException {
        allocator.lock().lock();
        try {
            checkUsable();
            return allocator.write(at, sources);
        } finally {
            allocator.lock().unlock();
        }
    }

    @Override
    public void flush() throws IOException {
        if (!isReadOnly()) {
            allocator.lock().lock();
            try {
                checkUsable();
                if (allocator.isDirty()) {
                    allocator.writeBack();
                    return;
                }
            } catch (Qcow2CorruptionException e) {
                throw damaged(e);
            } finally {
                allocator.lock().unlock();
            }
        }
        file.sync();
    }

    @Override
    public void discard(long offset, long length) throws IOException {
        checkWritable();
        checkRange(offset, length);
        // What is not a whole cluster stays: it is only advice.
        changeClusters(
                layout.roundUp(offset) >> layout.clusterBits(),
                (offset + length) >> layout.clusterBits(),
                Change.DISCARD);
    }

    @Override
    public void writeZeroes(long offset, long length, ZeroMode mode) throws IOException {
        checkWritable();
        checkRange(offset, length);
        long end = offset + length;
        long firstWhole = Math.min(layout.roundUp(offset), end);
        long endWhole = Math.max(end & -layout.clusterSize(), firstWhole);
        if (end == size && firstWhole != end) {
            // The disk ends within its last cluster, behind which nobody reads.
            endWhole = layout.roundUp(end);
        }
        writeZerosAsData(offset, firstWhole);
        changeClusters(
                firstWhole >> layout.clusterBits(),
                endWhole >> layout.clusterBits(),
                mode == ZeroMode.KEEP ? Change.ZERO_AND_KEEP : Change.ZERO);
        writeZerosAsData(endWhole, end);
    }

    /** Writes zeros to a part of one cluster, unless it reads as zeros already. */
    private void writeZerosAsData(long from, long to) throws IOException {
        try {
            if (from < to && !contents.isZero(mapping.entry(from >> layout.clusterBits()), from)) {
                write(from, List.of(ZEROS.asSlice(0, to - from)));
            }
        } catch (Qcow2CorruptionException e) {
            throw damaged(e);
        }
    }

    private void changeClusters(long from, long end, Change change) throws IOException {
        for (long cluster = from; cluster < end; ) {
            // Other requests get their turn after each L2 table.
            allocator.lock().lock();
            try {
                checkUsable();
                cluster = allocator.change(cluster, end, change);
            } catch (Qcow2CorruptionException e) {
                throw damaged(e);
            } finally {
                allocator.lock().unlock();
            }
        }
    }

    /**
     * Makes the disk larger. What is added reads as zeros. The device is told with {@code BlockDevice.resize}.
     *
     * @param newSize the new size in bytes, a multiple of {@link DiskImage#SECTOR_BYTES}, at least the size there is
     * @throws IllegalArgumentException if the size is none of these, or larger than the format can have with this cluster size
     * @throws IllegalStateException if the image is closed, read-only, or lies over another one that is larger than it is itself
     * @throws IOException if the storage fails or is full
     */
    public void grow(long newSize) throws IOException {
        checkWritable();
        long most = Qcow2Format.maxSize(layout.clusterBits());
        allocator.lock().lock();
        try {
            checkUsable();
            if (newSize < size || newSize % SECTOR_BYTES != 0 || newSize > most) {
                throw new IllegalArgumentException("new size " + newSize + " must be whole sectors, and from the "
                        + size + " bytes of " + this + " to " + most);
            }
            if (contents.backingSize() > size) {
                throw new IllegalStateException(
                        this + " hides the end of the larger image below, which must not show; it can't grow");
            }
            allocator.grow(newSize);
            size = newSize;
        } catch (Qcow2CorruptionException e) {
            throw damaged(e);
        } finally {
            allocator.lock().unlock();
        }
    }

    @Override
    public void close() throws IOException {
        allocator.lock().lock();
        try {
            if (closed) {
                return;
            }
            closed = true;
            awaitTransfers();
            try {
                // Once for what was changed, and once for the clusters that are free since.
                while (!isReadOnly() && damage == null && allocator.isDirty()) {
                    allocator.writeBack();
                }
                if (!isReadOnly()) {
                    file.sync();
                }
            } finally {
                file.close();
                arena.close();
            }
        } finally {
            allocator.lock().unlock();
        }
    }

    /** Waits until transfers of data that have begun have ended. */
    @SuppressWarnings("LockNotBeforeTry") // to have had the lock is all that counts
    private void awaitTransfers() {
        transfers.writeLock().lock();
        transfers.writeLock().unlock();
    }

    private void checkOpen() {
        if (closed) {
            throw new IllegalStateException(this + " is closed");
        }
    }

    private void checkUsable() throws IOException {
        checkOpen();
        IOException found = damage;
        if (found != null) {
            throw new IOException("not written, since the image is damaged", found);
        }
    }

    /** Marks an image that is open for writing as corrupt, and has it written no more. */
    private synchronized IOException damaged(Qcow2CorruptionException found) {
        if (!isReadOnly() && damage == null) {
            damage = found;
            try {
                Qcow2Header.writeIncompatible(file, incompatible | Qcow2Header.CORRUPT);
                file.sync();
            } catch (IOException e) {
                found.addSuppressed(e);
            }
        }
        return found;
    }

    /** Returns the path. */
    @Override
    public String toString() {
        return file.toString();
    }
}
