package io.github.jkvm;

import java.lang.foreign.MemorySegment;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * One contiguous piece of guest-physical memory and the host memory behind it.
 *
 * <p>Made by {@link Vm#addMemory}, or with {@link #onHeap} and {@link #of} for code that works on guest memory with no hypervisor (devices
 * and loaders in unit tests). Its contents are read and written through {@link GuestMemory}, which knows all regions; this class holds
 * what belongs to one: place, size, access and the record of pages that the host wrote.
 *
 * <p>Safe for use by many threads. Two threads, or a thread and the guest, that touch the same bytes at the same time see
 * what the hardware gives them, never a fault.
 */
public final class MemoryRegion {
    private final GuestAddress base;
    private final long size;
    private final Access access;
    private final MemorySegment segment;
    private final HostPages pages;
    private volatile @Nullable DirtyBitmap hostWrites;

    /** What the guest may do with a region. The host may always do both. */
    public enum Access {
        /** Reads, writes and instruction fetches. */
        READ_WRITE,
        /** Reads and instruction fetches; a write leaves the guest as an MMIO exit. */
        READ_ONLY
    }

    private MemoryRegion(GuestAddress base, MemorySegment segment, Access access, HostPages pages) {
        this.base = Objects.requireNonNull(base, "base");
        this.segment = segment;
        this.pages = Objects.requireNonNull(pages, "pages");
        this.size = segment.byteSize();
        this.access = Objects.requireNonNull(access, "access");
        if (size == 0) {
            throw new IllegalArgumentException("memory region at " + base + " has size 0; it must be above 0");
        }
        if (Long.compareUnsigned(base.value() + size - 1, base.value()) < 0) {
            throw new IllegalArgumentException(
                    "memory region of " + size + " bytes at " + base + " passes the end of the address space");
        }
    }

    /**
     * Returns a region of zeroed memory on the Java heap, for use without a hypervisor.
     *
     * @param base guest-physical address of its first byte
     * @param size size in bytes, a multiple of 8, below 16 GiB
     * @return the region
     * @throws IllegalArgumentException if the size is out of range or the region passes the end of the address space
     */
    public static MemoryRegion onHeap(GuestAddress base, long size) {
        if (size <= 0 || size % Long.BYTES != 0 || size / Long.BYTES > Integer.MAX_VALUE - 8) {
            throw new IllegalArgumentException(
                    "heap region size " + size + " must be a multiple of 8, above 0 and below 16 GiB");
        }
        // An array of longs, since a heap segment's alignment is its array's: atomic accessors need up to 8 bytes.
        return of(base, MemorySegment.ofArray(new long[(int) (size / Long.BYTES)]), Access.READ_WRITE);
    }

    /**
     * Returns a region over memory that the caller owns. Backends use it; so may tests. The region lives as long as the segment does:
     * once the segment's arena is closed, every access is an {@link IllegalStateException}.
     *
     * @param base guest-physical address of its first byte
     * @param segment the memory, writable, aligned to at least 8 bytes, open to all threads
     * @param access what the guest may do with it
     * @return the region
     * @throws IllegalArgumentException if the segment is empty, read-only, not aligned, bound to one thread, or passes the end of the
     *     address space
     */
    public static MemoryRegion of(GuestAddress base, MemorySegment segment, Access access) {
        return of(base, segment, access, new PlainPages(segment));
    }

    /**
     * Returns a region over memory that the caller owns and knows how to give back to the host. Backends use it.
     *
     * @param base guest-physical address of its first byte
     * @param segment the memory, writable, aligned to at least 8 bytes, open to all threads
     * @param access what the guest may do with it
     * @param pages the host's side of it
     * @return the region
     * @throws IllegalArgumentException as {@link #of(GuestAddress, MemorySegment, Access)} throws it
     */
    public static MemoryRegion of(GuestAddress base, MemorySegment segment, Access access, HostPages pages) {
        if (segment.isReadOnly()) {
            throw new IllegalArgumentException(
                    "memory region at " + base + " needs a writable segment, got " + segment);
        }
        if (segment.maxByteAlignment() < Long.BYTES) {
            throw new IllegalArgumentException("memory region at " + base + " needs a segment aligned to 8 bytes, got "
                    + segment + " aligned to " + segment.maxByteAlignment());
        }
        if (!segment.isAccessibleBy(Thread.ofPlatform().unstarted(() -> {}))) {
            throw new IllegalArgumentException("memory region at " + base
                    + " needs a segment open to all threads (Arena.ofShared), got " + segment);
        }
        return new MemoryRegion(base, segment, access, pages);
    }

    /**
     * Returns where the region begins.
     *
     * @return the guest-physical address of its first byte
     */
    public GuestAddress base() {
        return base;
    }

