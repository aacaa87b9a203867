package io.github.jkvm.testkit.asm;

/**
 * A field of some bytes that gets its value from a label's address, once that is known.
 *
 * @param at offset of the field in its statement
 * @param bytes its size
 * @param label whose address
 * @param addend added to the address
 * @param kind how the address is written
 * @param shift bits by which it is shifted right; what the field then cannot hold is an error for {@link Kind#ABSOLUTE}
 */
record Fixup(int at, int bytes, Label label, long addend, Kind kind, int shift) {
    /** How an address is written. */
    enum Kind {
        /** As it is, unsigned; it must fit. */
        ABSOLUTE,
        /** Its low bits only: pieces of a descriptor. */
        PART,
        /** As the signed distance from the end of the statement. */
        RELATIVE
    }

    /** Writes the field, little-endian, into the bytes of its statement. */
    void apply(byte[] code, int statement, long address, long end) {
        long target = address + addend;
        long field = switch (kind) {
            case RELATIVE -> target - end;
            case ABSOLUTE, PART -> target >>> shift;
        };
        if (kind == Kind.RELATIVE && !Immediate.fitsSigned(field, bytes * Byte.SIZE)) {
            throw new IllegalStateException("label " + label + " at " + Immediate.text(target) + " is " + field
                    + " bytes from the instruction that ends at " + Immediate.text(end) + ", more than a "
                    + bytes * Byte.SIZE + "-bit distance holds; load its address into a register");
        }
        if (kind == Kind.ABSOLUTE && bytes < Long.BYTES && field >>> (bytes * Byte.SIZE) != 0) {
            throw new IllegalStateException("label " + label + " at " + Immediate.text(target) + " does not fit the "
                    + bytes + "-byte field that names it; lower the origin, or use a wider operand");
        }
        for (int i = 0; i < bytes; i++) {
            code[statement + at + i] = (byte) (field >>> (i * Byte.SIZE));
        }
    }
}
