package io.github.jkvm.sandbox.function;

import java.util.List;
import java.util.Map;

/** Types of C and of Java that are the same. */
final class TestTypes {
    record Point(int x, double y) {}

    /** With what is in records, and one in the other. */
    @SuppressWarnings("ArrayRecordComponent") // what bytes of the guest are
    record Shape(boolean filled, Point from, Point to, String name, byte[] data, float weight, long id) {}

    private static final TypeParser PARSER = parser();

    static final CType SHAPE = PARSER.signature("f", "const shape *", "()").result();

    static final Map<CType, Class<?>> JAVA = Map.of(
            CType.Basic.BOOL,
            boolean.class,
            CType.Basic.INT,
            int.class,
            CType.Basic.LONG,
            long.class,
            CType.Basic.FLOAT,
            float.class,
            CType.Basic.DOUBLE,
            double.class,
            CType.Basic.STRING,
            String.class,
            CType.Basic.BYTES,
            byte[].class,
            SHAPE,
            Shape.class);

    static final List<CType> ALL = List.of(
            CType.Basic.BOOL,
            CType.Basic.INT,
            CType.Basic.LONG,
            CType.Basic.FLOAT,
            CType.Basic.DOUBLE,
            CType.Basic.STRING,
            CType.Basic.BYTES,
            SHAPE);

    private TestTypes() {}

    private static TypeParser parser() {
        var parser = new TypeParser();
        parser.declare(
                "shape",
                "bool filled; point from; struct point to; const char *name; jkvm_bytes data; float weight; long id;",
                80);
        parser.declare("point", "int x; double y;", 16);
        parser.readStructs();
        return parser;
    }
}
