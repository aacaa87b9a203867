package io.github.jkvm.testkit.asm;

/** The part of {@link Assembler} that moves data (SDM volume 1, 5.1.1). */
abstract sealed class MoveInstructions extends Emitter permits ExchangeInstructions {
    MoveInstructions(Mode mode, long origin) {
        super(mode, origin);
    }

    /**
     * Copies a register (SDM volume 2B, MOV).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width> Assembler mov(Reg<W> destination, Reg<W> source) {
        return emit("mov", Encoding.sized(0x88, source.bits()).reg(source).rm(destination), destination, source);
    }

    /**
     * Loads a register from memory (SDM volume 2B, MOV).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width> Assembler mov(Reg<W> destination, Mem source) {
        if (isAccumulatorAtFixedAddress(destination, source)) {
            return emit("mov", absolute(0xA0, destination, source), destination, source);
        }
        return emit(
                "mov", Encoding.sized(0x8A, destination.bits()).reg(destination).rm(source), destination, source);
    }

    /**
     * Stores a register to memory (SDM volume 2B, MOV).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width> Assembler mov(Mem destination, Reg<W> source) {
        if (isAccumulatorAtFixedAddress(source, destination)) {
            return emit("mov", absolute(0xA2, source, destination), destination, source);
        }
        return emit("mov", Encoding.sized(0x88, source.bits()).reg(source).rm(destination), destination, source);
    }

    /**
     * Sets a register or memory to a number (SDM volume 2B, MOV). A 64-bit register takes any number, in 7 bytes if 32 bits sign-extended
     * hold it, else in 10; 64-bit memory takes what 32 bits sign-extended hold.
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param immediate the number
     * @return this
     */
    public final <W extends Width> Assembler mov(Operand<W> destination, long immediate) {
        int bits = destination.bits();
        long value = bits == 64 ? immediate : checked("mov", immediate, bits);
        if (destination instanceof Reg<W> register && (bits != 64 || !Immediate.fitsSigned(value, 32))) {
            Encoding encoding =
                    Encoding.of(bits == 8 ? 0xB0 : 0xB8).operandBits(bits).opcodeReg(register);
            return emit("mov", encoding.immediate(value, bits / Byte.SIZE), destination, immediate);
        }
        return emit(
                "mov",
                number(Encoding.sized(0xC6, bits).digit(0).rm(destination), "mov", immediate, bits),
                destination,
                immediate);
    }

    /**
     * Sets a register to the address of a label (SDM volume 2B, MOV); a 16-bit one reaches labels below 64 KiB.
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width.AtLeast16> Assembler mov(Reg<W> destination, Label source) {
        Encoding encoding = Encoding.of(0xB8).operandBits(destination.bits()).opcodeReg(destination);
        return emit("mov", encoding.address(source, destination.bits() / Byte.SIZE), destination, "offset " + source);
    }

    /** Sets a register to the real-mode segment that starts at a label, which lies at a multiple of 16 below 1 MiB. */
    final Assembler movParagraph(Reg16 destination, Label source) {
        Encoding encoding = Encoding.of(0xB8).operandBits(16).opcodeReg(destination);
        return emit("mov", encoding.address(source, Short.BYTES).shifted(4), destination, "segment " + source);
    }

