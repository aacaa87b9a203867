package io.github.jkvm.kvm.layout;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import io.github.jkvm.Bytes;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * Values of C's unsigned types in memory and in the records of the API, which keep bytes and 16-bit values in an {@code int}.
 *
 * <p>A value that does not fit its field is refused, not cut.
 */
final class Fields {
    private Fields() {}

    static int u8(MemorySegment struct, long offset) {
        return Byte.toUnsignedInt(struct.get(JAVA_BYTE, offset));
    }

    static void u8(MemorySegment struct, long offset, String name, int value) {
        check(name, value, 0xFF);
        struct.set(JAVA_BYTE, offset, (byte) value);
    }

    static int u16(MemorySegment struct, long offset) {
        return Short.toUnsignedInt(struct.get(JAVA_SHORT, offset));
    }

    static void u16(MemorySegment struct, long offset, String name, int value) {
        check(name, value, 0xFFFF);
        struct.set(JAVA_SHORT, offset, (short) value);
    }

    static int u32(MemorySegment struct, long offset) {
        return struct.get(JAVA_INT, offset);
    }

    static void u32(MemorySegment struct, long offset, int value) {
        struct.set(JAVA_INT, offset, value);
    }

    static long u64(MemorySegment struct, long offset) {
        return struct.get(JAVA_LONG, offset);
    }

    static void u64(MemorySegment struct, long offset, long value) {
        struct.set(JAVA_LONG, offset, value);
    }

    static List<Long> u64s(MemorySegment struct, long offset, int count) {
        List<Long> values = new ArrayList<>(count);
        for (int i = 0; i < count; i++) {
            values.add(u64(struct, offset + (long) i * Long.BYTES));
        }
        return values;
    }

    static void u64s(MemorySegment struct, long offset, List<Long> values) {
        for (int i = 0; i < values.size(); i++) {
            u64(struct, offset + (long) i * Long.BYTES, values.get(i));
        }
    }

    static Bytes bytes(MemorySegment struct, long offset, long size) {
        return Bytes.copyOf(struct.asSlice(offset, size).toArray(JAVA_BYTE));
    }

    static void bytes(MemorySegment struct, long offset, Bytes value) {
        MemorySegment.copy(value.toArray(), 0, struct, JAVA_BYTE, offset, value.length());
    }

    private static void check(String name, int value, int max) {
        if (value < 0 || value > max) {
            throw new IllegalArgumentException(name + " is " + value + "; it must be from 0 to " + max);
        }
    }
}
