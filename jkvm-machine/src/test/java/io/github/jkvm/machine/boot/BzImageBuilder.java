package io.github.jkvm.machine.boot;

import java.nio.ByteBuffer;

/** Makes small bzImages for tests: one setup sector, protected-mode code with a payload, the header of Linux 6.1. */
final class BzImageBuilder {
    static final int CODE_OFFSET = 1024;
    static final int PAYLOAD_OFFSET = 0x400;

    private final byte[] bytes;
    private final ByteBuffer file;

    /** Makes one whose code has 1 KiB, then the payload and its size trailer. */
    BzImageBuilder(byte[] payloadWithTrailer) {
        int codeSize = (PAYLOAD_OFFSET + payloadWithTrailer.length + 15) / 16 * 16;
        bytes = new byte[CODE_OFFSET + codeSize];
        file = ElfBuilder.little(bytes);
        put8(0x1F1, 1);
        put32(0x1F4, codeSize / 16);
        put16(0x1FE, 0xAA55);
        put16(0x200, 0x6AEB);
        put32(0x202, 0x53726448);
        put16(0x206, 0x20F);
        put8(0x211, 1);
        put32(0x22C, 0x7FFFFFFF);
        put32(0x230, 0x200000);
        put8(0x234, 1);
        put16(0x236, 0x7F);
        put32(0x238, 2047);
        put32(0x248, PAYLOAD_OFFSET);
        put32(0x24C, payloadWithTrailer.length);
        file.putLong(0x258, 0x1000000);
        put32(0x260, Math.max(codeSize, 0x100000));
        for (int i = 0; i < 0x200; i++) {
            file.put(CODE_OFFSET + 0x200 + i, (byte) i);
        }
        file.put(CODE_OFFSET + PAYLOAD_OFFSET, payloadWithTrailer);
    }

    BzImageBuilder put8(int offset, int value) {
        file.put(offset, (byte) value);
        return this;
    }

    BzImageBuilder put16(int offset, int value) {
        file.putShort(offset, (short) value);
        return this;
    }

    BzImageBuilder put32(int offset, int value) {
        file.putInt(offset, value);
        return this;
    }

    BzImageBuilder put64(int offset, long value) {
        file.putLong(offset, value);
        return this;
    }

    byte[] build() {
        return bytes.clone();
    }
}
