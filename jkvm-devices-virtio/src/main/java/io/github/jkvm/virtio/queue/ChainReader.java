package io.github.jkvm.virtio.queue;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.channels.GatheringByteChannel;
import java.util.List;

/**
 * Reads the readable bytes of a chain, from the first to the last.
 *
 * <p>A chain shorter than a device needs is the driver's mistake, so it is a result and not an exception. The guest can
 * change its memory at any time: a device copies what it decides on, with {@link #readExactly} or as numbers, and looks at the copy
 * only. After the chain is completed nothing remains.
 *
 * <p>A header of fixed layout is read as its fields:
 *
 * <pre>{@code
 * if (!reader.has(16)) {
 *     return tooShort();
 * }
 * int type = reader.nextInt();
 * reader.skip(4);
 * long sector = reader.nextLong();
 * }</pre>
 */
public final class ChainReader {
    private final ChainCursor cursor;
    private final ChannelTransfer transfer;

    ChainReader(ChainCursor cursor) {
        this.cursor = cursor;
        this.transfer = new ChannelTransfer(cursor);
    }

    ChainCursor cursor() {
        return cursor;
    }

    /**
     * Returns how many bytes were read or skipped.
     *
     * @return the count in bytes
     */
    public long position() {
        return cursor.position();
    }

    /**
     * Returns how many bytes are left to read.
     *
     * @return the count in bytes
     */
    public long remaining() {
        return cursor.remaining();
    }

    /**
     * Tells whether enough bytes are left to read.
     *
     * @param bytes how many are wanted, 0 or more
     * @return true if at least that many remain
     */
    public boolean has(long bytes) {
        return bytes <= cursor.remaining();
    }

    /**
     * Reads the next byte. Ask {@link #has} first: how many there are is up to the driver.
     *
     * @return the byte
     * @throws IllegalStateException if fewer bytes remain
     * @throws io.github.jkvm.GuestMemoryException if the program took the memory away since the pop
     */
    public byte nextByte() {
        cursor.demand(Byte.BYTES);
        return (byte) cursor.nextNumber(Byte.BYTES);
    }

    /**
     * Reads the next two bytes as a little-endian number. Ask {@link #has} first: how many there are is up to the driver.
     *
     * @return the number
     * @throws IllegalStateException if fewer bytes remain
     * @throws io.github.jkvm.GuestMemoryException if the program took the memory away since the pop
     */
    public short nextShort() {
        cursor.demand(Short.BYTES);
        return (short) cursor.nextNumber(Short.BYTES);
    }

    /**
     * Reads the next four bytes as a little-endian number. Ask {@link #has} first: how many there are is up to the driver.
     *
     * @return the number
     * @throws IllegalStateException if fewer bytes remain
     * @throws io.github.jkvm.GuestMemoryException if the program took the memory away since the pop
     */
    public int nextInt() {
        cursor.demand(Integer.BYTES);
        return (int) cursor.nextNumber(Integer.BYTES);
    }

    /**
     * Reads the next eight bytes as a little-endian number. Ask {@link #has} first: how many there are is up to the driver.
     *
     * @return the number
     * @throws IllegalStateException if fewer bytes remain
     * @throws io.github.jkvm.GuestMemoryException if the program took the memory away since the pop
     */
    public long nextLong() {
        cursor.demand(Long.BYTES);
        return cursor.nextNumber(Long.BYTES);
    }

    /**
     * Fills a segment, if the chain has enough bytes left.
     *
     * @param target where they go; its size tells how many
     * @return true if it was filled; false if fewer remain, and then nothing was read
     * @throws io.github.jkvm.GuestMemoryException if the program took the memory away since the pop
     */
    public boolean readExactly(MemorySegment target) {
        if (target.byteSize() > cursor.remaining()) {
            return false;
        }
        cursor.read(target);
        return true;
    }

    /**
     * Reads as many bytes as remain and as fit.
     *
     * @param target where they go, from its start
     * @return how many bytes were read; 0 at the end
     * @throws io.github.jkvm.GuestMemoryException if the program took the memory away since the pop
     */
    public long read(MemorySegment target) {
        long count = Math.min(target.byteSize(), cursor.remaining());
        cursor.read(target.asSlice(0, count));
        return count;
    }

    /**
     * Writes bytes to a channel, straight from guest memory, and moves past those it took. One call of the channel: it may take fewer, and
     * the guest may change them meanwhile.
     *
     * @param channel where they go
     * @param limit greatest number of bytes, 0 or more
     * @return how many the channel took; 0 at the end, or if the channel is not ready
     * @throws IOException if the channel fails; the position is as it was
     * @throws IllegalArgumentException if the limit is negative
     * @throws io.github.jkvm.GuestMemoryException if the program took the memory away since the pop
     */
    public long readTo(GatheringByteChannel channel, long limit) throws IOException {
        return transfer.readTo(channel, limit);
    }

    /**
     * Shows the bytes ahead where they lie in guest memory, piece by piece. Does not move: call {@link #skip} with the count of those that
     * were read. The guest may change them meanwhile, and nobody may write to them (virtio 1.2, 2.7.5.1).
     *
     * @param limit greatest total length in bytes, 0 or more
     * @param action is shown the pieces
     * @throws IllegalArgumentException if the limit is negative
     * @throws io.github.jkvm.GuestMemoryException if the program took the memory away since the pop
     */
    public void forEachPart(long limit, ChainPart action) {
        cursor.forEachPart(limit, action);
    }

    /**
     * Returns the bytes ahead where they lie in guest memory. Does not move: call {@link #skip} with the count of those that were read. The
     * guest may change them meanwhile.
     *
     * @param limit greatest total length in bytes, 0 or more
     * @return read-only segments, in order; none at the end
     * @throws IllegalArgumentException if the limit is negative
     * @throws io.github.jkvm.GuestMemoryException if the program took the memory away since the pop
     */
    public List<MemorySegment> segments(long limit) {
        List<MemorySegment> segments = cursor.segments(limit);
        // A device must not write to a device-readable buffer (virtio 1.2, 2.7.5.1).
        segments.replaceAll(MemorySegment::asReadOnly);
        return segments;
    }

    /**
     * Passes over bytes.
     *
     * @param bytes how many, from 0 to {@link #remaining}
     * @throws IllegalArgumentException if the count is out of range
     */
    public void skip(long bytes) {
        cursor.skip(bytes);
    }
}
