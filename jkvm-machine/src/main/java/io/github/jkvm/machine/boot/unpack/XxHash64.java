package io.github.jkvm.machine.boot.unpack;

import java.util.Arrays;

/** The hash of a frame's contents: XXH64 with seed 0 (RFC 8878, 3.1.1; xxHash, doc/xxhash_spec.md). */
final class XxHash64 {
    private static final long PRIME_1 = 0x9E37_79B1_85EB_CA87L;
    private static final long PRIME_2 = 0xC2B2_AE3D_27D4_EB4FL;
    private static final long PRIME_3 = 0x1656_67B1_9E37_79F9L;
    private static final long PRIME_4 = 0x85EB_CA77_C2B2_AE63L;
    private static final long PRIME_5 = 0x27D4_EB2F_1656_67C5L;
    /** The sum of the first two, without its carry. */
    private static final long PRIME_1_PLUS_2 = 0x60EA_27EE_ADC0_B5D6L;

    private static final int STRIPE = 32;

    private long a = PRIME_1_PLUS_2;
    private long b = PRIME_2;
    private long c;
    private long d = -PRIME_1;
    private long length;

    /** What is too short for a stripe yet. */
    private final byte[] rest = new byte[STRIPE];

    /** Hashes bytes that are there at once. */
    static long hash(byte[] bytes) {
        XxHash64 hash = new XxHash64();
        hash.update(bytes, 0, bytes.length);
        return hash.value();
    }

    /** Adds bytes. */
    void update(byte[] bytes, int from, int count) {
        int at = from;
        int end = from + count;
        int held = (int) (length % STRIPE);
        length += count;
        if (held > 0) {
            int missing = Math.min(STRIPE - held, count);
            System.arraycopy(bytes, at, rest, held, missing);
            at += missing;
            if (held + missing < STRIPE) {
                return;
            }
            stripe(rest, 0);
        }
        for (; at <= end - STRIPE; at += STRIPE) {
            stripe(bytes, at);
        }
        System.arraycopy(bytes, at, rest, 0, end - at);
    }

    private void stripe(byte[] bytes, int at) {
        a = round(a, LittleEndian.u64(bytes, at));
        b = round(b, LittleEndian.u64(bytes, at + 8));
        c = round(c, LittleEndian.u64(bytes, at + 16));
        d = round(d, LittleEndian.u64(bytes, at + 24));
    }

    /** The hash of all bytes that were added. */
    long value() {
        long hash = PRIME_5;
        if (length >= STRIPE) {
            hash = Long.rotateLeft(a, 1) + Long.rotateLeft(b, 7) + Long.rotateLeft(c, 12) + Long.rotateLeft(d, 18);
            hash = merge(merge(merge(merge(hash, a), b), c), d);
        }
        return finish(hash + length, Arrays.copyOf(rest, (int) (length % STRIPE)), 0);
    }

    private static long finish(long start, byte[] bytes, int from) {
        long hash = start;
        int at = from;
        for (; at <= bytes.length - Long.BYTES; at += Long.BYTES) {
            hash = Long.rotateLeft(hash ^ round(0, LittleEndian.u64(bytes, at)), 27) * PRIME_1 + PRIME_4;
        }
        if (at <= bytes.length - Integer.BYTES) {
            hash = Long.rotateLeft(hash ^ Integer.toUnsignedLong(LittleEndian.u32(bytes, at)) * PRIME_1, 23) * PRIME_2
                    + PRIME_3;
            at += Integer.BYTES;
        }
        for (; at < bytes.length; at++) {
            hash = Long.rotateLeft(hash ^ Byte.toUnsignedLong(bytes[at]) * PRIME_5, 11) * PRIME_1;
        }
        hash = (hash ^ hash >>> 33) * PRIME_2;
        hash = (hash ^ hash >>> 29) * PRIME_3;
        return hash ^ hash >>> 32;
    }

    private static long round(long lane, long input) {
        return Long.rotateLeft(lane + input * PRIME_2, 31) * PRIME_1;
    }

    private static long merge(long hash, long lane) {
        return (hash ^ round(0, lane)) * PRIME_1 + PRIME_4;
    }
}
