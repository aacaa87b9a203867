package io.github.jkvm;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * All of a guest's physical memory, addressed as the guest addresses it.
 *
 * <p>Every access is checked against the regions there are; one that touches a hole is a {@link GuestMemoryException} and moves no
 * byte. Bulk accesses may run across regions that touch each other; numbers may too. Numbers are little-endian, as the guest
 * of every supported architecture lays them out. Addresses are unsigned longs, in bytes.
 *
 * <p>Plain accesses of an aligned number don't tear, and are otherwise unordered. The {@code Acquire} and {@code Release} forms are for
 * words shared with a running guest, such as ring indices: they need natural alignment.
 *
 * <p>Safe for use by many threads. Regions may come and go meanwhile: an access sees the regions as they were at one moment, and one
 * that meets a region just removed is an {@link IllegalStateException}.
 */
public final class GuestMemory {
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final VarHandle SHORT_ALIGNED =
            ValueLayout.JAVA_SHORT.withOrder(ByteOrder.LITTLE_ENDIAN).varHandle();
    private static final VarHandle INT_ALIGNED =
            ValueLayout.JAVA_INT.withOrder(ByteOrder.LITTLE_ENDIAN).varHandle();
    private static final VarHandle LONG_ALIGNED =
            ValueLayout.JAVA_LONG.withOrder(ByteOrder.LITTLE_ENDIAN).varHandle();

    /** Sorted by base, never overlapping; replaced as a whole. */
    private volatile MemoryRegion[] regions = {};

    /** Creates a memory with no regions. */
    public GuestMemory() {}

    /**
     * Returns a memory made of the given regions.
     *
     * @param regions the regions, in any order
     * @return the memory
     * @throws IllegalArgumentException if two of them overlap
     */
    public static GuestMemory of(MemoryRegion... regions) {
        GuestMemory memory = new GuestMemory();
        for (MemoryRegion region : regions) {
            memory.add(region);
        }
        return memory;
    }

    /**
     * Adds a region. For backends and tests: memory of a VM is added with {@link Vm#addMemory}, which tells the hypervisor too.
     *
     * @param region the region
     * @throws IllegalArgumentException if it overlaps one that is there
     */
    public synchronized void add(MemoryRegion region) {
        checkFree(region.base(), region.size());
        MemoryRegion[] next = Arrays.copyOf(regions, regions.length + 1);
        next[next.length - 1] = region;
        Arrays.sort(next, Comparator.comparing(MemoryRegion::base));
        regions = next;
    }

    /**
     * Checks that a range overlaps no region.
     *
     * @param base first address of the range
     * @param size size of the range in bytes
     * @throws IllegalArgumentException if it overlaps one, which the text names
     */
    public void checkFree(GuestAddress base, long size) {
        for (MemoryRegion other : regions) {
            long distance = base.value() - other.base().value();
            if (Long.compareUnsigned(distance, other.size()) < 0 || Long.compareUnsigned(-distance, size) < 0) {
                throw new IllegalArgumentException(
                        "memory of " + size + " bytes at " + base + " overlaps " + other + "; choose a free address");
            }
        }
    }

    /**
     * Removes a region. For backends and tests, as {@link #add} is.
     *
     * @param region the region
     * @throws IllegalArgumentException if it is not one of this memory's
     */
    public synchronized void remove(MemoryRegion region) {
        List<MemoryRegion> next = new ArrayList<>(List.of(regions));
        if (!next.remove(region)) {
            throw new IllegalArgumentException(region + " is not part of this guest memory");
        }
        regions = next.toArray(MemoryRegion[]::new);
    }

    /**
     * Returns the regions there are now, lowest first.
     *
     * @return an immutable list
     */
    public List<MemoryRegion> regions() {
        return List.of(regions);
    }

