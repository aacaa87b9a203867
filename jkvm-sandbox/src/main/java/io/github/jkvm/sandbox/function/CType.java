package io.github.jkvm.sandbox.function;

import java.util.List;

/** A type that goes between guest and host, as C has it. */
public sealed interface CType {

    /**
     * Returns how many bytes a field of it takes (System V ABI, AMD64 supplement, figure 3.1).
     *
     * @return the number; 0 for no value
     */
    int size();

    /**
     * Returns what the address of a field of it is a multiple of.
     *
     * @return a power of two
     */
    int alignment();

    /** A type without a name of its own. */
    enum Basic implements CType {
        /** No value. */
        VOID("void", 0, 1),
        /** 0 or 1. */
        BOOL("bool", 1, 1),
        /** 32 bits, signed. */
        INT("int", 4, 4),
        /** 64 bits, signed. */
        LONG("long", 8, 8),
        /** IEEE 754 binary32. */
        FLOAT("float", 4, 4),
        /** IEEE 754 binary64. */
        DOUBLE("double", 8, 8),
        /** Address of UTF-8 that a NUL ends. */
        STRING("const char *", 8, 8),
        /** Address and number of bytes. */
        BYTES("jkvm_bytes", 16, 8);

        private final String text;
        private final int size;
        private final int alignment;

        Basic(String text, int size, int alignment) {
            this.text = text;
            this.size = size;
            this.alignment = alignment;
        }

        @Override
        public int size() {
            return size;
        }

        @Override
        public int alignment() {
            return alignment;
        }

        @Override
        public String toString() {
            return text;
        }
    }

    /**
     * A struct. Functions take and give its address; in another struct it lies itself.
     *
     * @param name its name
     * @param fields its fields, at least one
     * @param size how many bytes it takes
     * @param alignment what its address is a multiple of
     */
    record Struct(String name, List<Field> fields, int size, int alignment) implements CType {
        /** Copies the fields. */
        public Struct {
            fields = List.copyOf(fields);
        }

        @Override
        public String toString() {
            return "const " + name + " *";
        }
    }

    /**
     * A field of a struct.
     *
     * @param name its name
     * @param type its type
     * @param offset where in the struct it begins, in bytes
     */
    record Field(String name, CType type, int offset) {}
}
