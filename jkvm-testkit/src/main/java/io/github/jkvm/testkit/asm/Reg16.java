package io.github.jkvm.testkit.asm;

import java.util.Locale;

/** The 16-bit general-purpose registers, in the order of their numbers. R8W to R15W need 64-bit code. */
public enum Reg16 implements Reg<Width.Bits16> {
    /** Number 0. */
    AX,
    /** Number 1. */
    CX,
    /** Number 2. */
    DX,
    /** Number 3. */
    BX,
    /** Number 4. */
    SP,
    /** Number 5. */
    BP,
    /** Number 6. */
    SI,
    /** Number 7. */
    DI,
    /** Number 8. */
    R8W,
    /** Number 9. */
    R9W,
    /** Number 10. */
    R10W,
    /** Number 11. */
    R11W,
    /** Number 12. */
    R12W,
    /** Number 13. */
    R13W,
    /** Number 14. */
    R14W,
    /** Number 15. */
    R15W;

    @Override
    public int number() {
        return ordinal();
    }

    @Override
    public int bits() {
        return 16;
    }

    /** The name as in the manuals, in small letters. */
    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}
