package io.github.jkvm.testkit.asm;

import java.util.Locale;

/** The control registers (SDM volume 3, 2.5). */
public enum ControlReg {
    /** Modes and states of the processor. */
    CR0(0),
    /** Linear address of the last page fault. */
    CR2(2),
    /** Base of the page tables. */
    CR3(3),
    /** Extensions of the architecture. */
    CR4(4),
    /** Task priority; needs 64-bit code. */
    CR8(8);

    private final int number;

    ControlReg(int number) {
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