    /**
     * Tells whether every byte of a range is memory.
     *
     * @param address first address, unsigned
     * @param length length in bytes
     * @return true if it is; true for an empty range; false for a negative length
     */
    public boolean contains(long address, long length) {
        if (length < 0) {
            return false;
        }
        MemoryRegion[] now = regions;
        long done = 0;
        while (done < length) {
            MemoryRegion region = lookup(now, address + done);
            if (region == null || Long.compareUnsigned(address + done, address) < 0) {
                return false;
            }
            done += Math.min(
                    length - done,
                    region.size() - (address + done - region.base().value()));
        }
        return true;
    }

    /**
     * Tells whether every byte of a range is memory that the guest may write. A device that writes for the guest must not write more: memory
     * that the guest may only read can be shared with other guests.
     *
     * @param address first address, unsigned
     * @param length length in bytes
     * @return true if it is; true for an empty range; false for a negative length
     */
    public boolean isWritable(long address, long length) {
        if (length < 0) {
            return false;
        }
        MemoryRegion[] now = regions;
        long done = 0;
        while (done < length) {
            MemoryRegion region = lookup(now, address + done);
            if (region == null
                    || Long.compareUnsigned(address + done, address) < 0
                    || region.access() != MemoryRegion.Access.READ_WRITE) {
                return false;
            }
            done += Math.min(
                    length - done,
                    region.size() - (address + done - region.base().value()));
        }
        return true;
    }

    /**
     * Returns the region that holds a whole range.
     *
     * @param address first address, unsigned
     * @param length length in bytes, 0 or more
     * @return the region
     * @throws GuestMemoryException if no single region holds all of it
     */
    public MemoryRegion region(long address, long length) {
        MemoryRegion[] now = regions;
        MemoryRegion region = lookup(now, address);
        if (region == null || !region.contains(address, length)) {
            throw refused(now, address, length);
        }
        return region;
    }

    /**
     * Looks for the region that holds a whole range, for code that has another way when none does: such as when the range runs across
     * regions.
     *
     * @param address first address, unsigned
     * @param length length in bytes, 0 or more
     * @return the region, or null if no single region holds all of it
     */
    public @Nullable MemoryRegion find(long address, long length) {
        MemoryRegion region = lookup(regions, address);
        return region != null && region.contains(address, length) ? region : null;
    }

    /**
     * Returns a range's memory as one segment, for channel reads and writes. What is written through it is not seen by dirty tracking
     * until {@link #markDirty} is called.
     *
     * @param address first address, unsigned
     * @param length length in bytes, 0 or more
     * @return the segment
     * @throws GuestMemoryException if no single region holds all of it; {@link #slices} serves ranges across regions
     */
    public MemorySegment slice(long address, long length) {
        MemoryRegion region = region(address, length);
        return region.segment().asSlice(address - region.base().value(), length);
    }

    /**
     * Returns a range's memory as the segments it is made of, in order: more than one where it runs across regions.
     *
     * @param address first address, unsigned
     * @param length length in bytes, 0 or more
     * @return the segments
     * @throws GuestMemoryException if some of the range is not memory
     */
    public List<MemorySegment> slices(long address, long length) {
        List<MemorySegment> slices = new ArrayList<>(1);
        forEachPart(
                address,
                length,
                (region, offset, done, count) -> slices.add(region.segment().asSlice(offset, count)));
        return slices;
    }

    /**
     * Records that the host wrote a range through {@link #slice} or {@link #slices}.
     *
     * @param address first address, unsigned
     * @param length length in bytes, 0 or more
     * @throws GuestMemoryException if some of the range is not memory
     */
    public void markDirty(long address, long length) {
        MemoryRegion region = lookup(regions, address);
        if (region != null && region.contains(address, length)) {
            region.markDirty(address - region.base().value(), length);
            return;
        }
        forEachPart(address, length, (part, offset, done, count) -> part.markDirty(offset, count));
    }

    /**
     * Reads one byte.
     *
     * @param address its address, unsigned
     * @return the byte
     * @throws GuestMemoryException if it is not memory
     */
    public byte readByte(long address) {
        MemoryRegion region = region(address, 1);
        return region.segment().get(JAVA_BYTE, address - region.base().value());
    }