    /**
     * Copies a segment register to a register; the bits above the selector become zero (SDM volume 2B, MOV).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width.AtLeast16> Assembler mov(Reg<W> destination, SegReg source) {
        requireMode64(destination);
        return emit(
                "mov",
                Encoding.of(0x8C)
                        .operandBits(Math.min(destination.bits(), 32))
                        .reg(source, source.ordinal())
                        .rm(destination),
                destination,
                source);
    }

    /**
     * Stores a selector, 16 bits (SDM volume 2B, MOV).
     *
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final Assembler mov(Mem destination, SegReg source) {
        return emit("mov", Encoding.of(0x8C).reg(source, source.ordinal()).rm(destination), destination, source);
    }

    /**
     * Loads a segment register (SDM volume 2B, MOV); CS is loaded by far jumps only.
     *
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final Assembler mov(SegReg destination, Reg16 source) {
        return emit(
                "mov",
                Encoding.of(0x8E)
                        .reg(loadable(destination), destination.ordinal())
                        .rm(source),
                destination,
                source);
    }

    /**
     * Loads a segment register from 16 bits of memory (SDM volume 2B, MOV); CS is loaded by far jumps only.
     *
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final Assembler mov(SegReg destination, Mem source) {
        return emit(
                "mov",
                Encoding.of(0x8E)
                        .reg(loadable(destination), destination.ordinal())
                        .rm(source),
                destination,
                source);
    }

    /**
     * Reads a control register (SDM volume 2B, MOV); the register has the size of the code, 32 bits in 16-bit code.
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width.AtLeast32> Assembler mov(Reg<W> destination, ControlReg source) {
        return emit(
                "mov", Encoding.of(0x0F20).reg(source, source.number()).rm(special(destination)), destination, source);
    }

    /**
     * Writes a control register (SDM volume 2B, MOV); the register has the size of the code, 32 bits in 16-bit code.
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width.AtLeast32> Assembler mov(ControlReg destination, Reg<W> source) {
        return emit(
                "mov",
                Encoding.of(0x0F22).reg(destination, destination.number()).rm(special(source)),
                destination,
                source);
    }

    /**
     * Reads a debug register (SDM volume 2B, MOV); the register has the size of the code, 32 bits in 16-bit code.
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width.AtLeast32> Assembler mov(Reg<W> destination, DebugReg source) {
        return emit(
                "mov", Encoding.of(0x0F21).reg(source, source.number()).rm(special(destination)), destination, source);
    }

    /**
     * Writes a debug register (SDM volume 2B, MOV); the register has the size of the code, 32 bits in 16-bit code.
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width.AtLeast32> Assembler mov(DebugReg destination, Reg<W> source) {
        return emit(
                "mov",
                Encoding.of(0x0F23).reg(destination, destination.number()).rm(special(source)),
                destination,
                source);
    }

    /**
     * Loads AL, AX, EAX or RAX from any 64-bit address; in 64-bit code only (SDM volume 2B, MOV with moffs64).
     *
     * @param <W> size of the operands
     * @param accumulator AL, AX, EAX or RAX
     * @param address where
     * @return this
     */
    public final <W extends Width> Assembler movabs(Reg<W> accumulator, long address) {
        return emit(
                "movabs",
                wide(0xA0, accumulator).immediate(address, Long.BYTES),
                accumulator,
                "[" + Immediate.unsigned(address) + "]");
    }

    /**
     * Stores AL, AX, EAX or RAX to any 64-bit address; in 64-bit code only (SDM volume 2B, MOV with moffs64).
     *
     * @param <W> size of the operands
     * @param address where
     * @param accumulator AL, AX, EAX or RAX
     * @return this
     */
    public final <W extends Width> Assembler movabs(long address, Reg<W> accumulator) {
        return emit(
                "movabs",
                wide(0xA2, accumulator).immediate(address, Long.BYTES),
                "[" + Immediate.unsigned(address) + "]",
                accumulator);
    }

