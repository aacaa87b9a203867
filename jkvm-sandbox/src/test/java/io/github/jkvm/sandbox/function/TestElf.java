package io.github.jkvm.sandbox.function;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/** A guest's file as the linker makes it: a page each of code, of tables, and of data; a record, two functions and one of the host. */
final class TestElf {
    static final int PAGE = 4096;
    static final int TEXT = PAGE;
    static final int TABLES = 2 * PAGE;
    static final int DATA = 3 * PAGE;
    static final int NOTE = TABLES;
    private static final long TEXT_ADDRESS = GuestImage.BASE;
    private static final long TABLES_ADDRESS = GuestImage.BASE + PAGE;
    private static final long DATA_ADDRESS = GuestImage.BASE + 2 * PAGE;
    private static final int RECORDS = 0x100;
    private static final int EXPORTS = 0x200;
    private static final int STRINGS = 0x400;
    private static final int NEXTS = 8;

    private final ByteBuffer file = ByteBuffer.allocate(4 * PAGE).order(ByteOrder.LITTLE_ENDIAN);
    private int strings = TABLES + STRINGS;

    private TestElf() {}

    static byte[] bytes() {
        return new TestElf().build();
    }

    private byte[] build() {
        file.putInt(0, 0x464C_457F).putInt(4, 0x0001_0102);
        file.putShort(16, (short) 2).putShort(18, (short) 62).putLong(24, TEXT_ADDRESS);
        file.putLong(32, 64).putShort(54, (short) 56).putShort(56, (short) 4);
        segment(0, 1, 5, TEXT, TEXT_ADDRESS, 100);
        segment(1, 1, 4, TABLES, TABLES_ADDRESS, PAGE);
        segment(2, 1, 6, DATA, DATA_ADDRESS, 40);
        segment(3, 4, 4, NOTE, TABLES_ADDRESS, 20 + 15 * 8);
        file.putInt(NOTE, 5).putInt(NOTE + 4, 15 * 8).putInt(NOTE + 8, 1);
        file.put(NOTE + 12, "jkvm\0".getBytes(StandardCharsets.US_ASCII));
        long[] numbers = {
            1,
            TABLES_ADDRESS + RECORDS,
            TABLES_ADDRESS + RECORDS + 24,
            TABLES_ADDRESS + EXPORTS,
            TABLES_ADDRESS + EXPORTS + 64,
            DATA_ADDRESS,
            DATA_ADDRESS + 40
        };
        for (int i = 0; i < numbers.length; i++) {
            file.putLong(NOTE + 20 + i * 8, numbers[i]);
        }
        for (int i = 0; i < NEXTS; i++) {
            file.putLong(NOTE + 20 + (numbers.length + i) * 8, TEXT_ADDRESS + 10 + i);
        }
        words(TABLES + RECORDS, text("point"), text("int x; double y;"), 16);
        words(TABLES + EXPORTS, text("add"), text("long"), text("(long, long)"), TEXT_ADDRESS + 40);
        words(
                TABLES + EXPORTS + 32,
                text("move"),
                text("const point *"),
                text("(const point *, double)"),
                TEXT_ADDRESS);
        words(DATA, text("now"), text("long"), text("(void)"), 0, 0);
        return file.array();
    }

    private void segment(int index, int type, int flags, long offset, long address, long size) {
        int at = 64 + index * 56;
        file.putInt(at, type).putInt(at + 4, flags);
        words(at + 8, offset, address, address, size, size, PAGE);
    }

    private void words(int at, long... words) {
        for (int i = 0; i < words.length; i++) {
            file.putLong(at + i * 8, words[i]);
        }
    }

    private long text(String text) {
        byte[] bytes = (text + "\0").getBytes(StandardCharsets.UTF_8);
        file.put(strings, bytes);
        long address = TABLES_ADDRESS + strings - TABLES;
        strings += bytes.length;
        return address;
    }
}
