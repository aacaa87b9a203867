package io.github.jkvm.virtio.net;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * The checksum of the internet protocols (RFC 1071): the complement of a sum of 16-bit words with the carry added at the end.
 *
 * <p>Sums here take words as little-endian, whatever the order on the wire, and are stored as little-endian: the sum does not depend on
 * the order (RFC 1071, 2 (B)).
 */
final class Checksum {
    static final ValueLayout.OfShort WORD = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt DOUBLE_WORD =
            ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private Checksum() {}

    /** Returns the sum of bytes, 0 to 0xffff; an odd last byte counts as if a zero followed it. */
    static int sum(MemorySegment memory, long offset, long length) {
        long sum = 0;
        long at = offset;
        long end = offset + length;
        for (; end - at >= Integer.BYTES; at += Integer.BYTES) {
            sum += memory.get(DOUBLE_WORD, at) & 0xFFFF_FFFFL;
        }
        if (end - at >= Short.BYTES) {
            sum += memory.get(WORD, at) & 0xFFFF;
            at += Short.BYTES;
        }
        if (at < end) {
            sum += memory.get(ValueLayout.JAVA_BYTE, at) & 0xFF;
        }
        return fold(sum);
    }

    static int fold(long sum) {
        long folded = (sum >>> Integer.SIZE) + (sum & 0xFFFF_FFFFL);
        while (folded > 0xFFFF) {
            folded = (folded >>> Short.SIZE) + (folded & 0xFFFF);
        }
        return (int) folded;
    }

    static int add(int sum, int other) {
        return fold((long) sum + other);
    }

    /** Returns the sum of the same bytes one place further on. */
    static int swap(int sum) {
        return (sum >>> Byte.SIZE | sum << Byte.SIZE) & 0xFFFF;
    }

    /** Returns what is stored for a sum. Never 0, which in UDP stands for no checksum at all (RFC 768). */
    static short complement(int sum) {
        int inverse = ~sum & 0xFFFF;
        return (short) (inverse == 0 ? 0xFFFF : inverse);
    }

    /**
     * Completes the checksum that a frame's header leaves to do (virtio 1.2, 5.1.6.2: what is in the field already is the sum of the pseudo
     * header). The header must {@linkplain OffloadHeader#fits fit} the size.
     */
    static void complete(Frame frame, long frameSize, MemorySegment scratch) {
        OffloadHeader header = frame.header();
        int start = header.checksumStart();
        scratch.set(WORD, 0, complement(frame.sum(start, frameSize - start)));
        frame.copyFrom(scratch, 0, start + header.checksumOffset(), Short.BYTES);
        header.clearChecksum();
    }
}
