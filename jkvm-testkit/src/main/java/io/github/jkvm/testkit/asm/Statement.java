package io.github.jkvm.testkit.asm;

import java.util.List;

/** One thing in a program, in the order it was written. */
sealed interface Statement {
    /** Bytes of a size known at once: an instruction, or data. */
    final class Code implements Statement {
        private final byte[] bytes;
        private final List<Fixup> fixups;
        private final String text;

        Code(byte[] bytes, List<Fixup> fixups, String text) {
            this.bytes = bytes;
            this.fixups = fixups;
            this.text = text;
        }

        /** The bytes, with zero where a label's address will go. Not copied. */
        byte[] bytes() {
            return bytes;
        }

        List<Fixup> fixups() {
            return fixups;
        }

        String text() {
            return text;
        }
    }

    /**
     * A jump to a label, whose size depends on the distance.
     *
     * @param prefix operand or address size prefix, or 0
     * @param shortOpcode opcode of the form with an 8-bit distance, or {@link #NO_FORM}
     * @param nearOpcode opcode of the form with a distance of 16 or 32 bits, or {@link #NO_FORM}
     * @param nearBytes size of the larger distance
     * @param target where to
     * @param text as the listing shows it
     */
    record Branch(int prefix, int shortOpcode, int nearOpcode, int nearBytes, Label target, String text)
            implements Statement {
        static final int NO_FORM = -1;
    }

    /** A label gets its place. */
    record Bind(Label label) implements Statement {}

    /**
     * Bytes up to the next multiple.
     *
     * @param boundary a power of two
     * @param fill value of each byte
     */
    record Align(int boundary, int fill) implements Statement {}

    /**
     * Bytes up to an address.
     *
     * @param address address of what follows
     * @param fill value of each byte
     */
    record PadTo(long address, int fill) implements Statement {}
}