    /**
     * Copies 8 or 16 bits and clears the bits above; the source is smaller than the destination (SDM volume 2B, MOVZX).
     *
     * @param <W> size of the destination
     * @param <S> size of the source
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width.AtLeast16, S extends Width> Assembler movzx(Reg<W> destination, Operand<S> source) {
        return extend("movzx", 0x0FB6, destination, source);
    }

    /**
     * Copies 8 or 16 bits and repeats the sign above; the source is smaller than the destination (SDM volume 2B, MOVSX).
     *
     * @param <W> size of the destination
     * @param <S> size of the source
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width.AtLeast16, S extends Width> Assembler movsx(Reg<W> destination, Operand<S> source) {
        return extend("movsx", 0x0FBE, destination, source);
    }

    /**
     * Copies 32 bits and repeats the sign above (SDM volume 2B, MOVSXD).
     *
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final Assembler movsxd(Reg64 destination, Operand<Width.Bits32> source) {
        return emit("movsxd", Encoding.of(0x63).operandBits(64).reg(destination).rm(source), destination, source);
    }

    /**
     * Computes an address without touching memory (SDM volume 2A, LEA).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width.AtLeast16> Assembler lea(Reg<W> destination, Mem source) {
        return emit(
                "lea",
                Encoding.of(0x8D)
                        .operandBits(destination.bits())
                        .reg(destination)
                        .rm(source),
                destination,
                source);
    }

    /** An opcode with the operand's size and the register in the reg field. */
    static Encoding twoByte(int opcode, Reg<?> register) {
        return Encoding.of(opcode).operandBits(register.bits()).reg(register);
    }

    /** Adds a number of the operand's size, of which 64-bit operands take 32 bits sign-extended (SDM volume 1, 3.6.1). */
    static Encoding number(Encoding encoding, String mnemonic, long immediate, int bits) {
        long value = checked(mnemonic, immediate, bits);
        if (!Immediate.fitsSigned(value, 32)) {
            throw new IllegalArgumentException(
                    mnemonic + ": immediate " + Immediate.text(immediate)
                            + " does not fit 32 bits sign-extended, which is all that 64-bit operands take; mov it into a register first");
        }
        return encoding.immediate(value, Math.min(bits, 32) / Byte.SIZE);
    }

    /** The register that moves to and from control and debug registers: its size is fixed, no prefix says it. */
    private Reg<?> special(Reg<?> register) {
        int bits = mode() == Mode.BITS64 ? 64 : 32;
        if (register.bits() != bits) {
            throw new IllegalArgumentException("control and debug registers move to and from " + bits
                    + "-bit registers in " + mode() + ", not " + register + "; use the " + bits + "-bit one");
        }
        return register;
    }

    private static SegReg loadable(SegReg register) {
        if (register == SegReg.CS) {
            throw new IllegalArgumentException("mov cannot load cs; use jmpFar16, jmpFar32, retf or iret");
        }
        return register;
    }

    private boolean isAccumulatorAtFixedAddress(Reg<?> register, Mem mem) {
        return mode() != Mode.BITS64 && mem.isFixed() && register.number() == 0;
    }

    /** The short form for the accumulator: the address follows the opcode without a ModR/M byte. */
    private static Encoding absolute(int opcode, Reg<?> accumulator, Mem address) {
        return Encoding.sized(opcode, accumulator.bits()).rm(address).withoutModRm();
    }

    private Encoding wide(int opcode, Reg<?> accumulator) {
        if (accumulator.number() != 0 || accumulator == Reg8.AH || mode() != Mode.BITS64) {
            throw new IllegalArgumentException("movabs " + accumulator
                    + ": in 64-bit code and for al, ax, eax and rax only; use mem(register) elsewhere");
        }
        return Encoding.sized(opcode, accumulator.bits());
    }

    private void requireMode64(Reg<?> register) {
        if (register.bits() == 64 && mode() != Mode.BITS64) {
            throw new IllegalArgumentException(
                    register + " needs 64-bit code, and this is " + mode() + "; use a 16- or 32-bit register");
        }
    }

    private Assembler extend(String mnemonic, int opcode, Reg<?> destination, Operand<?> source) {
        if (source.bits() >= destination.bits() || source.bits() > 16) {
            throw new IllegalArgumentException(
                    mnemonic + " " + destination + ", " + source
                            + ": the source has 8 or 16 bits and fewer than the destination; for 32 bits use mov (which clears the upper half) or movsxd");
        }
        return emit(
                mnemonic,
                Encoding.of(source.bits() == 8 ? opcode : opcode | 1)
                        .operandBits(destination.bits())
                        .reg(destination)
                        .rm(source),
                destination,
                source);
    }
}
