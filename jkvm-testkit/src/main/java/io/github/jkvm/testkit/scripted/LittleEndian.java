package io.github.jkvm.testkit.scripted;

/** Numbers of 1 to 8 bytes, little-endian as on x86. */
final class LittleEndian {
    private LittleEndian() {}

    static long get(byte[] data, int offset, int size) {
        long value = 0;
        for (int i = size - 1; i >= 0; i--) {
            value = (value << Byte.SIZE) | (data[offset + i] & 0xFF);
        }
        return value;
    }

    static void put(byte[] data, int offset, int size, long value) {
        for (int i = 0; i < size; i++) {
            data[offset + i] = (byte) (value >>> (i * Byte.SIZE));
        }
    }

    /** Returns the low bytes of a number. */
    static long low(long value, int size) {
        return size == Long.BYTES ? value : value & ((1L << (size * Byte.SIZE)) - 1);
    }
}
