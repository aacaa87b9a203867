package io.github.jkvm.testkit.asm;

/**
 * What an instruction works on with a size known by itself: a register, or memory with a size ({@link SizedMem}).
 *
 * @param <W> size of the operand
 */
public sealed interface Operand<W extends Width> permits Reg, SizedMem {
    /**
     * Size of the operand.
     *
     * @return 8, 16, 32 or 64
     */
    int bits();
}