    /**
     * Reads two bytes as a little-endian number.
     *
     * @param address address of the first, unsigned
     * @return the number
     * @throws GuestMemoryException if they are not memory
     */
    public short readShort(long address) {
        MemoryRegion region = lookup(regions, address);
        if (region != null && region.contains(address, Short.BYTES)) {
            return region.segment().get(SHORT, address - region.base().value());
        }
        return (short) readAcross(address, Short.BYTES);
    }

    /**
     * Reads four bytes as a little-endian number.
     *
     * @param address address of the first, unsigned
     * @return the number
     * @throws GuestMemoryException if they are not memory
     */
    public int readInt(long address) {
        MemoryRegion region = lookup(regions, address);
        if (region != null && region.contains(address, Integer.BYTES)) {
            return region.segment().get(INT, address - region.base().value());
        }
        return (int) readAcross(address, Integer.BYTES);
    }

    /**
     * Reads eight bytes as a little-endian number.
     *
     * @param address address of the first, unsigned
     * @return the number
     * @throws GuestMemoryException if they are not memory
     */
    public long readLong(long address) {
        MemoryRegion region = lookup(regions, address);
        if (region != null && region.contains(address, Long.BYTES)) {
            return region.segment().get(LONG, address - region.base().value());
        }
        return readAcross(address, Long.BYTES);
    }

    /**
     * Writes one byte.
     *
     * @param address its address, unsigned
     * @param value the byte
     * @throws GuestMemoryException if it is not memory
     */
    public void writeByte(long address, byte value) {
        MemoryRegion region = region(address, 1);
        long offset = address - region.base().value();
        region.segment().set(JAVA_BYTE, offset, value);
        region.markDirty(offset, 1);
    }

    /**
     * Writes a number as two little-endian bytes.
     *
     * @param address address of the first, unsigned
     * @param value the number
     * @throws GuestMemoryException if they are not memory; nothing is written then
     */
    public void writeShort(long address, short value) {
        MemoryRegion region = lookup(regions, address);
        if (region == null || !region.contains(address, Short.BYTES)) {
            writeAcross(address, value, Short.BYTES);
            return;
        }
        long offset = address - region.base().value();
        region.segment().set(SHORT, offset, value);
        region.markDirty(offset, Short.BYTES);
    }

    /**
     * Writes a number as four little-endian bytes.
     *
     * @param address address of the first, unsigned
     * @param value the number
     * @throws GuestMemoryException if they are not memory; nothing is written then
     */
    public void writeInt(long address, int value) {
        MemoryRegion region = lookup(regions, address);
        if (region == null || !region.contains(address, Integer.BYTES)) {
            writeAcross(address, value, Integer.BYTES);
            return;
        }
        long offset = address - region.base().value();
        region.segment().set(INT, offset, value);
        region.markDirty(offset, Integer.BYTES);
    }

    /**
     * Writes a number as eight little-endian bytes.
     *
     * @param address address of the first, unsigned
     * @param value the number
     * @throws GuestMemoryException if they are not memory; nothing is written then
     */
    public void writeLong(long address, long value) {
        MemoryRegion region = lookup(regions, address);
        if (region == null || !region.contains(address, Long.BYTES)) {
            writeAcross(address, value, Long.BYTES);
            return;
        }
        long offset = address - region.base().value();
        region.segment().set(LONG, offset, value);
        region.markDirty(offset, Long.BYTES);
    }

    /**
     * Reads a number that the guest shares with the host; what the guest wrote before it is visible after.
     *
     * @param address its address, a multiple of 2, unsigned
     * @return the number
     * @throws GuestMemoryException if it is not memory
     * @throws IllegalArgumentException if the address is not aligned
     */
    public short readShortAcquire(long address) {
        MemoryRegion region = aligned(address, Short.BYTES);
        return (short) SHORT_ALIGNED.getAcquire(
                region.segment(), address - region.base().value());
    }

