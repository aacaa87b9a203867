package io.github.jkvm.virtio.queue;

import io.github.jkvm.MemoryRegion;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/** A place in the readable or the writable part of a chain. */
final class ChainCursor {
    private final DescriptorChain chain;
    private int part;
    private long offset;
    private long position;
    private long remaining;

    ChainCursor(DescriptorChain chain) {
        this.chain = chain;
    }

    void begin(int firstPart, long bytes) {
        part = firstPart;
        offset = 0;
        position = 0;
        remaining = bytes;
    }

    long position() {
        return position;
    }

    long remaining() {
        return remaining;
    }

    void read(MemorySegment target) {
        long size = target.byteSize();
        for (long done = 0; done < size; ) {
            long count = Math.min(size - done, chain.length(part) - offset);
            chain.memory().read(chain.address(part) + offset, slice(target, done, count));
            advance(count);
            done += count;
        }
    }

    /** Fills a segment with the next bytes, which must be there, and does not move. */
    void peek(MemorySegment target) {
        int atPart = part;
        long atOffset = offset;
        long atPosition = position;
        long atRemaining = remaining;
        read(target);
        part = atPart;
        offset = atOffset;
        position = atPosition;
        remaining = atRemaining;
    }

    void write(MemorySegment source) {
        long size = source.byteSize();
        for (long done = 0; done < size; ) {
            long count = Math.min(size - done, chain.length(part) - offset);
            chain.memory().write(chain.address(part) + offset, slice(source, done, count));
            advance(count);
            done += count;
        }
    }

    /** Returns the next bytes, up to 8, as a little-endian number; they must be there. */
    long nextNumber(int bytes) {
        long value;
        if (chain.length(part) - offset >= bytes) {
            long address = chain.address(part) + offset;
            value = switch (bytes) {
                case Byte.BYTES -> chain.memory().readByte(address);
                case Short.BYTES -> chain.memory().readShort(address);
                case Integer.BYTES -> chain.memory().readInt(address);
                default -> chain.memory().readLong(address);
            };
            advance(bytes);
            return value;
        }
        value = 0;
        for (int i = 0; i < bytes; i++) {
            value |= (chain.memory().readByte(chain.address(part) + offset) & 0xFFL) << (Byte.SIZE * i);
            advance(1);
        }
        return value;
    }

    /** Writes the low bytes of a number, up to 8, the lowest first; there must be room. */
    void putNumber(long value, int bytes) {
        if (chain.length(part) - offset >= bytes) {
            long address = chain.address(part) + offset;
            switch (bytes) {
                case Byte.BYTES -> chain.memory().writeByte(address, (byte) value);
                case Short.BYTES -> chain.memory().writeShort(address, (short) value);
                case Integer.BYTES -> chain.memory().writeInt(address, (int) value);
                default -> chain.memory().writeLong(address, value);
            }
            advance(bytes);
            return;
        }
        for (int i = 0; i < bytes; i++) {
            chain.memory().writeByte(chain.address(part) + offset, (byte) (value >>> (Byte.SIZE * i)));
            advance(1);
        }
    }

    /** Refuses a device that did not ask how much there is. */
    void demand(int bytes) {
        if (bytes > remaining) {
            throw new IllegalStateException("only " + remaining + " bytes remain of " + chain
                    + " where the device wants " + bytes + "; it must ask has(" + bytes + ") first");
        }
    }

    void skip(long bytes) {
        checkCount(bytes);
        for (long left = bytes; left > 0; ) {
            long count = Math.min(left, chain.length(part) - offset);
            advance(count);
            left -= count;
        }
    }

    void markDirtyAndSkip(long bytes) {
        checkCount(bytes);
        for (long left = bytes; left > 0; ) {
            long count = Math.min(left, chain.length(part) - offset);
            chain.memory().markDirty(chain.address(part) + offset, count);
            advance(count);
            left -= count;
        }
    }

    /** Shows the pieces of the next bytes, up to a limit, and does not move. */
    void forEachPart(long limit, ChainPart action) {
        if (limit < 0) {
            throw new IllegalArgumentException("limit " + limit + " must be 0 or more bytes");
        }
        int at = part;
        long from = offset;
        boolean more = true;
        for (long left = Math.min(limit, remaining); more && left > 0; ) {
            long address = chain.address(at) + from;
            MemoryRegion region = chain.memory().region(address, 1);
            long inRegion = address - region.base().value();
            long count = Math.min(Math.min(left, chain.length(at) - from), region.size() - inRegion);
            more = action.accept(region, inRegion, count);
            left -= count;
            from += count;
            if (from == chain.length(at)) {
                at++;
                from = 0;
            }
        }
    }

    List<MemorySegment> segments(long limit) {
        List<MemorySegment> segments = new ArrayList<>();
        forEachPart(limit, (region, at, length) -> segments.add(region.segment().asSlice(at, length)));
        return segments;
    }

    /** Returns the guest-physical address of the byte that is {@code ahead} bytes further on. */
    long address(long ahead) {
        int at = part;
        long from = offset + ahead;
        while (from >= chain.length(at)) {
            from -= chain.length(at);
            at++;
        }
        return chain.address(at) + from;
    }

    /** Returns how many of the next bytes follow each other in guest memory. */
    long contiguous() {
        return remaining == 0 ? 0 : chain.length(part) - offset;
    }

    DescriptorChain chain() {
        return chain;
    }

    private void checkCount(long bytes) {
        if (bytes < 0 || bytes > remaining) {
            throw new IllegalArgumentException(
                    "count " + bytes + " must be from 0 to the " + remaining + " bytes that remain");
        }
    }

    /** Moves on inside the current part, at most to its end. */
    private void advance(long count) {
        offset += count;
        position += count;
        remaining -= count;
        if (offset == chain.length(part)) {
            part++;
            offset = 0;
        }
    }

    private static MemorySegment slice(MemorySegment segment, long from, long count) {
        return count == segment.byteSize() ? segment : segment.asSlice(from, count);
    }
}
