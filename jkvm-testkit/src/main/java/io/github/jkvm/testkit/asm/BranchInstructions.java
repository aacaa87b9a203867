package io.github.jkvm.testkit.asm;

/** The part of {@link Assembler} that jumps (SDM volume 1, 5.1.7). */
abstract sealed class BranchInstructions extends BitInstructions permits FarInstructions {
    private static final int ADDRESS_SIZE = 0x67;

    BranchInstructions(Mode mode, long origin) {
        super(mode, origin);
    }

    /**
     * Jumps to a label; in two bytes if it is within reach, else near (SDM volume 2A, JMP).
     *
     * @param target where to
     * @return this
     */
    public final Assembler jmp(Label target) {
        return branch("jmp", 0, 0xEB, 0xE9, target);
    }

    /**
     * Jumps to the address in a register or memory, in the size of the code (SDM volume 2A, JMP).
     *
     * @param <W> size of the operands
     * @param target where to
     * @return this
     */
    public final <W extends Width.AtLeast16> Assembler jmp(Operand<W> target) {
        return indirect("jmp", 4, target);
    }

    /**
     * Calls a label (SDM volume 2A, CALL).
     *
     * @param target where to
     * @return this
     */
    public final Assembler call(Label target) {
        return branch("call", 0, Statement.Branch.NO_FORM, 0xE8, target);
    }

    /**
     * Calls the address in a register or memory, in the size of the code (SDM volume 2A, CALL).
     *
     * @param <W> size of the operands
     * @param target where to
     * @return this
     */
    public final <W extends Width.AtLeast16> Assembler call(Operand<W> target) {
        return indirect("call", 2, target);
    }

    /**
     * Jumps if the flags say so; in two bytes if the label is within reach, else near (SDM volume 2A, Jcc).
     *
     * @param condition what is asked of the flags
     * @param target where to
     * @return this
     */
    public final Assembler j(Condition condition, Label target) {
        return branch("j" + condition, 0, 0x70 | condition.ordinal(), 0x0F80 | condition.ordinal(), target);
    }

    /**
     * Jumps if overflow (SDM volume 2A, Jcc).
     *
     * @param target where to
     * @return this
     */
    public final Assembler jo(Label target) {
        return j(Condition.O, target);
    }

    /**
     * Jumps if no overflow (SDM volume 2A, Jcc).
     *
     * @param target where to
     * @return this
     */
    public final Assembler jno(Label target) {
        return j(Condition.NO, target);
    }

    /**
     * Jumps if below, unsigned (SDM volume 2A, Jcc).
     *
     * @param target where to
     * @return this
     */
    public final Assembler jb(Label target) {
        return j(Condition.B, target);
    }

    /**
     * Jumps if carry: the same as below (SDM volume 2A, Jcc).
     *
     * @param target where to
     * @return this
     */
    public final Assembler jc(Label target) {
        return j(Condition.B, target);
    }

    /**
     * Jumps if above or equal, unsigned (SDM volume 2A, Jcc).
     *
     * @param target where to
     * @return this
     */
    public final Assembler jae(Label target) {
        return j(Condition.AE, target);
    }

    /**
     * Jumps if no carry: the same as above or equal (SDM volume 2A, Jcc).
     *
     * @param target where to
     * @return this
     */
    public final Assembler jnc(Label target) {
        return j(Condition.AE, target);
    }

    /**
     * Jumps if equal (SDM volume 2A, Jcc).
     *
     * @param target where to
     * @return this
     */
    public final Assembler je(Label target) {
        return j(Condition.E, target);
    }

    /**
     * Jumps if zero: the same as equal (SDM volume 2A, Jcc).
     *
     * @param target where to
     * @return this
     */
    public final Assembler jz(Label target) {
        return j(Condition.E, target);
    }

    /**
     * Jumps if not equal (SDM volume 2A, Jcc).
     *
     * @param target where to
     * @return this
     */
    public final Assembler jne(Label target) {
        return j(Condition.NE, target);
    }

    /**
     * Jumps if not zero: the same as not equal (SDM volume 2A, Jcc).
     *
     * @param target where to
     * @return this
     */
    public final Assembler jnz(Label target) {
        return j(Condition.NE, target);
    }

    /**
     * Jumps if below or equal, unsigned (SDM volume 2A, Jcc).
     *
     * @param target where to
     * @return this
     */
    public final Assembler jbe(Label target) {
        return j(Condition.BE, target);
    }

    /**
     * Jumps if above, unsigned (SDM volume 2A, Jcc).
     *
     * @param target where to
     * @return this
     */
    public final Assembler ja(Label target) {
        return j(Condition.A, target);
    }

    /**
     * Jumps if negative (SDM volume 2A, Jcc).
     *
     * @param target where to
     * @return this
     */
    public final Assembler js(Label target) {
        return j(Condition.S, target);
    }

    /**
     * Jumps if not negative (SDM volume 2A, Jcc).
     *
     * @param target where to
     * @return this
     */
    public final Assembler jns(Label target) {
        return j(Condition.NS, target);
    }

