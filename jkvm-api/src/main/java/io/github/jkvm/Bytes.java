package io.github.jkvm;

import java.util.Arrays;
import java.util.HexFormat;

/** A short, immutable sequence of bytes: the data of one exit. */
public final class Bytes {
    private static final Bytes EMPTY = new Bytes(new byte[0]);

    private final byte[] data;

    private Bytes(byte[] data) {
        this.data = data;
    }

    /**
     * Returns a sequence with a copy of the given bytes.
     *
     * @param data the bytes
     * @return the sequence
     */
    public static Bytes copyOf(byte... data) {
        return data.length == 0 ? EMPTY : new Bytes(data.clone());
    }

    /**
     * Returns the number of bytes.
     *
     * @return the length
     */
    public int length() {
        return data.length;
    }

    /**
     * Returns one byte.
     *
     * @param index its position, from 0
     * @return the byte
     * @throws IndexOutOfBoundsException if there is no such byte
     */
    public byte at(int index) {
        return data[index];
    }

    /**
     * Returns up to eight of the bytes as one little-endian number, as x86 puts them on its bus.
     *
     * @return the number, not sign-extended; 0 for an empty sequence
     * @throws IllegalStateException if there are more than eight bytes
     */
    public long toLong() {
        if (data.length > Long.BYTES) {
            throw new IllegalStateException(data.length + " bytes do not fit a long; use toArray()");
        }
        long value = 0;
        for (int i = data.length - 1; i >= 0; i--) {
            value = (value << Byte.SIZE) | (data[i] & 0xFF);
        }
        return value;
    }

    /**
     * Returns a copy of the bytes.
     *
     * @return a new array
     */
    public byte[] toArray() {
        return data.clone();
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Bytes that && Arrays.equals(data, that.data);
    }

    @Override
    public int hashCode() {
        return Arrays.hashCode(data);
    }

    /** Returns the bytes in hexadecimal, in order, such as {@code 0a ff}. */
    @Override
    public String toString() {
        return HexFormat.ofDelimiter(" ").formatHex(data);
    }
}
