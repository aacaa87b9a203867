package io.github.jkvm.testkit.asm;

import java.util.Locale;

/** What a conditional jump, move or set asks of the flags, in the order of their codes (SDM volume 1, appendix B). */
public enum Condition {
    /** Overflow. */
    O,
    /** No overflow. */
    NO,
    /** Below: carry. */
    B,
    /** Above or equal: no carry. */
    AE,
    /** Equal: zero. */
    E,
    /** Not equal: not zero. */
    NE,
    /** Below or equal. */
    BE,
    /** Above. */
    A,
    /** Sign. */
    S,
    /** No sign. */
    NS,
    /** Parity even. */
    P,
    /** Parity odd. */
    NP,
    /** Less, signed. */
    L,
    /** Greater or equal, signed. */
    GE,
    /** Less or equal, signed. */
    LE,
    /** Greater, signed. */
    G;

    /** The suffix of a mnemonic, in small letters. */
    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}
