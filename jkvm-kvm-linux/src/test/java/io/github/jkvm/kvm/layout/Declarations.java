package io.github.jkvm.kvm.layout;

import io.github.jkvm.kvm.ffi.Ioctl;
import java.io.IOException;
import java.lang.foreign.GroupLayout;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.SequenceLayout;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/** All that this package declares, as C expressions and the values they should have. */
final class Declarations {
    private Declarations() {}

    /** The classes of this package that declare structures, requests or numbers, found where they were compiled to. */
    static List<Class<?>> holders() throws IOException, URISyntaxException {
        URI here = Struct.class.getResource("Struct.class").toURI();
        try (Stream<Path> files = Files.list(Path.of(here).getParent())) {
            return files.map(file -> file.getFileName().toString())
                    .filter(file -> file.matches("[A-Z]\\w+\\.class"))
                    .sorted()
                    .<Class<?>>map(file -> load(file.substring(0, file.length() - ".class".length())))
                    .filter(type -> !expressions(type).isEmpty())
                    .toList();
        }
    }

    private static Class<?> load(String name) {
        try {
            return Class.forName(Struct.class.getPackageName() + "." + name);
        } catch (ClassNotFoundException e) {
            throw new AssertionError(e);
        }
    }

    /** What a class declares: expression to value. */
    static Map<String, Long> expressions(Class<?> holder) {
        Map<String, Long> expressions = new LinkedHashMap<>();
        for (Field field : holder.getDeclaredFields()) {
            if (Modifier.isStatic(field.getModifiers()) && field.getName().matches("(KVM|SYNC)_.*")) {
                switch (value(field)) {
                    case Struct struct -> addStruct(expressions, struct);
                    case Ioctl ioctl -> expressions.put(ioctl.name(), ioctl.number());
                    case Number number -> expressions.put(field.getName(), number.longValue());
                    default -> throw new AssertionError(field + " is none of the things this test knows");
                }
            }
        }
        return expressions;
    }

    private static Object value(Field field) {
        try {
            field.setAccessible(true);
            return field.get(null);
        } catch (IllegalAccessException e) {
            throw new AssertionError(e);
        }
    }

    private static void addStruct(Map<String, Long> expressions, Struct struct) {
        expressions.put("sizeof(struct " + struct.name() + ")", struct.size());
        addFields(expressions, "struct " + struct.name(), "", 0, struct.layout());
    }

    private static void addFields(
            Map<String, Long> expressions, String type, String prefix, long base, GroupLayout group) {
        long offset = base;
        for (MemoryLayout member : group.memberLayouts()) {
            if (member.name().isPresent()) {
                String path = prefix + member.name().get();
                expressions.put("offsetof(" + type + ", " + path + ")", offset);
                String access = "((" + type + " *) 0)->" + path;
                if (member instanceof SequenceLayout array && array.elementCount() == 0) {
                    expressions.put(
                            "sizeof(" + access + "[0])", array.elementLayout().byteSize());
                } else if (!(member instanceof GroupLayout inner && endsFlexibly(inner))) {
                    expressions.put("sizeof(" + access + ")", member.byteSize());
                }
                if (member instanceof GroupLayout inner) {
                    addFields(expressions, type, path + ".", offset, inner);
                }
            } else if (member instanceof GroupLayout unnamed) {
                addFields(expressions, type, prefix, offset, unnamed);
            }
            if (!(group instanceof java.lang.foreign.UnionLayout)) {
                offset += member.byteSize();
            }
        }
    }

    private static boolean endsFlexibly(GroupLayout group) {
        return group.byteSize() == 0;
    }
}
