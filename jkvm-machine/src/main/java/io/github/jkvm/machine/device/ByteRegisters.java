package io.github.jkvm.machine.device;

import io.github.jkvm.IoHandler;

/**
 * Registers of one byte each. A wider access is a byte access of each register it covers, lowest first, which is what the bus of a PC makes of
 * it.
 */
interface ByteRegisters extends IoHandler {

    /**
     * Reads a register.
     *
     * @param offset its place in the range
     * @return its value, 0 to 255
     */
    int readByte(int offset);

    /**
     * Writes a register.
     *
     * @param offset its place in the range
     * @param value the value, 0 to 255
     */
    void writeByte(int offset, int value);

    @Override
    default long read(long offset, int size) {
        long value = 0;
        for (int i = 0; i < size; i++) {
            value |= (readByte((int) offset + i) & 0xFFL) << (i * Byte.SIZE);
        }
        return value;
    }

    @Override
    default void write(long offset, int size, long value) {
        for (int i = 0; i < size; i++) {
            writeByte((int) offset + i, (int) (value >>> (i * Byte.SIZE)) & 0xFF);
        }
    }
}
