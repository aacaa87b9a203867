package io.github.jkvm.machine.acpi;

import java.io.ByteArrayOutputStream;

/** Numbers as ACPI lays them out: lowest byte first. */
final class LittleEndian {
    private LittleEndian() {}

    static void write(ByteArrayOutputStream out, long value, int size) {
        for (int i = 0; i < size; i++) {
            out.write((int) (value >>> (i * Byte.SIZE)));
        }
    }

    static void put(byte[] target, int offset, long value, int size) {
        for (int i = 0; i < size; i++) {
            target[offset + i] = (byte) (value >>> (i * Byte.SIZE));
        }
    }
}
