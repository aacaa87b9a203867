package io.github.jkvm.sandbox.function;

import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.lang.reflect.Constructor;
import java.lang.reflect.InaccessibleObjectException;
import java.lang.reflect.Method;
import java.lang.reflect.RecordComponent;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/**
 * How Java values of one type lie in memory as C has them: in a field of a record, where primitive types are boxed. Arguments and results that are not
 * records go other ways ({@link Words}), without boxes.
 */
sealed interface Values {

    /** Writes a value. */
    void write(CallPage page, long offset, Object value);

    /** Reads a value. */
    Object read(CallPage page, long offset);

    /**
     * Finds how values of a Java type go into a type of C.
     *
     * @throws IllegalArgumentException if they don't; the text names both
     */
    static Values of(Class<?> javaType, CType type) {
        if (type instanceof CType.Struct struct) {
            return new OfRecord(javaType, struct);
        }
        OfBasic values = new OfBasic((CType.Basic) type);
        if (javaType != values.javaType()) {
            throw new IllegalArgumentException("Java has " + javaType.getTypeName() + " where the guest has " + type
                    + ", which is " + values.javaType().getTypeName());
        }
        return values;
    }

    /** Values that have no name. */
    record OfBasic(CType.Basic type) implements Values {
        Class<?> javaType() {
            return switch (type) {
                case VOID -> void.class;
                case BOOL -> boolean.class;
                case INT -> int.class;
                case LONG -> long.class;
                case FLOAT -> float.class;
                case DOUBLE -> double.class;
                case STRING -> String.class;
                case BYTES -> byte[].class;
            };
        }

        @Override
        public void write(CallPage page, long offset, Object value) {
            switch (type) {
                case VOID -> throw new IllegalStateException("no value has the type void");
                case BOOL -> page.bytes().set(ValueLayout.JAVA_BYTE, offset, (byte) ((boolean) value ? 1 : 0));
                case INT -> page.bytes().set(ValueLayout.JAVA_INT_UNALIGNED, offset, (int) value);
                case LONG -> page.setWord(offset, (long) value);
                case FLOAT -> page.bytes().set(ValueLayout.JAVA_FLOAT_UNALIGNED, offset, (float) value);
                case DOUBLE -> page.bytes().set(ValueLayout.JAVA_DOUBLE_UNALIGNED, offset, (double) value);
                case STRING -> page.setWord(offset, page.putText((String) value));
                case BYTES -> {
                    byte[] array = (byte[]) value;
                    page.setWord(offset, page.putBytes(array));
                    page.setWord(offset + Long.BYTES, array.length);
                }
            }
        }

        @Override
        public Object read(CallPage page, long offset) {
            return switch (type) {
                case VOID -> throw new IllegalStateException("no value has the type void");
                case BOOL -> page.bytes().get(ValueLayout.JAVA_BYTE, offset) != 0;
                case INT -> page.bytes().get(ValueLayout.JAVA_INT_UNALIGNED, offset);
                case LONG -> page.word(offset);
                case FLOAT -> page.bytes().get(ValueLayout.JAVA_FLOAT_UNALIGNED, offset);
                case DOUBLE -> page.bytes().get(ValueLayout.JAVA_DOUBLE_UNALIGNED, offset);
                case STRING -> page.text(page.word(offset));
                case BYTES -> page.bytes(page.word(offset), page.word(offset + Long.BYTES));
            };
        }
    }

    /** Records, each with the values of its components at the offsets of the fields. */
    final class OfRecord implements Values {
        private final CType.Struct struct;
        private final List<Component> components = new ArrayList<>();
        private final MethodHandle constructor;

        /**
         * A component.
         *
         * @param name its name, for messages
         * @param offset of its field
         * @param values how its values lie there
         * @param accessor gets it of a record: {@code (Object)Object}
         */
        private record Component(String name, int offset, Values values, MethodHandle accessor) {}

