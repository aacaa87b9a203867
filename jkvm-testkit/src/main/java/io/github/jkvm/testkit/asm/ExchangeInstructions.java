package io.github.jkvm.testkit.asm;

/** The part of {@link Assembler} that exchanges, converts, and moves by condition (SDM volume 1, 5.1.1). */
abstract sealed class ExchangeInstructions extends MoveInstructions permits StackInstructions {
    ExchangeInstructions(Mode mode, long origin) {
        super(mode, origin);
    }

    /**
     * Swaps two registers (SDM volume 2D, XCHG).
     *
     * @param <W> size of the operands
     * @param first one operand
     * @param second the other operand
     * @return this
     */
    public final <W extends Width> Assembler xchg(Reg<W> first, Reg<W> second) {
        boolean one = first.number() == 0;
        // In 64-bit code 90 is NOP and would not clear the upper half of RAX, as swapping EAX with itself does.
        boolean clears = mode() == Mode.BITS64 && first == Reg32.EAX && second == Reg32.EAX;
        if (first.bits() != 8 && (one || second.number() == 0) && !clears) {
            Reg<W> other = one ? second : first;
            int bits = mode() == Mode.BITS64 && first == Reg64.RAX && second == Reg64.RAX ? 0 : first.bits();
            return emit("xchg", Encoding.of(0x90).operandBits(bits).opcodeReg(other), first, second);
        }
        return emit("xchg", Encoding.sized(0x86, first.bits()).reg(second).rm(first), first, second);
    }

    /**
     * Swaps a register with memory, atomically (SDM volume 2D, XCHG).
     *
     * @param <W> size of the operands
     * @param memory the memory
     * @param register the register
     * @return this
     */
    public final <W extends Width> Assembler xchg(Mem memory, Reg<W> register) {
        return emit(
                "xchg",
                Encoding.sized(0x86, register.bits()).reg(register).rm(memory).allow(Encoding.Allowed.LOCK),
                memory,
                register);
    }

    /**
     * Copies a register if the flags say so (SDM volume 2A, CMOVcc).
     *
     * @param <W> size of the operands
     * @param condition what is asked of the flags
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width.AtLeast16> Assembler cmov(Condition condition, Reg<W> destination, Reg<W> source) {
        return emit(
                "cmov" + condition,
                twoByte(0x0F40 | condition.ordinal(), destination).rm(source),
                destination,
                source);
    }

    /**
     * Loads a register if the flags say so; the memory is read in any case (SDM volume 2A, CMOVcc).
     *
     * @param <W> size of the operands
     * @param condition what is asked of the flags
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width.AtLeast16> Assembler cmov(Condition condition, Reg<W> destination, Mem source) {
        return emit(
                "cmov" + condition,
                twoByte(0x0F40 | condition.ordinal(), destination).rm(source),
                destination,
                source);
    }

    /**
     * Sets a byte to 1 if the flags say so, else to 0 (SDM volume 2B, SETcc).
     *
     * @param condition what is asked of the flags
     * @param destination what is changed
     * @return this
     */
    public final Assembler set(Condition condition, Operand<Width.Bits8> destination) {
        return emit(
                "set" + condition,
                Encoding.of(0x0F90 | condition.ordinal()).digit(0).rm(destination),
                destination);
    }

    /**
     * Reverses the order of the bytes (SDM volume 2A, BSWAP).
     *
     * @param <W> size of the operands
     * @param register the register
     * @return this
     */
    public final <W extends Width.AtLeast32> Assembler bswap(Reg<W> register) {
        return emit("bswap", Encoding.of(0x0FC8).operandBits(register.bits()).opcodeReg(register), register);
    }

    /**
     * Replaces AL by the byte at [BX, EBX or RBX + AL] (SDM volume 2D, XLAT).
     *
     * @return this
     */
    public final Assembler xlatb() {
        return emit("xlatb", Encoding.of(0xD7));
    }

    /**
     * Stores the source if the accumulator equals the destination, else loads the accumulator: registers (SDM volume 2A, CMPXCHG).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width> Assembler cmpxchg(Reg<W> destination, Reg<W> source) {
        return emit("cmpxchg", Encoding.sized(0x0FB0, source.bits()).reg(source).rm(destination), destination, source);
    }

    /**
     * Stores the source if the accumulator equals the destination, else loads the accumulator: memory (SDM volume 2A, CMPXCHG).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width> Assembler cmpxchg(Mem destination, Reg<W> source) {
        return emit(
                "cmpxchg",
                Encoding.sized(0x0FB0, source.bits())
                        .reg(source)
                        .rm(destination)
                        .allow(Encoding.Allowed.LOCK),
                destination,
                source);
    }

    /**
     * Adds, and gives the source the old value: registers (SDM volume 2D, XADD).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width> Assembler xadd(Reg<W> destination, Reg<W> source) {
        return emit("xadd", Encoding.sized(0x0FC0, source.bits()).reg(source).rm(destination), destination, source);
    }

    /**
     * Adds, and gives the source the old value: memory (SDM volume 2D, XADD).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width> Assembler xadd(Mem destination, Reg<W> source) {
        return emit(
                "xadd",
                Encoding.sized(0x0FC0, source.bits())
                        .reg(source)
                        .rm(destination)
                        .allow(Encoding.Allowed.LOCK),
                destination,
                source);
    }

    /**
     * Stores ECX:EBX if EDX:EAX equals the 8 bytes of memory, else loads EDX:EAX (SDM volume 2A, CMPXCHG8B).
     *
     * @param destination what is changed
     * @return this
     */
    public final Assembler cmpxchg8b(Mem destination) {
        return emit(
                "cmpxchg8b", Encoding.of(0x0FC7).digit(1).rm(destination).allow(Encoding.Allowed.LOCK), destination);
    }

    /**
     * Stores RCX:RBX if RDX:RAX equals the 16 bytes of memory, else loads RDX:RAX (SDM volume 2A, CMPXCHG16B).
     *
     * @param destination what is changed
     * @return this
     */
    public final Assembler cmpxchg16b(Mem destination) {
        return emit(
                "cmpxchg16b",
                Encoding.of(0x0FC7).operandBits(64).digit(1).rm(destination).allow(Encoding.Allowed.LOCK),
                destination);
    }

    /**
     * Sign-extends AL into AX (SDM volume 2A, CBW).
     *
     * @return this
     */
    public final Assembler cbw() {
        return emit("cbw", Encoding.of(0x98).operandBits(16));
    }

    /**
     * Sign-extends AX into EAX (SDM volume 2A, CWDE).
     *
     * @return this
     */
    public final Assembler cwde() {
        return emit("cwde", Encoding.of(0x98).operandBits(32));
    }

    /**
     * Sign-extends EAX into RAX (SDM volume 2A, CDQE).
     *
     * @return this
     */
    public final Assembler cdqe() {
        return emit("cdqe", Encoding.of(0x98).operandBits(64));
    }

    /**
     * Sign-extends AX into DX:AX (SDM volume 2A, CWD).
     *
     * @return this
     */
    public final Assembler cwd() {
        return emit("cwd", Encoding.of(0x99).operandBits(16));
    }

    /**
     * Sign-extends EAX into EDX:EAX (SDM volume 2A, CDQ).
     *
     * @return this
     */
    public final Assembler cdq() {
        return emit("cdq", Encoding.of(0x99).operandBits(32));
    }

    /**
     * Sign-extends RAX into RDX:RAX (SDM volume 2A, CQO).
     *
     * @return this
     */
    public final Assembler cqo() {
        return emit("cqo", Encoding.of(0x99).operandBits(64));
    }
}
