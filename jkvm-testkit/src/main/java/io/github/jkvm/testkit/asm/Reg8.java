package io.github.jkvm.testkit.asm;

import java.util.Locale;

/**
 * The 8-bit general-purpose registers. AH to BH and SPL to DIL share numbers: an instruction with a REX prefix means the latter, so the
 * former cannot stand beside anything that needs one (SDM volume 1, 3.4.1.1). SPL to DIL and R8B to R15B need 64-bit code.
 */
public enum Reg8 implements Reg<Width.Bits8> {
    /** Number 0. */
    AL(0),
    /** Number 1. */
    CL(1),
    /** Number 2. */
    DL(2),
    /** Number 3. */
    BL(3),
    /** Number 4 without a REX prefix. */
    AH(4),
    /** Number 5 without a REX prefix. */
    CH(5),
    /** Number 6 without a REX prefix. */
    DH(6),
    /** Number 7 without a REX prefix. */
    BH(7),
    /** Number 4 with a REX prefix. */
    SPL(4),
    /** Number 5 with a REX prefix. */
    BPL(5),
    /** Number 6 with a REX prefix. */
    SIL(6),
    /** Number 7 with a REX prefix. */
    DIL(7),
    /** Number 8. */
    R8B(8),
    /** Number 9. */
    R9B(9),
    /** Number 10. */
    R10B(10),
    /** Number 11. */
    R11B(11),
    /** Number 12. */
    R12B(12),
    /** Number 13. */
    R13B(13),
    /** Number 14. */
    R14B(14),
    /** Number 15. */
    R15B(15);

    private final int number;

    Reg8(int number) {
        this.number = number;
    }

    @Override
    public int number() {
        return number;
    }

    @Override
    public int bits() {
        return 8;
    }

    /** Whether the register exists only in instructions with a REX prefix. */
    boolean needsRex() {
        return compareTo(SPL) >= 0;
    }

    /** Whether the register exists only in instructions without a REX prefix. */
    boolean forbidsRex() {
        return compareTo(AH) >= 0 && compareTo(BH) <= 0;
    }

    /** The name as in the manuals, in small letters. */
    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}
