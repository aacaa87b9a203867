package io.github.jkvm.virtio.queue;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.channels.ScatteringByteChannel;
import java.util.List;

/**
 * Writes the writable bytes of a chain, from the first to the last.
 *
 * <p>Its {@link #position} is what a device passes to {@link VirtQueue#complete}: the bytes before it are all written. A chain with
 * less room than a device needs is the driver's mistake, so it is a result and not an exception. After the chain is completed
 * nothing remains.
 */
public final class ChainWriter {
    private final ChainCursor cursor;
    private final ChannelTransfer transfer;

    ChainWriter(ChainCursor cursor) {
        this.cursor = cursor;
        this.transfer = new ChannelTransfer(cursor);
    }

    ChainCursor cursor() {
        return cursor;
    }

    /**
     * Returns how many bytes were written.
     *
     * @return the count in bytes
     */
    public long position() {
        return cursor.position();
    }

    /**
     * Returns how many bytes there is room for.
     *
     * @return the count in bytes
     */
    public long remaining() {
        return cursor.remaining();
    }

    /**
     * Tells whether there is enough room.
     *
     * @param bytes how many bytes are wanted, 0 or more
     * @return true if there is room for at least that many
     */
    public boolean has(long bytes) {
        return bytes <= cursor.remaining();
    }

    /**
     * Writes a byte. Ask {@link #has} first: how much room there is is up to the driver.
     *
     * @param value the byte
     * @throws IllegalStateException if there is less room
     * @throws io.github.jkvm.GuestMemoryException if the program took the memory away since the pop
     */
    public void putByte(byte value) {
        cursor.demand(Byte.BYTES);
        cursor.putNumber(value, Byte.BYTES);
    }

    /**
     * Writes a number as two little-endian bytes. Ask {@link #has} first: how much room there is is up to the driver.
     *
     * @param value the number
     * @throws IllegalStateException if there is less room
     * @throws io.github.jkvm.GuestMemoryException if the program took the memory away since the pop
     */
    public void putShort(short value) {
        cursor.demand(Short.BYTES);
        cursor.putNumber(value, Short.BYTES);
    }

    /**
     * Writes a number as four little-endian bytes. Ask {@link #has} first: how much room there is is up to the driver.
     *
     * @param value the number
     * @throws IllegalStateException if there is less room
     * @throws io.github.jkvm.GuestMemoryException if the program took the memory away since the pop
     */
    public void putInt(int value) {
        cursor.demand(Integer.BYTES);
        cursor.putNumber(value, Integer.BYTES);
    }

    /**
     * Writes a number as eight little-endian bytes. Ask {@link #has} first: how much room there is is up to the driver.
     *
     * @param value the number
     * @throws IllegalStateException if there is less room
     * @throws io.github.jkvm.GuestMemoryException if the program took the memory away since the pop
     */
    public void putLong(long value) {
        cursor.demand(Long.BYTES);
        cursor.putNumber(value, Long.BYTES);
    }

    /**
     * Writes all bytes of a segment, if there is room.
     *
     * @param source the bytes
     * @return true if they were written; false if there is less room, and then nothing was written
     * @throws io.github.jkvm.GuestMemoryException if the program took the memory away since the pop
     */
    public boolean writeExactly(MemorySegment source) {
        if (source.byteSize() > cursor.remaining()) {
            return false;
        }
        cursor.write(source);
        return true;
    }

    /**
     * Writes as many bytes as there are and as there is room for.
     *
     * @param source the bytes, taken from its start
     * @return how many were written; 0 at the end
     * @throws io.github.jkvm.GuestMemoryException if the program took the memory away since the pop
     */
    public long write(MemorySegment source) {
        long count = Math.min(source.byteSize(), cursor.remaining());
        cursor.write(source.asSlice(0, count));
        return count;
    }

    /**
     * Writes one byte further on and does not move: for a status behind data that may come later or never.
     *
     * @param ahead its distance from the position in bytes, from 0
     * @param value the byte
     * @return true if it was written; false if there is no room that far
     * @throws IllegalArgumentException if the distance is negative
     * @throws io.github.jkvm.GuestMemoryException if the program took the memory away since the pop
     */
    public boolean writeAhead(long ahead, byte value) {
        if (ahead < 0) {
            throw new IllegalArgumentException("distance " + ahead + " must be 0 or more bytes");
        }
        if (ahead >= cursor.remaining()) {
            return false;
        }
        cursor.chain().memory().writeByte(cursor.address(ahead), value);
        return true;
    }

    /**
     * Writes bytes of a channel, straight to guest memory, and moves past them. One call of the channel: it may give fewer.
     *
     * @param channel where they come from
     * @param limit greatest number of bytes, 0 or more
     * @return how many the channel gave: 0 if there is no room, or if the channel has nothing yet; -1 at the channel's end
     * @throws IOException if the channel fails; the position is as it was
     * @throws IllegalArgumentException if the limit is negative
     * @throws io.github.jkvm.GuestMemoryException if the program took the memory away since the pop
     */
    public long writeFrom(ScatteringByteChannel channel, long limit) throws IOException {
        return transfer.writeFrom(channel, limit);
    }

    /**
     * Shows the room ahead where it lies in guest memory, piece by piece. Does not move: call {@link #advance} with the count of bytes that
     * were written.
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
     * Returns the room ahead where it lies in guest memory. Does not move: call {@link #advance} with the count of bytes that were
     * written.
     *
     * @param limit greatest total length in bytes, 0 or more
     * @return segments, in order; none at the end
     * @throws IllegalArgumentException if the limit is negative
     * @throws io.github.jkvm.GuestMemoryException if the program took the memory away since the pop
     */
    public List<MemorySegment> segments(long limit) {
        return cursor.segments(limit);
    }

    /**
     * Returns where the next byte lies: for a driver that hands over memory itself, and not what is in it.
     *
     * @return the guest-physical address, unsigned
     * @throws IllegalStateException at the end
     */
    public long address() {
        cursor.demand(1);
        return cursor.address(0);
    }

    /**
     * Returns how many bytes from {@link #address} on belong to the chain and follow each other in guest memory.
     *
     * @return the count in bytes; 0 at the end
     */
    public long contiguous() {
        return cursor.contiguous();
    }

    /**
     * Moves past bytes that were written through {@link #segments} or {@link #forEachPart} and records them as written, for dirty tracking.
     *
     * @param bytes how many, from 0 to {@link #remaining}
     * @throws IllegalArgumentException if the count is out of range
     * @throws io.github.jkvm.GuestMemoryException if the program took the memory away since the pop
     */
    public void advance(long bytes) {
        cursor.markDirtyAndSkip(bytes);
    }
}
