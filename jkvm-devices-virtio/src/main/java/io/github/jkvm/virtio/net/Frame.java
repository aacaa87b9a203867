package io.github.jkvm.virtio.net;

import io.github.jkvm.MemoryRegion;
import io.github.jkvm.kvm.ffi.IoVectors;
import io.github.jkvm.kvm.ffi.Libc;
import io.github.jkvm.virtio.queue.ChainPart;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;

/**
 * An Ethernet frame where it lies, or room for one: a header that tells what is left to do, and runs of bytes in guest memory. Backends move it from
 * there or to there, at best without another copy.
 *
 * <p>The guest may change its memory at any time: a backend that decides something by a frame's bytes copies these first, or reads each only
 * once. A frame is used again and again, and is good until the backend returns.
 */
public final class Frame {
    /** Longest frame in bytes: the greatest length of IP, and an Ethernet header with a VLAN tag. */
    public static final int MAX_SIZE = 65_535 + 18;

    /** Shortest frame in bytes: an Ethernet header. */
    public static final int MIN_SIZE = 14;

    /** A call of the kernel takes as many, and one of them is the header. */
    static final int MAX_PARTS = Libc.IOV_MAX - 1;

    private static final int INITIAL_PARTS = 16;

    private final OffloadHeader header = new OffloadHeader();
    private final ChainPart parts = this::addPart;
    private MemorySegment[] memories = new MemorySegment[INITIAL_PARTS];
    private long[] offsets = new long[INITIAL_PARTS];
    private long[] lengths = new long[INITIAL_PARTS];
    private int count;
    private long size;
    private long skip;
    private boolean tooManyParts;

    /** The header and all parts for the kernel, as long as it can reach them all. */
    private final IoVectors vectors = new IoVectors(Libc.IOV_MAX);

    private boolean isNative = true;

    /** Creates an empty frame. */
    public Frame() {
        Arrays.fill(memories, MemorySegment.NULL);
        vectors.add(header.bytes(), 0, OffloadHeader.SIZE);
    }

    /**
     * Returns what is left to do on the frame.
     *
     * @return the header, part of this frame
     */
    public OffloadHeader header() {
        return header;
    }

    /**
     * Returns how long the frame is, or how much room there is for one, without the offload header.
     *
     * @return the size in bytes
     */
    public long size() {
        return size;
    }

    /**
     * Returns the runs of bytes.
     *
     * @return the segments, in order; not to be written to if the frame comes from the guest
     */
    public List<MemorySegment> segments() {
        List<MemorySegment> segments = new ArrayList<>(count);
        for (int i = 0; i < count; i++) {
            segments.add(memories[i].asSlice(offsets[i], lengths[i]));
        }
        return segments;
    }

    /**
     * Copies bytes of the frame.
     *
     * @param from the first byte, 0 or more
     * @param target where they go
     * @param at where they go in it
     * @param length how many
     * @throws IndexOutOfBoundsException if they are not all in the frame and in the target
     */
    public void copyTo(long from, MemorySegment target, long at, long length) {
        Objects.checkFromIndexSize(from, length, size);
        long start = from;
        long done = 0;
        for (int i = 0; done < length; i++) {
            if (start >= lengths[i]) {
                start -= lengths[i];
                continue;
            }
            long run = Math.min(length - done, lengths[i] - start);
            MemorySegment.copy(memories[i], offsets[i] + start, target, at + done, run);
            done += run;
            start = 0;
        }
    }

    /**
     * Copies bytes into the room.
     *
     * @param source where they come from
     * @param at the first byte of them in it
     * @param to where they go in the room, 0 or more
     * @param length how many
     * @throws IndexOutOfBoundsException if they are not all in the source, or there is no room for them
     */
    public void copyFrom(MemorySegment source, long at, long to, long length) {
        Objects.checkFromIndexSize(to, length, size);
        long start = to;
        long done = 0;
        for (int i = 0; done < length; i++) {
            if (start >= lengths[i]) {
                start -= lengths[i];
                continue;
            }
            long run = Math.min(length - done, lengths[i] - start);
            MemorySegment.copy(source, at + done, memories[i], offsets[i] + start, run);
            done += run;
            start = 0;
        }
    }

    /** Forgets the bytes and the header. */
    void clear() {
        header.clear();
        clearParts(0);
    }

    /** Forgets the bytes; of those that are added, the first {@code leaveOut} are not part of the frame. */
    void clearParts(long leaveOut) {
        keepParts(0);
        skip = leaveOut;
        tooManyParts = false;
    }

