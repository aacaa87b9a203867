package io.github.jkvm.testkit.asm;

/** The part of {@link Assembler} that computes (SDM volume 1, 5.1.2). */
abstract sealed class ArithmeticInstructions extends StackInstructions permits LogicInstructions {
    // Numbers of the operations, which their opcodes have in bits 3 to 5 (SDM volume 2D, appendix A).
    private static final int ADD = 0;
    private static final int ADC = 2;
    private static final int SBB = 3;
    private static final int SUB = 5;
    private static final int CMP = 7;

    ArithmeticInstructions(Mode mode, long origin) {
        super(mode, origin);
    }

    /**
     * Adds: register with register (SDM volume 2A, ADD).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width> Assembler add(Reg<W> destination, Reg<W> source) {
        return toRegister("add", ADD, destination, source);
    }

    /**
     * Adds: register with memory (SDM volume 2A, ADD).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width> Assembler add(Reg<W> destination, Mem source) {
        return fromMemory("add", ADD, destination, source);
    }

    /**
     * Adds: memory with register (SDM volume 2A, ADD).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width> Assembler add(Mem destination, Reg<W> source) {
        return toMemory("add", ADD, destination, source);
    }

    /**
     * Adds: register or memory with a number; 64-bit operands take 32 bits sign-extended (SDM volume 2A, ADD).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param immediate the number
     * @return this
     */
    public final <W extends Width> Assembler add(Operand<W> destination, long immediate) {
        return withNumber("add", ADD, destination, immediate);
    }

    /**
     * Adds with carry: register with register (SDM volume 2A, ADC).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width> Assembler adc(Reg<W> destination, Reg<W> source) {
        return toRegister("adc", ADC, destination, source);
    }

    /**
     * Adds with carry: register with memory (SDM volume 2A, ADC).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width> Assembler adc(Reg<W> destination, Mem source) {
        return fromMemory("adc", ADC, destination, source);
    }

    /**
     * Adds with carry: memory with register (SDM volume 2A, ADC).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width> Assembler adc(Mem destination, Reg<W> source) {
        return toMemory("adc", ADC, destination, source);
    }

    /**
     * Adds with carry: register or memory with a number; 64-bit operands take 32 bits sign-extended (SDM volume 2A, ADC).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param immediate the number
     * @return this
     */
    public final <W extends Width> Assembler adc(Operand<W> destination, long immediate) {
        return withNumber("adc", ADC, destination, immediate);
    }

    /**
     * Subtracts with borrow: register with register (SDM volume 2B, SBB).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width> Assembler sbb(Reg<W> destination, Reg<W> source) {
        return toRegister("sbb", SBB, destination, source);
    }

    /**
     * Subtracts with borrow: register with memory (SDM volume 2B, SBB).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width> Assembler sbb(Reg<W> destination, Mem source) {
        return fromMemory("sbb", SBB, destination, source);
    }

    /**
     * Subtracts with borrow: memory with register (SDM volume 2B, SBB).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width> Assembler sbb(Mem destination, Reg<W> source) {
        return toMemory("sbb", SBB, destination, source);
    }

    /**
     * Subtracts with borrow: register or memory with a number; 64-bit operands take 32 bits sign-extended (SDM volume 2B, SBB).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param immediate the number
     * @return this
     */
    public final <W extends Width> Assembler sbb(Operand<W> destination, long immediate) {
        return withNumber("sbb", SBB, destination, immediate);
    }

    /**
     * Subtracts: register with register (SDM volume 2B, SUB).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width> Assembler sub(Reg<W> destination, Reg<W> source) {
        return toRegister("sub", SUB, destination, source);
    }

    /**
     * Subtracts: register with memory (SDM volume 2B, SUB).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width> Assembler sub(Reg<W> destination, Mem source) {
        return fromMemory("sub", SUB, destination, source);
    }

    /**
     * Subtracts: memory with register (SDM volume 2B, SUB).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width> Assembler sub(Mem destination, Reg<W> source) {
        return toMemory("sub", SUB, destination, source);
    }

    /**
     * Subtracts: register or memory with a number; 64-bit operands take 32 bits sign-extended (SDM volume 2B, SUB).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param immediate the number
     * @return this
     */
    public final <W extends Width> Assembler sub(Operand<W> destination, long immediate) {
        return withNumber("sub", SUB, destination, immediate);
    }