    /**
     * Jumps if parity even (SDM volume 2A, Jcc).
     *
     * @param target where to
     * @return this
     */
    public final Assembler jp(Label target) {
        return j(Condition.P, target);
    }

    /**
     * Jumps if parity odd (SDM volume 2A, Jcc).
     *
     * @param target where to
     * @return this
     */
    public final Assembler jnp(Label target) {
        return j(Condition.NP, target);
    }

    /**
     * Jumps if less, signed (SDM volume 2A, Jcc).
     *
     * @param target where to
     * @return this
     */
    public final Assembler jl(Label target) {
        return j(Condition.L, target);
    }

    /**
     * Jumps if greater or equal, signed (SDM volume 2A, Jcc).
     *
     * @param target where to
     * @return this
     */
    public final Assembler jge(Label target) {
        return j(Condition.GE, target);
    }

    /**
     * Jumps if less or equal, signed (SDM volume 2A, Jcc).
     *
     * @param target where to
     * @return this
     */
    public final Assembler jle(Label target) {
        return j(Condition.LE, target);
    }

    /**
     * Jumps if greater, signed (SDM volume 2A, Jcc).
     *
     * @param target where to
     * @return this
     */
    public final Assembler jg(Label target) {
        return j(Condition.G, target);
    }

    /**
     * Counts CX, ECX or RCX down and jumps while it is not zero; the label must be within 127 bytes (SDM volume 2A, LOOP).
     *
     * @param target where to
     * @return this
     */
    public final Assembler loop(Label target) {
        return branch("loop", 0, 0xE2, Statement.Branch.NO_FORM, target);
    }

    /**
     * Counts down and jumps while not zero and the zero flag is set; the label must be within 127 bytes (SDM volume 2A, LOOPcc).
     *
     * @param target where to
     * @return this
     */
    public final Assembler loope(Label target) {
        return branch("loope", 0, 0xE1, Statement.Branch.NO_FORM, target);
    }

    /**
     * Counts down and jumps while not zero and the zero flag is clear; the label must be within 127 bytes (SDM volume 2A, LOOPcc).
     *
     * @param target where to
     * @return this
     */
    public final Assembler loopne(Label target) {
        return branch("loopne", 0, 0xE0, Statement.Branch.NO_FORM, target);
    }

    /**
     * Jumps if CX is zero; not in 64-bit code; the label must be within 127 bytes (SDM volume 2A, Jcc).
     *
     * @param target where to
     * @return this
     */
    public final Assembler jcxz(Label target) {
        notIn64(0xE3, "jcxz");
        return branch("jcxz", mode() == Mode.BITS16 ? 0 : ADDRESS_SIZE, 0xE3, Statement.Branch.NO_FORM, target);
    }

    /**
     * Jumps if ECX is zero; the label must be within 127 bytes (SDM volume 2A, Jcc).
     *
     * @param target where to
     * @return this
     */
    public final Assembler jecxz(Label target) {
        return branch("jecxz", mode() == Mode.BITS32 ? 0 : ADDRESS_SIZE, 0xE3, Statement.Branch.NO_FORM, target);
    }

    /**
     * Jumps if RCX is zero; in 64-bit code only; the label must be within 127 bytes (SDM volume 2A, Jcc).
     *
     * @param target where to
     * @return this
     */
    public final Assembler jrcxz(Label target) {
        if (mode() != Mode.BITS64) {
            throw new IllegalArgumentException("jrcxz needs 64-bit code, and this is " + mode() + "; use jecxz");
        }
        return branch("jrcxz", 0, 0xE3, Statement.Branch.NO_FORM, target);
    }

    /**
     * Returns (SDM volume 2B, RET).
     *
     * @return this
     */
    public final Assembler ret() {
        return emit("ret", Encoding.of(0xC3));
    }

    /**
     * Returns and drops {@code bytes} of arguments, 0 to 0xFFFF (SDM volume 2B, RET).
     *
     * @param bytes of arguments, 0 to 0xFFFF
     * @return this
     */
    public final Assembler ret(int bytes) {
        return emit("ret", Encoding.of(0xC2).immediate(unsigned("ret", bytes, 16), Short.BYTES), bytes);
    }

    private Assembler branch(String mnemonic, int prefix, int shortOpcode, int nearOpcode, Label target) {
        int nearBytes = mode() == Mode.BITS16 ? Short.BYTES : Integer.BYTES;
        return emit(new Statement.Branch(prefix, shortOpcode, nearOpcode, nearBytes, target, text(mnemonic, target)));
    }

    private Assembler indirect(String mnemonic, int digit, Operand<?> target) {
        if (target.bits() != mode().bits()) {
            throw new IllegalArgumentException(mnemonic + " " + target + ": a near target in " + mode() + " has "
                    + mode().bits() + " bits; use a register or memory of that size");
        }
        return emit(
                mnemonic,
                Encoding.of(0xFF)
                        .operandBits(target.bits())
                        .wideByDefault()
                        .digit(digit)
                        .rm(target),
                target);
    }
}
