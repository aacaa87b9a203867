package io.github.jkvm.virtio;

import java.util.BitSet;
import java.util.Objects;

/**
 * The bytes of a device's configuration space (virtio 1.2, 2.5), little-endian.
 *
 * <p>The driver reads all of it and writes only what is declared {@link #writable}. Accesses of the driver outside of it read zeros
 * and write nothing. Each change by the device counts a new generation, so that a driver that reads several fields can tell whether they belong
 * together (virtio 1.2, 2.5.3). Safe for use by many threads.
 */
public final class ConfigSpace {
    private final byte[] bytes;
    private final BitSet writable = new BitSet();
    private int generation;

    /**
     * Creates a configuration space of zeros that the driver may not write.
     *
     * @param size size in bytes, 0 to 4096
     * @throws IllegalArgumentException if it is out of range
     */
    public ConfigSpace(int size) {
        if (size < 0 || size > 4096) {
            throw new IllegalArgumentException("configuration space of " + size + " bytes must have 0 to 4096");
        }
        this.bytes = new byte[size];
    }

    /**
     * Returns the size.
     *
     * @return the size in bytes
     */
    public int size() {
        return bytes.length;
    }

    /**
     * Lets the driver write a field.
     *
     * @param offset its first byte
     * @param length its length in bytes
     * @return this
     * @throws IndexOutOfBoundsException if the field is not inside
     */
    public synchronized ConfigSpace writable(int offset, int length) {
        Objects.checkFromIndexSize(offset, length, bytes.length);
        writable.set(offset, offset + length);
        return this;
    }

    /**
     * Sets a field of one byte.
     *
     * @param offset where
     * @param value the value; the low 8 bits count
     * @return this
     * @throws IndexOutOfBoundsException if the field is not inside
     */
    public ConfigSpace setByte(int offset, int value) {
        return set(offset, Byte.BYTES, value);
    }

    /**
     * Sets a field of two bytes.
     *
     * @param offset where
     * @param value the value; the low 16 bits count
     * @return this
     * @throws IndexOutOfBoundsException if the field is not inside
     */
    public ConfigSpace setShort(int offset, int value) {
        return set(offset, Short.BYTES, value);
    }

    /**
     * Sets a field of four bytes.
     *
     * @param offset where
     * @param value the value
     * @return this
     * @throws IndexOutOfBoundsException if the field is not inside
     */
    public ConfigSpace setInt(int offset, int value) {
        return set(offset, Integer.BYTES, value);
    }

    /**
     * Sets a field of eight bytes.
     *
     * @param offset where
     * @param value the value
     * @return this
     * @throws IndexOutOfBoundsException if the field is not inside
     */
    public ConfigSpace setLong(int offset, long value) {
        return set(offset, Long.BYTES, value);
    }

    /**
     * Sets bytes.
     *
     * @param offset where
     * @param value the bytes
     * @return this
     * @throws IndexOutOfBoundsException if they are not inside
     */
    public synchronized ConfigSpace setBytes(int offset, byte[] value) {
        Objects.checkFromIndexSize(offset, value.length, bytes.length);
        System.arraycopy(value, 0, bytes, offset, value.length);
        generation++;
        return this;
    }

    /**
     * Returns a field as a number.
     *
     * @param offset its first byte
     * @param length its length in bytes, 1 to 8
     * @return the number, not sign-extended
     * @throws IndexOutOfBoundsException if the field is not inside
     */
    public synchronized long get(int offset, int length) {
        Objects.checkFromIndexSize(offset, length, bytes.length);
        return read(offset, length);
    }

    private synchronized ConfigSpace set(int offset, int length, long value) {
        Objects.checkFromIndexSize(offset, length, bytes.length);
        for (int i = 0; i < length; i++) {
            bytes[offset + i] = (byte) (value >>> (i * Byte.SIZE));
        }
        generation++;
        return this;
    }

    /** What the driver reads; zeros where there is nothing. */
    synchronized long read(long offset, int length) {
        long value = 0;
        for (int i = 0; i < length; i++) {
            long at = offset + i;
            if (at >= 0 && at < bytes.length) {
                value |= (bytes[(int) at] & 0xFFL) << (i * Byte.SIZE);
            }
        }
        return value;
    }

    /** What the driver writes; returns whether a byte was one that it may write. */
    synchronized boolean write(long offset, int length, long value) {
        boolean taken = false;
        for (int i = 0; i < length; i++) {
            long at = offset + i;
            if (at >= 0 && at < bytes.length && writable.get((int) at)) {
                bytes[(int) at] = (byte) (value >>> (i * Byte.SIZE));
                taken = true;
            }
        }
        return taken;
    }

    synchronized int generation() {
        return generation;
    }

    synchronized byte[] toBytes() {
        return bytes.clone();
    }
}
