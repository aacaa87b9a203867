package io.github.jkvm.testkit.asm;

import java.util.Locale;

/** The 64-bit general-purpose registers, in the order of their numbers. All need 64-bit code. */
public enum Reg64 implements Reg<Width.Bits64> {
    /** Number 0. */
    RAX,
    /** Number 1. */
    RCX,
    /** Number 2. */
    RDX,
    /** Number 3. */
    RBX,
    /** Number 4. */
    RSP,
    /** Number 5. */
    RBP,
    /** Number 6. */
    RSI,
    /** Number 7. */
    RDI,
    /** Number 8. */
    R8,
    /** Number 9. */
    R9,
    /** Number 10. */
    R10,
    /** Number 11. */
    R11,
    /** Number 12. */
    R12,
    /** Number 13. */
    R13,
    /** Number 14. */
    R14,
    /** Number 15. */
    R15;

    @Override
    public int number() {
        return ordinal();
    }

    @Override
    public int bits() {
        return 64;
    }

    /** The name as in the manuals, in small letters. */
    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}
