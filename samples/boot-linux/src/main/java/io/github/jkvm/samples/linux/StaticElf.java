package io.github.jkvm.samples.linux;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** Tells programs that carry all their code from those that need shared libraries. */
final class StaticElf {
    private static final int MAGIC = 0x464C457F;

    // ELF-64 Object File Format, "ELF Header": offsets of its fields; "Program Header": the type that names a dynamic
    // loader.
    private static final int HEADER_SIZE = 64;
    private static final int PROGRAM_HEADERS_OFFSET = 32;
    private static final int PROGRAM_HEADER_SIZE = 54;
    private static final int PROGRAM_HEADER_COUNT = 56;
    private static final int PT_INTERP = 3;

    private StaticElf() {}

    /** Tells whether a file is a 64-bit little-endian ELF file that names no dynamic loader. */
    static boolean is(byte[] file) {
        ByteBuffer bytes = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN);
        if (file.length < HEADER_SIZE || bytes.getInt(0) != MAGIC || file[4] != 2 || file[5] != 1) {
            return false;
        }
        long headers = bytes.getLong(PROGRAM_HEADERS_OFFSET);
        int size = Short.toUnsignedInt(bytes.getShort(PROGRAM_HEADER_SIZE));
        int count = Short.toUnsignedInt(bytes.getShort(PROGRAM_HEADER_COUNT));
        if (size < Integer.BYTES || headers < HEADER_SIZE || headers > file.length - (long) size * count) {
            return false;
        }
        for (int i = 0; i < count; i++) {
            if (bytes.getInt((int) headers + i * size) == PT_INTERP) {
                return false;
            }
        }
        return true;
    }
}
