package io.github.jkvm.machine.snapshot;

import io.github.jkvm.Bytes;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.RecordComponent;
import java.lang.reflect.Type;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;

/**
 * Turns records into bytes and back: their parts in the order they are declared, each a number, a truth value, an enum's constant, text, {@link Bytes},
 * a list or another record. What is read is untrusted: counts are bounded by what is there, and the records' own checks apply.
 *
 * @param <T> the record
 */
final class RecordCodec<T extends Record> {
    private final Class<T> type;
    private final Part part;

    RecordCodec(Class<T> type) {
        this.type = type;
        this.part = partOf(type);
    }

    /** Returns the names and types of all parts, in order. Those who agree on it understand each other's bytes. */
    String layout() {
        return part.layout();
    }

    byte[] encode(T value) {
        var bytes = new ByteArrayOutputStream();
        try (var out = new DataOutputStream(bytes)) {
            part.write(value, out);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return bytes.toByteArray();
    }

    /**
     * Reads what {@link #encode} wrote.
     *
     * @throws IllegalArgumentException if the bytes are not those of a record of this type
     */
    T decode(byte[] bytes) {
        try (var in = new DataInputStream(new ByteArrayInputStream(bytes))) {
            T value = type.cast(part.read(in));
            if (in.available() != 0) {
                throw new IllegalArgumentException(in.available() + " stray bytes follow it");
            }
            return value;
        } catch (IOException e) {
            throw new IllegalArgumentException("its " + bytes.length + " bytes end too early", e);
        }
    }

    /** How one type lies in bytes. */
    private interface Part {
        void write(Object value, DataOutputStream out) throws IOException;

        Object read(DataInputStream in) throws IOException;

        String layout();
    }

    private static Part partOf(Type type) {
        if (type == int.class || type == Integer.class) {
            return INT;
        }
        if (type == long.class || type == Long.class) {
            return LONG;
        }
        if (type == boolean.class) {
            return BOOLEAN;
        }
        if (type == String.class) {
            return TEXT;
        }
        if (type == Bytes.class) {
            return BYTES;
        }
        if (type instanceof ParameterizedType list && list.getRawType() == List.class) {
            return new ListPart(partOf(list.getActualTypeArguments()[0]));
        }
        if (type instanceof Class<?> known && known.isEnum()) {
            return new EnumPart(known.getEnumConstants());
        }
        if (type instanceof Class<?> known && known.isRecord()) {
            return RecordPart.of(known);
        }
        throw new IllegalArgumentException("no part of a snapshot can be of " + type);
    }

    private static final Part INT =
            new Simple("int", (value, out) -> out.writeInt((int) value), DataInputStream::readInt);

    private static final Part LONG =
            new Simple("long", (value, out) -> out.writeLong((long) value), DataInputStream::readLong);

    private static final Part BOOLEAN =
            new Simple("boolean", (value, out) -> out.writeByte((boolean) value ? 1 : 0), RecordCodec::readTruth);

    private static final Part TEXT =
            new Simple("text", (value, out) -> out.writeUTF((String) value), in -> in.readUTF());

    private static final Part BYTES = new Simple(
            "bytes",
            (value, out) -> {
                byte[] bytes = ((Bytes) value).toArray();
                out.writeInt(bytes.length);
                out.write(bytes);
            },
            in -> Bytes.copyOf(in.readNBytes(count(in))));

    private static Object readTruth(DataInputStream in) throws IOException {
        byte value = in.readByte();
        if (value != 0 && value != 1) {
            throw new IllegalArgumentException("a truth value is " + value + "; it must be 0 or 1");
        }
        return value == 1;
    }

    private static int count(DataInputStream in) throws IOException {
        int count = in.readInt();
        // Each of what is counted takes a byte or more.
        if (count < 0 || count > in.available()) {
            throw new IllegalArgumentException("it claims " + count + " parts; " + in.available() + " bytes are left");
        }
        return count;
    }

    /** A type that has no types in it. */
    private record Simple(String layout, Writer writer, Reader reader) implements Part {
        interface Writer {
            void write(Object value, DataOutputStream out) throws IOException;
        }

        interface Reader {
            Object read(DataInputStream in) throws IOException;
        }

        @Override
        public void write(Object value, DataOutputStream out) throws IOException {
            writer.write(value, out);
        }

        @Override
        public Object read(DataInputStream in) throws IOException {
            return reader.read(in);
        }
    }

    private record ListPart(Part element) implements Part {
        @Override
        public void write(Object value, DataOutputStream out) throws IOException {
            List<?> list = (List<?>) value;
            out.writeInt(list.size());
            for (Object each : list) {
                element.write(each, out);
            }
        }

        @Override
        public Object read(DataInputStream in) throws IOException {
            int count = count(in);
            List<Object> list = new ArrayList<>();
            for (int i = 0; i < count; i++) {
                list.add(element.read(in));
            }
            return List.copyOf(list);
        }

        @Override
        public String layout() {
            return "[" + element.layout() + "]";
        }
    }

    private static final class EnumPart implements Part {
        private final Object[] constants;

        EnumPart(Object[] constants) {
            this.constants = constants;
        }

        @Override
        public void write(Object value, DataOutputStream out) throws IOException {
            out.writeInt(((Enum<?>) value).ordinal());
        }

        @Override
        public Object read(DataInputStream in) throws IOException {
            int ordinal = in.readInt();
            if (ordinal < 0 || ordinal >= constants.length) {
                throw new IllegalArgumentException(
                        "number " + ordinal + " is none of " + Arrays.toString(constants) + ", which count from 0");
            }
            return constants[ordinal];
        }

        @Override
        public String layout() {
            return Arrays.toString(constants);
        }
    }

    private record RecordPart(Constructor<?> constructor, List<Method> accessors, List<Part> parts, String layout)
            implements Part {
        static RecordPart of(Class<?> type) {
            RecordComponent[] components = type.getRecordComponents();
            List<Method> accessors =
                    Arrays.stream(components).map(RecordComponent::getAccessor).toList();
            List<Part> parts = Arrays.stream(components)
                    .map(component -> partOf(component.getGenericType()))
                    .toList();
            String layout = Arrays.stream(components)
                    .map(component -> component.getName() + ":"
                            + partOf(component.getGenericType()).layout())
                    .collect(Collectors.joining(",", type.getSimpleName() + "(", ")"));
            try {
                Class<?>[] types =
                        Arrays.stream(components).map(RecordComponent::getType).toArray(Class<?>[]::new);
                return new RecordPart(type.getDeclaredConstructor(types), accessors, parts, layout);
            } catch (NoSuchMethodException e) {
                throw new IllegalStateException(type + " is a record without its constructor", e);
            }
        }

        @Override
        public void write(Object value, DataOutputStream out) throws IOException {
            for (int i = 0; i < parts.size(); i++) {
                try {
                    parts.get(i).write(accessors.get(i).invoke(value), out);
                } catch (ReflectiveOperationException e) {
                    throw new IllegalStateException("can't read " + accessors.get(i), e);
                }
            }
        }

        @Override
        public Object read(DataInputStream in) throws IOException {
            Object[] values = new Object[parts.size()];
            for (int i = 0; i < values.length; i++) {
                values[i] = parts.get(i).read(in);
            }
            try {
                return constructor.newInstance(values);
            } catch (InvocationTargetException e) {
                if (e.getCause() instanceof IllegalArgumentException bad) {
                    throw bad;
                }
                throw new IllegalArgumentException(
                        "no " + constructor.getDeclaringClass().getSimpleName(), e.getCause());
            } catch (ReflectiveOperationException e) {
                throw new IllegalStateException("can't call " + constructor, e);
            }
        }
    }
}
