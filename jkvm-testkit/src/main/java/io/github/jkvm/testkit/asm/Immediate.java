package io.github.jkvm.testkit.asm;

/** Numbers inside instructions: their range, their short form, their text. */
final class Immediate {
    private Immediate() {}

    /**
     * Brings a number to the signed number of the same bits: 0xFFFF and -1 are the same 16-bit operand.
     *
     * @throws IllegalArgumentException if it fits neither signed nor unsigned
     */
    static long normalized(long value, int bits) {
        if (bits == Long.SIZE) {
            return value;
        }
        if (value < -(1L << (bits - 1)) || value >= 1L << bits) {
            throw new IllegalArgumentException("immediate " + text(value) + " does not fit " + bits
                    + " bits; it must be from " + text(-(1L << (bits - 1))) + " to " + text((1L << bits) - 1));
        }
        int unused = Long.SIZE - bits;
        return value << unused >> unused;
    }

    /** Whether sign extension of the low bits gives the number back. */
    static boolean fitsSigned(long value, int bits) {
        int unused = Long.SIZE - bits;
        return value << unused >> unused == value;
    }

    /** The number as the listing shows it. */
    static String text(long value) {
        return value < 0 ? "-0x" + Long.toHexString(-value) : "0x" + Long.toHexString(value);
    }

    /** An address as the listing shows it. */
    static String unsigned(long value) {
        return "0x" + Long.toHexString(value);
    }
}