    /**
     * Returns how large the region is.
     *
     * @return the size in bytes
     */
    public long size() {
        return size;
    }

    /**
     * Returns what the guest may do with the region.
     *
     * @return the access
     */
    public Access access() {
        return access;
    }

    /**
     * Tells whether a range lies inside the region.
     *
     * @param address guest-physical address of the first byte, unsigned
     * @param length length in bytes, 0 or more
     * @return true if every byte of it does
     */
    public boolean contains(long address, long length) {
        long offset = address - base.value();
        // One unsigned comparison covers addresses below the base too: their offset wraps to a huge value.
        return length >= 0 && length <= size && Long.compareUnsigned(offset, size - length) <= 0;
    }

    /**
     * Returns the memory itself, for bulk transfers such as channel reads and writes. Writing through it is not seen by dirty tracking:
     * call {@link #markDirty} after.
     *
     * @return the segment, as long as the region
     */
    public MemorySegment segment() {
        return segment;
    }

    /**
     * Gives the pages of a range back to the host: the guest does not need what is in them. Where memory is not made of pages of the host, it is
     * filled with zeros. Pages that lie in the range only in part stay as they are.
     *
     * @param offset first byte, relative to the region
     * @param length length in bytes
     * @return how many bytes were discarded, 0 if the host refused
     * @throws IndexOutOfBoundsException if the range is not inside the region
     * @throws IllegalStateException if the memory is gone
     */
    public long discard(long offset, long length) {
        Objects.checkFromIndexSize(offset, length, size);
        long discarded = pages.discard(offset, length);
        markDirty(offset, length);
        return discarded;
    }

    /**
     * Returns what is left where pages were {@linkplain #discard discarded}.
     *
     * @return the contents
     */
    public HostPages.Remains remains() {
        return pages.remains();
    }

    /**
     * Returns the pages that may hold something else than the region began with: zeros, or the contents of what is behind it. Needs no
     * {@linkplain Vm#startDirtyTracking tracking}, and does not read the memory. A page that was only read may be among them; none that was written is
     * missing, whoever wrote it.
     *
     * @return the pages, relative to the region; empty if the host does not know, as with memory that others may share, and then any may
     * @throws IllegalStateException if the memory is gone
     */
    public Optional<DirtyPages> changedPages() {
        return pages.changed();
    }

    /**
     * Returns the file that another process can map to see the same memory.
     *
     * @return the file; empty if the memory is this process's alone
     */
    public Optional<HostPages.SharedFile> sharedFile() {
        return pages.sharedFile();
    }

    /**
     * Records that the host wrote a range. Costs one comparison when tracking is off.
     *
     * @param offset first byte, relative to the region
     * @param length length in bytes
     * @throws IndexOutOfBoundsException if the range is not inside the region
     */
    public void markDirty(long offset, long length) {
        DirtyBitmap bitmap = hostWrites;
        if (bitmap != null) {
            Objects.checkFromIndexSize(offset, length, size);
            bitmap.mark(offset, length);
        }
    }

    /**
     * Starts recording the pages that the host writes through {@link GuestMemory}. If it was on, it goes on and keeps its record.
     * {@link Vm#startDirtyTracking} does this and the same for the guest's writes.
     */
    public synchronized void startHostDirtyTracking() {
        if (hostWrites == null) {
            hostWrites = new DirtyBitmap(size);
        }
    }

    /** Stops recording and forgets the record. */
    public synchronized void stopHostDirtyTracking() {
        hostWrites = null;
    }

    /**
     * Returns the pages that the host wrote since tracking started or since the last call, and begins anew. A write that races with this
     * call is in this result or in the next.
     *
     * @return the pages, relative to the region
     * @throws IllegalStateException if tracking is off
     */
    public DirtyPages takeHostDirtyPages() {
        DirtyBitmap bitmap = hostWrites;
        if (bitmap == null) {
            throw new IllegalStateException("dirty tracking is off for " + this + "; start it first");
        }
        return bitmap.take();
    }

    /** Returns place, size and access, such as {@code memory 0x0..0xffff (65536 bytes, READ_WRITE)}. */
    @Override
    public String toString() {
        return "memory " + base + "..0x" + Long.toHexString(base.value() + size - 1) + " (" + size + " bytes, " + access
                + ")";
    }

    /** Memory of which nobody knows more than that it can be written. */
    private record PlainPages(MemorySegment segment) implements HostPages {
        @Override
        public long discard(long offset, long length) {
            segment.asSlice(offset, length).fill((byte) 0);
            return length;
        }

        @Override
        public Remains remains() {
            return Remains.ZEROS;
        }

        @Override
        public Optional<SharedFile> sharedFile() {
            return Optional.empty();
        }
    }
}
