package io.github.jkvm.testkit.asm;

import java.util.Locale;

/** The 32-bit general-purpose registers, in the order of their numbers. R8D to R15D need 64-bit code. */
public enum Reg32 implements Reg<Width.Bits32> {
    /** Number 0. */
    EAX,
    /** Number 1. */
    ECX,
    /** Number 2. */
    EDX,
    /** Number 3. */
    EBX,
    /** Number 4. */
    ESP,
    /** Number 5. */
    EBP,
    /** Number 6. */
    ESI,
    /** Number 7. */
    EDI,
    /** Number 8. */
    R8D,
    /** Number 9. */
    R9D,
    /** Number 10. */
    R10D,
    /** Number 11. */
    R11D,
    /** Number 12. */
    R12D,
    /** Number 13. */
    R13D,
    /** Number 14. */
    R14D,
    /** Number 15. */
    R15D;

    @Override
    public int number() {
        return ordinal();
    }

    @Override
    public int bits() {
        return 32;
    }

    /** The name as in the manuals, in small letters. */
    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}