    /**
     * Reads a number that the guest shares with the host; what the guest wrote before it is visible after.
     *
     * @param address its address, a multiple of 4, unsigned
     * @return the number
     * @throws GuestMemoryException if it is not memory
     * @throws IllegalArgumentException if the address is not aligned
     */
    public int readIntAcquire(long address) {
        MemoryRegion region = aligned(address, Integer.BYTES);
        return (int)
                INT_ALIGNED.getAcquire(region.segment(), address - region.base().value());
    }

    /**
     * Reads a number that the guest shares with the host; what the guest wrote before it is visible after.
     *
     * @param address its address, a multiple of 8, unsigned
     * @return the number
     * @throws GuestMemoryException if it is not memory
     * @throws IllegalArgumentException if the address is not aligned
     */
    public long readLongAcquire(long address) {
        MemoryRegion region = aligned(address, Long.BYTES);
        return (long) LONG_ALIGNED.getAcquire(
                region.segment(), address - region.base().value());
    }

    /**
     * Writes a number that the guest shares with the host; what was written before it is visible to a guest that has seen it.
     *
     * @param address its address, a multiple of 2, unsigned
     * @param value the number
     * @throws GuestMemoryException if it is not memory
     * @throws IllegalArgumentException if the address is not aligned
     */
    public void writeShortRelease(long address, short value) {
        MemoryRegion region = aligned(address, Short.BYTES);
        long offset = address - region.base().value();
        SHORT_ALIGNED.setRelease(region.segment(), offset, value);
        region.markDirty(offset, Short.BYTES);
    }

    /**
     * Writes a number that the guest shares with the host; what was written before it is visible to a guest that has seen it.
     *
     * @param address its address, a multiple of 4, unsigned
     * @param value the number
     * @throws GuestMemoryException if it is not memory
     * @throws IllegalArgumentException if the address is not aligned
     */
    public void writeIntRelease(long address, int value) {
        MemoryRegion region = aligned(address, Integer.BYTES);
        long offset = address - region.base().value();
        INT_ALIGNED.setRelease(region.segment(), offset, value);
        region.markDirty(offset, Integer.BYTES);
    }

    /**
     * Writes a number that the guest shares with the host; what was written before it is visible to a guest that has seen it.
     *
     * @param address its address, a multiple of 8, unsigned
     * @param value the number
     * @throws GuestMemoryException if it is not memory
     * @throws IllegalArgumentException if the address is not aligned
     */
    public void writeLongRelease(long address, long value) {
        MemoryRegion region = aligned(address, Long.BYTES);
        long offset = address - region.base().value();
        LONG_ALIGNED.setRelease(region.segment(), offset, value);
        region.markDirty(offset, Long.BYTES);
    }

    /**
     * Reads bytes into a new array.
     *
     * @param address first address, unsigned
     * @param length how many, 0 or more
     * @return the bytes
     * @throws GuestMemoryException if some of them are not memory
     */
    public byte[] read(long address, int length) {
        if (!contains(address, length)) {
            // Before the array is made, so that a length the guest gave can't make a huge one.
            throw refused(regions, address, length);
        }
        byte[] bytes = new byte[length];
        read(address, MemorySegment.ofArray(bytes));
        return bytes;
    }

    /**
     * Fills a segment with bytes of the guest.
     *
     * @param address first address, unsigned
     * @param target where they go; its size tells how many
     * @throws GuestMemoryException if some of them are not memory; the target is unchanged then
     */
    public void read(long address, MemorySegment target) {
        MemoryRegion region = lookup(regions, address);
        if (region != null && region.contains(address, target.byteSize())) {
            MemorySegment.copy(region.segment(), address - region.base().value(), target, 0, target.byteSize());
            return;
        }
        forEachPart(
                address,
                target.byteSize(),
                (part, offset, done, count) -> MemorySegment.copy(part.segment(), offset, target, done, count));
    }

