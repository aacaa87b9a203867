package io.github.jkvm.machine.boot.unpack;

import java.io.IOException;

/**
 * A bit stream that is read from its end to its beginning (RFC 8878, 4.1). The last byte's highest bit that is set marks the end. Bits before
 * the beginning read as zero; {@link #left} turns negative then.
 */
final class BackwardBits {
    private final byte[] bytes;
    private final int start;
    private long left;

    /**
     * Begins to read.
     *
     * @param bytes holds the stream, and at least {@link ZstdDecoder#PADDING} bytes behind it
     * @param start where the stream begins
     * @param length its length in bytes
     */
    BackwardBits(byte[] bytes, int start, int length) throws IOException {
        if (length <= 0 || bytes[start + length - 1] == 0) {
            throw new IOException("zstd bit stream at offset " + start + " has no end mark");
        }
        this.bytes = bytes;
        this.start = start;
        int last = Byte.toUnsignedInt(bytes[start + length - 1]);
        left = (length - 1L) * Byte.SIZE + (Integer.SIZE - 1 - Integer.numberOfLeadingZeros(last));
    }

    /** How many bits are left to read; negative by how many were read beyond the beginning. */
    long left() {
        return left;
    }

    /** Reads 0 to 32 bits. */
    int read(int count) {
        int value = peek(count);
        left -= count;
        return value;
    }

    /** Looks at the next 0 to 32 bits without moving on. */
    int peek(int count) {
        long from = left - count;
        long mask = (1L << count) - 1;
        if (from >= 0) {
            return (int) (LittleEndian.u64(bytes, start + (int) (from >>> 3)) >>> (from & 7) & mask);
        }
        if (left <= 0) {
            return 0;
        }
        long rest = LittleEndian.u64(bytes, start) & (1L << left) - 1;
        return (int) (rest << -from & mask);
    }

    /** Moves on. */
    void skip(int count) {
        left -= count;
    }
}
