package io.github.jkvm.testkit.asm;

import java.util.Locale;

/** The segment registers, in the order of their numbers (SDM volume 1, 3.4.2). */
public enum SegReg {
    /** Extra data; the destination of string instructions. */
    ES(0x26),
    /** Code. */
    CS(0x2E),
    /** Stack. */
    SS(0x36),
    /** Data. */
    DS(0x3E),
    /** Free for software. */
    FS(0x64),
    /** Free for software. */
    GS(0x65);

    private final int prefix;

    SegReg(int prefix) {
        this.prefix = prefix;
    }

    /** The prefix that makes an instruction use this segment (SDM volume 2A, 2.1.1). */
    int prefix() {
        return prefix;
    }

    /** The name as in the manuals, in small letters. */
    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}
