package io.github.jkvm.testkit.asm;

/** The part of {@link Assembler} that combines bits (SDM volume 1, 5.1.4). */
abstract sealed class LogicInstructions extends ArithmeticInstructions permits UnaryInstructions {
    private static final int OR = 1;
    private static final int AND = 4;
    private static final int XOR = 6;

    LogicInstructions(Mode mode, long origin) {
        super(mode, origin);
    }

    /**
     * Sets bits: register with register (SDM volume 2B, OR).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width> Assembler or(Reg<W> destination, Reg<W> source) {
        return toRegister("or", OR, destination, source);
    }

    /**
     * Sets bits: register with memory (SDM volume 2B, OR).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width> Assembler or(Reg<W> destination, Mem source) {
        return fromMemory("or", OR, destination, source);
    }

    /**
     * Sets bits: memory with register (SDM volume 2B, OR).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width> Assembler or(Mem destination, Reg<W> source) {
        return toMemory("or", OR, destination, source);
    }

    /**
     * Sets bits: register or memory with a number; 64-bit operands take 32 bits sign-extended (SDM volume 2B, OR).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param immediate the number
     * @return this
     */
    public final <W extends Width> Assembler or(Operand<W> destination, long immediate) {
        return withNumber("or", OR, destination, immediate);
    }

    /**
     * Keeps bits: register with register (SDM volume 2A, AND).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width> Assembler and(Reg<W> destination, Reg<W> source) {
        return toRegister("and", AND, destination, source);
    }

    /**
     * Keeps bits: register with memory (SDM volume 2A, AND).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width> Assembler and(Reg<W> destination, Mem source) {
        return fromMemory("and", AND, destination, source);
    }

    /**
     * Keeps bits: memory with register (SDM volume 2A, AND).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width> Assembler and(Mem destination, Reg<W> source) {
        return toMemory("and", AND, destination, source);
    }

    /**
     * Keeps bits: register or memory with a number; 64-bit operands take 32 bits sign-extended (SDM volume 2A, AND).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param immediate the number
     * @return this
     */
    public final <W extends Width> Assembler and(Operand<W> destination, long immediate) {
        return withNumber("and", AND, destination, immediate);
    }

    /**
     * Flips bits: register with register (SDM volume 2D, XOR).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width> Assembler xor(Reg<W> destination, Reg<W> source) {
        return toRegister("xor", XOR, destination, source);
    }

    /**
     * Flips bits: register with memory (SDM volume 2D, XOR).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width> Assembler xor(Reg<W> destination, Mem source) {
        return fromMemory("xor", XOR, destination, source);
    }

    /**
     * Flips bits: memory with register (SDM volume 2D, XOR).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width> Assembler xor(Mem destination, Reg<W> source) {
        return toMemory("xor", XOR, destination, source);
    }

    /**
     * Flips bits: register or memory with a number; 64-bit operands take 32 bits sign-extended (SDM volume 2D, XOR).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param immediate the number
     * @return this
     */
    public final <W extends Width> Assembler xor(Operand<W> destination, long immediate) {
        return withNumber("xor", XOR, destination, immediate);
    }

    /**
     * Sets the flags by the AND of two registers (SDM volume 2B, TEST).
     *
     * @param <W> size of the operands
     * @param first one operand
     * @param second the other operand
     * @return this
     */
    public final <W extends Width> Assembler test(Reg<W> first, Reg<W> second) {
        return emit("test", Encoding.sized(0x84, first.bits()).reg(second).rm(first), first, second);
    }

    /**
     * Sets the flags by the AND of memory and a register (SDM volume 2B, TEST).
     *
     * @param <W> size of the operands
     * @param first one operand
     * @param second the other operand
     * @return this
     */
    public final <W extends Width> Assembler test(Mem first, Reg<W> second) {
        return emit("test", Encoding.sized(0x84, second.bits()).reg(second).rm(first), first, second);
    }

    /**
     * Sets the flags by the AND with a number; 64-bit operands take 32 bits sign-extended (SDM volume 2B, TEST).
     *
     * @param <W> size of the operands
     * @param first one operand
     * @param immediate the number
     * @return this
     */
    public final <W extends Width> Assembler test(Operand<W> first, long immediate) {
        int bits = first.bits();
        Encoding encoding = first instanceof Reg<W> register && register.number() == 0
                ? Encoding.sized(0xA8, bits)
                : Encoding.sized(0xF6, bits).digit(0).rm(first);
        return emit("test", number(encoding, "test", immediate, bits), first, immediate);
    }

    /**
     * Flips all bits (SDM volume 2B, NOT).
     *
     * @param <W> size of the operands
     * @param operand what is changed
     * @return this
     */
    public final <W extends Width> Assembler not(Operand<W> operand) {
        return emit(
                "not", Encoding.sized(0xF6, operand.bits()).digit(2).rm(operand).allow(Encoding.Allowed.LOCK), operand);
    }
}