        OfRecord(Class<?> javaType, CType.Struct struct) {
            this.struct = struct;
            if (!javaType.isRecord()) {
                throw new IllegalArgumentException("Java has " + javaType.getTypeName() + " where the guest has "
                        + struct + ", which is a record of " + describe(struct));
            }
            RecordComponent[] parts = javaType.getRecordComponents();
            if (parts.length != struct.fields().size()) {
                throw new IllegalArgumentException("record " + javaType.getTypeName() + " has " + parts.length
                        + " components where the guest's " + struct.name() + " has "
                        + struct.fields().size() + ": "
                        + describe(struct));
            }
            Class<?>[] types = new Class<?>[parts.length];
            for (int i = 0; i < parts.length; i++) {
                CType.Field field = struct.fields().get(i);
                types[i] = parts[i].getType();
                Values values;
                try {
                    values = Values.of(types[i], field.type());
                } catch (IllegalArgumentException mismatch) {
                    throw new IllegalArgumentException("component '" + parts[i].getName() + "' of record "
                            + javaType.getTypeName() + " is not field '" + field.name() + "' of the guest's "
                            + struct.name() + ": " + mismatch.getMessage());
                }
                String name = javaType.getSimpleName() + "." + parts[i].getName();
                components.add(new Component(name, field.offset(), values, accessor(parts[i].getAccessor())));
            }
            constructor = constructor(javaType, types);
        }

        private static String describe(CType.Struct struct) {
            var text = new StringBuilder("{");
            for (CType.Field field : struct.fields()) {
                text.append(' ')
                        .append(field.type())
                        .append(' ')
                        .append(field.name())
                        .append(';');
            }
            return text.append(" }").toString();
        }

        private static MethodHandle accessor(Method method) {
            try {
                method.setAccessible(true);
                return MethodHandles.lookup()
                        .unreflect(method)
                        .asType(MethodType.methodType(Object.class, Object.class));
            } catch (IllegalAccessException | InaccessibleObjectException refused) {
                throw hidden(method.getDeclaringClass(), refused);
            }
        }

        private static MethodHandle constructor(Class<?> type, Class<?>[] parameters) {
            try {
                Constructor<?> canonical = type.getDeclaredConstructor(parameters);
                canonical.setAccessible(true);
                return MethodHandles.lookup()
                        .unreflectConstructor(canonical)
                        .asType(MethodType.genericMethodType(parameters.length))
                        .asSpreader(Object[].class, parameters.length);
            } catch (ReflectiveOperationException | InaccessibleObjectException refused) {
                throw hidden(type, refused);
            }
        }

        private static IllegalArgumentException hidden(Class<?> type, Exception refused) {
            return new IllegalArgumentException(
                    "record " + type.getTypeName()
                            + " can't be used from the module io.github.jkvm.sandbox; open its package: opens "
                            + type.getPackageName() + " to io.github.jkvm.sandbox;",
                    refused);
        }

        /** Puts a record into the room and returns its address. */
        long put(CallPage page, Object value) {
            long offset = page.take(struct.size());
            write(page, offset, value);
            return page.addressOf(offset);
        }

        /** Reads a record that the guest gave the address of. */
        Object get(CallPage page, long pointer) {
            long offset = page.offset(pointer, struct.size());
            page.spend(struct.size());
            return read(page, offset);
        }

        @Override
        public void write(CallPage page, long offset, Object value) {
            for (Component component : components) {
                Object part = call(component.accessor(), value);
                component
                        .values()
                        .write(
                                page,
                                offset + component.offset(),
                                Objects.requireNonNull(
                                        part, () -> component.name() + " is null; C values have no null"));
            }
        }

        @Override
        public Object read(CallPage page, long offset) {
            Object[] parts = new Object[components.size()];
            for (int i = 0; i < parts.length; i++) {
                Component component = components.get(i);
                parts[i] = component.values().read(page, offset + component.offset());
            }
            try {
                return constructor.invokeExact(parts);
            } catch (RuntimeException | Error failure) {
                throw failure;
            } catch (Throwable failure) {
                throw new IllegalArgumentException("the record can't be made: " + failure.getMessage(), failure);
            }
        }

        private static Object call(MethodHandle accessor, Object value) {
            try {
                return accessor.invokeExact(value);
            } catch (RuntimeException | Error failure) {
                throw failure;
            } catch (Throwable failure) {
                throw new IllegalArgumentException("the record can't be read: " + failure.getMessage(), failure);
            }
        }
    }
}