    /**
     * Writes bytes.
     *
     * @param address first address, unsigned
     * @param bytes the bytes
     * @throws GuestMemoryException if some of the range is not memory; nothing is written then
     */
    public void write(long address, byte[] bytes) {
        write(address, MemorySegment.ofArray(bytes));
    }

    /**
     * Writes the bytes of a segment.
     *
     * @param address first address, unsigned
     * @param source the bytes
     * @throws GuestMemoryException if some of the range is not memory; nothing is written then
     */
    public void write(long address, MemorySegment source) {
        MemoryRegion region = lookup(regions, address);
        if (region != null && region.contains(address, source.byteSize())) {
            long offset = address - region.base().value();
            MemorySegment.copy(source, 0, region.segment(), offset, source.byteSize());
            region.markDirty(offset, source.byteSize());
            return;
        }
        forEachPart(address, source.byteSize(), (part, offset, done, count) -> {
            MemorySegment.copy(source, done, part.segment(), offset, count);
            part.markDirty(offset, count);
        });
    }

    /**
     * Sets every byte of a range to one value.
     *
     * @param address first address, unsigned
     * @param length length in bytes, 0 or more
     * @param value the value
     * @throws GuestMemoryException if some of the range is not memory; nothing is written then
     */
    public void fill(long address, long length, byte value) {
        forEachPart(address, length, (region, offset, done, count) -> {
            region.segment().asSlice(offset, count).fill(value);
            region.markDirty(offset, count);
        });
    }

    /** What is done with the piece of a range that lies in one region. */
    private interface PartAction {
        void accept(MemoryRegion region, long offset, long done, long count);
    }

    private void forEachPart(long address, long length, PartAction action) {
        MemoryRegion[] now = regions;
        // All of it is looked at before any of it is touched: an access is done whole or not at all.
        for (int pass = 0; pass < 2; pass++) {
            long done = 0;
            while (done < length) {
                long at = address + done;
                MemoryRegion region = lookup(now, at);
                if (region == null || Long.compareUnsigned(at, address) < 0) {
                    throw refused(now, address, length);
                }
                long offset = at - region.base().value();
                long count = Math.min(length - done, region.size() - offset);
                if (pass == 1) {
                    action.accept(region, offset, done, count);
                }
                done += count;
            }
        }
        if (length < 0) {
            throw refused(now, address, length);
        }
    }

    private long readAcross(long address, int length) {
        byte[] bytes = new byte[length];
        read(address, MemorySegment.ofArray(bytes));
        return Bytes.copyOf(bytes).toLong();
    }

    private void writeAcross(long address, long value, int length) {
        byte[] bytes = new byte[length];
        for (int i = 0; i < length; i++) {
            bytes[i] = (byte) (value >>> (i * Byte.SIZE));
        }
        write(address, MemorySegment.ofArray(bytes));
    }

    private MemoryRegion aligned(long address, int size) {
        MemoryRegion region = region(address, size);
        if (address % size != 0) {
            throw new IllegalArgumentException("address 0x" + Long.toHexString(address) + " is not a multiple of "
                    + size + ", which an ordered access of " + size + " bytes needs");
        }
        return region;
    }

    private static @Nullable MemoryRegion lookup(MemoryRegion[] regions, long address) {
        // Guests have a handful of regions: a scan beats a search.
        for (MemoryRegion region : regions) {
            if (Long.compareUnsigned(address - region.base().value(), region.size()) < 0) {
                return region;
            }
        }
        return null;
    }

    private static GuestMemoryException refused(MemoryRegion[] regions, long address, long length) {
        if (length < 0) {
            return new GuestMemoryException(address, length, "the length must be 0 or more");
        }
        String there = regions.length == 0 ? "there is no memory" : "not all of it is inside " + List.of(regions);
        return new GuestMemoryException(address, length, Objects.requireNonNull(there));
    }
}
