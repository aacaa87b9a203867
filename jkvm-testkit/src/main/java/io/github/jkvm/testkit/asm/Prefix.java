package io.github.jkvm.testkit.asm;

import java.util.Locale;

/** Prefixes that a program writes before an instruction (SDM volume 2A, 2.1.1). */
enum Prefix {
    LOCK(0xF0),
    REP(0xF3),
    REPE(0xF3),
    REPNE(0xF2);

    private final int code;

    Prefix(int code) {
        this.code = code;
    }

    int code() {
        return code;
    }

    /** What the listing shows before the instruction. */
    String text() {
        return name().toLowerCase(Locale.ROOT) + " ";
    }

    /** Whether the CPU takes the prefix before an instruction with that encoding. */
    boolean isAllowedBefore(Encoding instruction) {
        return switch (this) {
            case LOCK -> instruction.allowed() == Encoding.Allowed.LOCK && instruction.rmMem() != null;
            case REP -> instruction.allowed() == Encoding.Allowed.REP;
            case REPE, REPNE -> instruction.allowed() == Encoding.Allowed.REPE_OR_REPNE;
        };
    }
}
