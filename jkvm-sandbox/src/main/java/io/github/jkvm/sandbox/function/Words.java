package io.github.jkvm.sandbox.function;

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.util.Objects;

/**
 * Handles that put one value into the words of a call page or take it from there, as a function's argument or result: one word, or two for bytes. None
 * of primitive types allocates.
 */
final class Words {
    private static final MethodHandles.Lookup LOOKUP = MethodHandles.lookup();

    private Words() {}

    private static MethodHandle find(String name, Class<?> result, Class<?>... parameters) {
        try {
            return LOOKUP.findStatic(Words.class, name, MethodType.methodType(result, parameters));
        } catch (ReflectiveOperationException missing) {
            throw new LinkageError(name, missing);
        }
    }

    /**
     * Returns what puts a value.
     *
     * @param javaType type of the value
     * @param type type of the guest's function
     * @return a handle {@code (CallPage, long offset, javaType)void}
     * @throws IllegalArgumentException if the types are not the same; the text names both
     */
    static MethodHandle writer(Class<?> javaType, CType type) {
        Values values = Values.of(javaType, type);
        MethodHandle writer;
        if (values instanceof Values.OfRecord) {
            writer = bound("putRecord", values);
        } else {
            writer = find("put", void.class, CallPage.class, long.class, javaType);
        }
        return writer.asType(MethodType.methodType(void.class, CallPage.class, long.class, javaType));
    }

    private static MethodHandle bound(String name, Values values) {
        return find(name, void.class, Values.OfRecord.class, CallPage.class, long.class, Object.class)
                .bindTo(values);
    }

    /**
     * Returns what takes a value.
     *
     * @param javaType type of the value
     * @param type type of the guest's function
     * @return a handle {@code (CallPage, long offset)javaType}
     * @throws IllegalArgumentException if the types are not the same; the text names both
     */
    static MethodHandle reader(Class<?> javaType, CType type) {
        Values values = Values.of(javaType, type);
        if (values instanceof Values.OfRecord) {
            return find("takeRecord", Object.class, Values.OfRecord.class, CallPage.class, long.class)
                    .bindTo(values)
                    .asType(MethodType.methodType(javaType, CallPage.class, long.class));
        }
        if (type == CType.Basic.VOID) {
            return MethodHandles.empty(MethodType.methodType(void.class, CallPage.class, long.class));
        }
        String name = "take" + javaType.getSimpleName().replace("[]", "s");
        return find(name, javaType, CallPage.class, long.class);
    }

    static void put(CallPage page, long offset, boolean value) {
        page.setWord(offset, value ? 1 : 0);
    }

    static void put(CallPage page, long offset, int value) {
        page.setWord(offset, value);
    }

    static void put(CallPage page, long offset, long value) {
        page.setWord(offset, value);
    }

    static void put(CallPage page, long offset, float value) {
        page.setWord(offset, Integer.toUnsignedLong(Float.floatToRawIntBits(value)));
    }

    static void put(CallPage page, long offset, double value) {
        page.setWord(offset, Double.doubleToRawLongBits(value));
    }

    static void put(CallPage page, long offset, String value) {
        page.setWord(offset, page.putText(Objects.requireNonNull(value, "a String for the guest is null")));
    }

    static void put(CallPage page, long offset, byte[] value) {
        page.setWord(offset, page.putBytes(Objects.requireNonNull(value, "a byte[] for the guest is null")));
        page.setWord(offset + Long.BYTES, value.length);
    }

    static void putRecord(Values.OfRecord values, CallPage page, long offset, Object value) {
        page.setWord(offset, values.put(page, Objects.requireNonNull(value, "a record for the guest is null")));
    }

    static boolean takeboolean(CallPage page, long offset) {
        page.spend(Long.BYTES);
        return (page.word(offset) & 0xFF) != 0;
    }

    static int takeint(CallPage page, long offset) {
        page.spend(Long.BYTES);
        return (int) page.word(offset);
    }

    static long takelong(CallPage page, long offset) {
        page.spend(Long.BYTES);
        return page.word(offset);
    }

    static float takefloat(CallPage page, long offset) {
        page.spend(Long.BYTES);
        return Float.intBitsToFloat((int) page.word(offset));
    }

    static double takedouble(CallPage page, long offset) {
        page.spend(Long.BYTES);
        return Double.longBitsToDouble(page.word(offset));
    }

    static String takeString(CallPage page, long offset) {
        return page.text(page.word(offset));
    }

    static byte[] takebytes(CallPage page, long offset) {
        return page.bytes(page.word(offset), page.word(offset + Long.BYTES));
    }

    static Object takeRecord(Values.OfRecord values, CallPage page, long offset) {
        return values.get(page, page.word(offset));
    }
}
