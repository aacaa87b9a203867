package io.github.jkvm.testkit.asm;

/**
 * A general-purpose register (SDM volume 1, 3.4.1).
 *
 * @param <W> its size
 */
public sealed interface Reg<W extends Width> extends Operand<W> permits Reg8, Reg16, Reg32, Reg64 {
    /**
     * The number that encodes the register.
     *
     * @return 0 to 15; registers from 8 on exist in 64-bit code only
     */
    int number();
}
