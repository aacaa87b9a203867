package io.github.jkvm.testkit.asm;

import java.util.Locale;

/** The debug registers (SDM volume 3, 18.2). */
public enum DebugReg {
    /** Address of breakpoint 0. */
    DR0(0),
    /** Address of breakpoint 1. */
    DR1(1),
    /** Address of breakpoint 2. */
    DR2(2),
    /** Address of breakpoint 3. */
    DR3(3),
    /** What was hit. */
    DR6(6),
    /** Which breakpoints are on. */
    DR7(7);

    private final int number;

    DebugReg(int number) {
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