    /**
     * Compares: subtracts for the flags only: register with register (SDM volume 2A, CMP).
     *
     * @param <W> size of the operands
     * @param destination what is compared
     * @param source what is read
     * @return this
     */
    public final <W extends Width> Assembler cmp(Reg<W> destination, Reg<W> source) {
        return toRegister("cmp", CMP, destination, source);
    }

    /**
     * Compares: subtracts for the flags only: register with memory (SDM volume 2A, CMP).
     *
     * @param <W> size of the operands
     * @param destination what is compared
     * @param source what is read
     * @return this
     */
    public final <W extends Width> Assembler cmp(Reg<W> destination, Mem source) {
        return fromMemory("cmp", CMP, destination, source);
    }

    /**
     * Compares: subtracts for the flags only: memory with register (SDM volume 2A, CMP).
     *
     * @param <W> size of the operands
     * @param destination what is compared
     * @param source what is read
     * @return this
     */
    public final <W extends Width> Assembler cmp(Mem destination, Reg<W> source) {
        return toMemory("cmp", CMP, destination, source);
    }

    /**
     * Compares: subtracts for the flags only: register or memory with a number; 64-bit operands take 32 bits sign-extended (SDM volume 2A,
     * CMP).
     *
     * @param <W> size of the operands
     * @param destination what is compared
     * @param immediate the number
     * @return this
     */
    public final <W extends Width> Assembler cmp(Operand<W> destination, long immediate) {
        return withNumber("cmp", CMP, destination, immediate);
    }

    final Assembler toRegister(String mnemonic, int operation, Reg<?> destination, Reg<?> source) {
        return emit(
                mnemonic,
                Encoding.sized(operation << 3, source.bits()).reg(source).rm(destination),
                destination,
                source);
    }

    final Assembler fromMemory(String mnemonic, int operation, Reg<?> destination, Mem source) {
        return emit(
                mnemonic,
                Encoding.sized(operation << 3 | 2, destination.bits())
                        .reg(destination)
                        .rm(source),
                destination,
                source);
    }

    final Assembler toMemory(String mnemonic, int operation, Mem destination, Reg<?> source) {
        Encoding encoding =
                Encoding.sized(operation << 3, source.bits()).reg(source).rm(destination);
        return emit(mnemonic, encoding.allow(lock(operation)), destination, source);
    }

    /** Of the forms that fit, the shortest: a byte sign-extended, then the one of the accumulator. */
    final Assembler withNumber(String mnemonic, int operation, Operand<?> destination, long immediate) {
        int bits = destination.bits();
        long value = checked(mnemonic, immediate, bits);
        if (bits != 8 && Immediate.fitsSigned(value, Byte.SIZE)) {
            Encoding encoding =
                    Encoding.of(0x83).operandBits(bits).digit(operation).rm(destination);
            return emit(mnemonic, encoding.immediate(value, Byte.BYTES).allow(lock(operation)), destination, immediate);
        }
        Encoding encoding = destination instanceof Reg<?> register && register.number() == 0
                ? Encoding.sized(operation << 3 | 4, bits)
                : Encoding.sized(0x80, bits).digit(operation).rm(destination).allow(lock(operation));
        return emit(mnemonic, number(encoding, mnemonic, immediate, bits), destination, immediate);
    }

    private static Encoding.Allowed lock(int operation) {
        return operation == CMP ? Encoding.Allowed.NO_PREFIX : Encoding.Allowed.LOCK;
    }
}
