package io.github.jkvm.testkit.asm;

/**
 * The code size that the CPU is in when it runs an instruction: what decides which operand and address sizes need a prefix (SDM volume 1,
 * 3.6). It is a property of the code segment, so a guest changes it by a far jump; the assembler is told by {@link Assembler#mode}.
 */
public enum Mode {
    /** Real mode, and protected mode with a 16-bit code segment. */
    BITS16(16),
    /** Protected mode with a 32-bit code segment, and the compatibility mode of long mode. */
    BITS32(32),
    /** Long mode with a 64-bit code segment. */
    BITS64(64);

    private final int bits;

    Mode(int bits) {
        this.bits = bits;
    }

    /** Size of an address without a prefix, in bits. */
    int bits() {
        return bits;
    }

    /** Size of an operand without a prefix, in bits: 32 in 64-bit code too. */
    int operandBits() {
        return this == BITS16 ? 16 : 32;
    }
}
