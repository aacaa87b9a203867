package io.github.jkvm.testkit.asm;

/** The part of {@link Assembler} that works on the stack (SDM volume 1, 5.1.1). */
abstract sealed class StackInstructions extends ExchangeInstructions permits ArithmeticInstructions {
    StackInstructions(Mode mode, long origin) {
        super(mode, origin);
    }

    /**
     * Puts a register or memory on the stack; not 32 bits in 64-bit code, not 64 elsewhere (SDM volume 2B, PUSH).
     *
     * @param <W> size of the operands
     * @param source what is pushed
     * @return this
     */
    public final <W extends Width.AtLeast16> Assembler push(Operand<W> source) {
        if (source instanceof Reg<W> register) {
            return emit("push", sized(0x50, source).opcodeReg(register), source);
        }
        return emit("push", sized(0xFF, source).digit(6).rm(source), source);
    }

    /**
     * Puts a number on the stack, in 16 bits in 16-bit code, 32 in 32-bit code, 64 (from 32 signed) in 64-bit code (SDM volume 2B, PUSH).
     *
     * @param immediate the number
     * @return this
     */
    public final Assembler push(long immediate) {
        long value = mode() == Mode.BITS64 ? immediate : checked("push", immediate, mode().bits());
        if (Immediate.fitsSigned(value, Byte.SIZE)) {
            return emit("push", Encoding.of(0x6A).immediate(value, Byte.BYTES), immediate);
        }
        return emit("push", number(Encoding.of(0x68), "push", immediate, mode().bits()), immediate);
    }

    /**
     * Puts a segment register on the stack; in 64-bit code FS and GS only (SDM volume 2B, PUSH).
     *
     * @param source what is pushed
     * @return this
     */
    public final Assembler push(SegReg source) {
        return emit("push", Encoding.of(segment(source, 0x06)), source);
    }

    /**
     * Takes a register or memory from the stack; not 32 bits in 64-bit code, not 64 elsewhere (SDM volume 2B, POP).
     *
     * @param <W> size of the operands
     * @param destination where it goes
     * @return this
     */
    public final <W extends Width.AtLeast16> Assembler pop(Operand<W> destination) {
        if (destination instanceof Reg<W> register) {
            return emit("pop", sized(0x58, destination).opcodeReg(register), destination);
        }
        return emit("pop", sized(0x8F, destination).digit(0).rm(destination), destination);
    }

    /**
     * Takes a segment register from the stack; not CS, and in 64-bit code FS and GS only (SDM volume 2B, POP).
     *
     * @param destination where it goes
     * @return this
     */
    public final Assembler pop(SegReg destination) {
        if (destination == SegReg.CS) {
            throw new IllegalArgumentException("pop cannot load cs; use retf");
        }
        return emit("pop", Encoding.of(segment(destination, 0x07)), destination);
    }

    /**
     * Puts the flags on the stack, in the size of the code (SDM volume 2B, PUSHF).
     *
     * @return this
     */
    public final Assembler pushf() {
        return emit("pushf", Encoding.of(0x9C));
    }

    /**
     * Takes the flags from the stack, in the size of the code (SDM volume 2B, POPF).
     *
     * @return this
     */
    public final Assembler popf() {
        return emit("popf", Encoding.of(0x9D));
    }

    /**
     * Puts the eight registers on the stack, in the size of the code; not in 64-bit code (SDM volume 2B, PUSHA).
     *
     * @return this
     */
    public final Assembler pusha() {
        return emit("pusha", notIn64(0x60, "pusha"));
    }

    /**
     * Takes the eight registers from the stack, in the size of the code; not in 64-bit code (SDM volume 2B, POPA).
     *
     * @return this
     */
    public final Assembler popa() {
        return emit("popa", notIn64(0x61, "popa"));
    }

    /**
     * Makes a stack frame (SDM volume 2A, ENTER): {@code size} bytes from 0 to 0xFFFF, {@code nesting} level from 0 to 31.
     *
     * @param size of the frame in bytes, 0 to 0xFFFF
     * @param nesting 0 to 31
     * @return this
     */
    public final Assembler enter(int size, int nesting) {
        if (nesting < 0 || nesting > 31) {
            throw new IllegalArgumentException("enter: nesting level " + nesting + " must be from 0 to 31");
        }
        return emit(
                "enter",
                Encoding.of(0xC8)
                        .immediate(unsigned("enter", size, 16), Short.BYTES)
                        .secondImmediate(nesting, Byte.BYTES),
                size,
                nesting);
    }

    /**
     * Drops a stack frame (SDM volume 2A, LEAVE).
     *
     * @return this
     */
    public final Assembler leave() {
        return emit("leave", Encoding.of(0xC9));
    }

    /** An instruction that 64-bit code does not have. */
    final Encoding notIn64(int opcode, String text) {
        if (mode() == Mode.BITS64) {
            throw new IllegalArgumentException(
                    text + " does not exist in 64-bit code; it needs mode(BITS16) or mode(BITS32)");
        }
        return Encoding.of(opcode);
    }

    private Encoding sized(int opcode, Operand<?> operand) {
        return Encoding.of(opcode).operandBits(operand.bits()).wideByDefault();
    }

    private int segment(SegReg register, int opcode) {
        return switch (register) {
            case FS -> 0x0FA0 | (opcode & 1);
            case GS -> 0x0FA8 | (opcode & 1);
            default -> {
                notIn64(opcode, "push or pop of " + register);
                yield opcode | register.ordinal() << 3;
            }
        };
    }
}
