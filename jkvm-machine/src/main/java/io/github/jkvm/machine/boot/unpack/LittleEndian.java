package io.github.jkvm.machine.boot.unpack;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/** Reads little-endian numbers from arrays. */
final class LittleEndian {
    private static final VarHandle LONG = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
    private static final VarHandle INT = MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);

    private LittleEndian() {}

    static long u64(byte[] bytes, int at) {
        return (long) LONG.get(bytes, at);
    }

    static int u32(byte[] bytes, int at) {
        return (int) INT.get(bytes, at);
    }

    /** Reads a number of 0 to 8 bytes. */
    static long number(byte[] bytes, int at, int length) {
        long value = 0;
        for (int i = length - 1; i >= 0; i--) {
            value = value << Byte.SIZE | Byte.toUnsignedLong(bytes[at + i]);
        }
        return value;
    }
}
