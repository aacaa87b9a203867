package io.github.jkvm.testkit.asm;

import java.util.Locale;

/** The 128-bit vector registers (SDM volume 1, 10.2.2); XMM8 to XMM15 need 64-bit code. */
public enum Xmm {
    /** Number 0. */
    XMM0(0),
    /** Number 1. */
    XMM1(1),
    /** Number 2. */
    XMM2(2),
    /** Number 3. */
    XMM3(3),
    /** Number 4. */
    XMM4(4),
    /** Number 5. */
    XMM5(5),
    /** Number 6. */
    XMM6(6),
    /** Number 7. */
    XMM7(7),
    /** Number 8. */
    XMM8(8),
    /** Number 9. */
    XMM9(9),
    /** Number 10. */
    XMM10(10),
    /** Number 11. */
    XMM11(11),
    /** Number 12. */
    XMM12(12),
    /** Number 13. */
    XMM13(13),
    /** Number 14. */
    XMM14(14),
    /** Number 15. */
    XMM15(15);

    private final int number;

    Xmm(int number) {
        this.number = number;
    }

    /** The number that encodes the register. */
    int number() {
        return number;
    }

    /** The name as in the manuals, in small letters. */
    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}