    /** Forgets all but the first parts. */
    void keepParts(int parts) {
        for (int i = parts; i < count; i++) {
            size -= lengths[i];
            // Memory of a guest that is gone is not kept alive.
            memories[i] = MemorySegment.NULL;
        }
        if (isNative) {
            vectors.remove(1 + parts, count - parts);
        }
        count = Math.min(parts, count);
        beginAnewIfEmpty();
    }

    /** Leaves the first bytes out. What of them is not there yet is left out of the parts that are added next. */
    void leaveOut(long bytes) {
        long left = bytes;
        int gone = 0;
        while (gone < count && left >= lengths[gone]) {
            left -= lengths[gone];
            gone++;
        }
        size -= bytes - left;
        int kept = count - gone;
        System.arraycopy(memories, gone, memories, 0, kept);
        System.arraycopy(offsets, gone, offsets, 0, kept);
        System.arraycopy(lengths, gone, lengths, 0, kept);
        Arrays.fill(memories, kept, count, MemorySegment.NULL);
        count = kept;
        if (isNative) {
            vectors.remove(1, gone);
        }
        beginAnewIfEmpty();
        if (kept == 0) {
            skip += left;
            return;
        }
        if (left != 0) {
            offsets[0] += left;
            lengths[0] -= left;
            size -= left;
            if (isNative) {
                vectors.cut(1, left);
            }
        }
    }

    private void beginAnewIfEmpty() {
        if (count == 0 && !isNative) {
            isNative = true;
            vectors.remove(1, vectors.count() - 1);
        }
    }

    /** Returns what adds the parts of a chain; the same one at each call. */
    ChainPart parts() {
        return parts;
    }

    private boolean addPart(MemoryRegion region, long offset, long length) {
        add(region.segment(), offset, length);
        return !tooManyParts;
    }

    void add(MemorySegment memory, long offset, long length) {
        long out = Math.min(skip, length);
        skip -= out;
        if (out == length) {
            return;
        }
        if (count == MAX_PARTS) {
            tooManyParts = true;
            return;
        }
        if (count == memories.length) {
            memories = Arrays.copyOf(memories, 2 * count);
            Arrays.fill(memories, count, memories.length, MemorySegment.NULL);
            offsets = Arrays.copyOf(offsets, 2 * count);
            lengths = Arrays.copyOf(lengths, 2 * count);
        }
        memories[count] = memory;
        offsets[count] = offset + out;
        lengths[count] = length - out;
        size += length - out;
        count++;
        isNative = isNative && memory.isNative();
        if (isNative) {
            vectors.add(memory, offset + out, length - out);
        }
    }

    /** Returns how many parts there are. */
    int partCount() {
        return count;
    }

    /** Tells whether a part was left out, since there were too many. */
    boolean hasTooManyParts() {
        return tooManyParts;
    }

    /** Adds all parts to an array of vectors. */
    void addTo(IoVectors others) {
        for (int i = 0; i < count; i++) {
            others.add(memories[i], offsets[i], lengths[i]);
        }
    }

    /** Tells whether the kernel can reach all of its bytes. */
    boolean isNative() {
        return isNative;
    }

    /**
     * Returns header and bytes for a call of the kernel.
     *
     * @throws IllegalStateException if the kernel can't reach them all
     */
    IoVectors vectors() {
        if (!isNative) {
            throw new IllegalStateException("the kernel can't reach frames on the Java heap; use native guest memory");
        }
        return vectors;
    }

    int byteAt(long index) {
        long at = index;
        int part = 0;
        while (at >= lengths[part]) {
            at -= lengths[part];
            part++;
        }
        return memories[part].get(ValueLayout.JAVA_BYTE, offsets[part] + at) & 0xFF;
    }

    /** Reads up to eight bytes as one number, the first byte highest, as they are sent. */
    long number(long index, int bytes) {
        long value = 0;
        for (int i = 0; i < bytes; i++) {
            value = value << Byte.SIZE | byteAt(index + i);
        }
        return value;
    }

    /** Takes the checksum of bytes to the frame's end or before: see {@link Checksum}. */
    int sum(long from, long length) {
        long start = from;
        long done = 0;
        int sum = 0;
        for (int i = 0; done < length; i++) {
            if (start >= lengths[i]) {
                start -= lengths[i];
                continue;
            }
            long run = Math.min(length - done, lengths[i] - start);
            int part = Checksum.sum(memories[i], offsets[i] + start, run);
            sum = Checksum.add(sum, (done & 1) == 0 ? part : Checksum.swap(part));
            done += run;
            start = 0;
        }
        return sum;
    }
}
