package io.github.jkvm.testkit.asm;

/** The part of {@link Assembler} that jumps (SDM volume 1, 5.1.7). */
abstract sealed class BranchInstructions extends BitInstructions permits StringInstructions {
    private static final int ADDRESS_SIZE = 0x67;

    BranchInstructions(Mode mode, long origin) {
        super(mode, origin);
    }

    /** Jumps to a label; in two bytes if it is within reach, else near (SDM volume 2A, JMP). */
    public final Assembler jmp(Label target) {
        return branch("jmp", 0, 0xEB, 0xE9, target);
    }

    /** Jumps to the address in a register or memory, in the size of the code (SDM volume 2A, JMP). */
    public final <W extends Width.AtLeast16> Assembler jmp(Operand<W> target) {
        return indirect("jmp", 4, target);
    }

    /** Calls a label (SDM volume 2A, CALL). */
    public final Assembler call(Label target) {
        return branch("call", 0, Statement.Branch.NO_FORM, 0xE8, target);
    }

    /** Calls the address in a register or memory, in the size of the code (SDM volume 2A, CALL). */
    public final <W extends Width.AtLeast16> Assembler call(Operand<W> target) {
        return indirect("call", 2, target);
    }

    /** Jumps if the flags say so; in two bytes if the label is within reach, else near (SDM volume 2A, Jcc). */
    public final Assembler j(Condition condition, Label target) {
        return branch("j" + condition, 0, 0x70 | condition.ordinal(), 0x0F80 | condition.ordinal(), target);
    }

    /** Jumps if overflow (SDM volume 2A, Jcc). */
    public final Assembler jo(Label target) {
        return j(Condition.O, target);
    }

    /** Jumps if no overflow (SDM volume 2A, Jcc). */
    public final Assembler jno(Label target) {
        return j(Condition.NO, target);
    }

    /** Jumps if below, unsigned (SDM volume 2A, Jcc). */
    public final Assembler jb(Label target) {
        return j(Condition.B, target);
    }

    /** Jumps if carry: the same as below (SDM volume 2A, Jcc). */
    public final Assembler jc(Label target) {
        return j(Condition.B, target);
    }

    /** Jumps if above or equal, unsigned (SDM volume 2A, Jcc). */
    public final Assembler jae(Label target) {
        return j(Condition.AE, target);
    }

    /** Jumps if no carry: the same as above or equal (SDM volume 2A, Jcc). */
    public final Assembler jnc(Label target) {
        return j(Condition.AE, target);
    }

    /** Jumps if equal (SDM volume 2A, Jcc). */
    public final Assembler je(Label target) {
        return j(Condition.E, target);
    }

    /** Jumps if zero: the same as equal (SDM volume 2A, Jcc). */
    public final Assembler jz(Label target) {
        return j(Condition.E, target);
    }

    /** Jumps if not equal (SDM volume 2A, Jcc). */
    public final Assembler jne(Label target) {
        return j(Condition.NE, target);
    }

    /** Jumps if not zero: the same as not equal (SDM volume 2A, Jcc). */
    public final Assembler jnz(Label target) {
        return j(Condition.NE, target);
    }

    /** Jumps if below or equal, unsigned (SDM volume 2A, Jcc). */
    public final Assembler jbe(Label target) {
        return j(Condition.BE, target);
    }

    /** Jumps if above, unsigned (SDM volume 2A, Jcc). */
    public final Assembler ja(Label target) {
        return j(Condition.A, target);
    }

    /** Jumps if negative (SDM volume 2A, Jcc). */
    public final Assembler js(Label target) {
        return j(Condition.S, target);
    }

    /** Jumps if not negative (SDM volume 2A, Jcc). */
    public final Assembler jns(Label target) {
        return j(Condition.NS, target);
    }

    /** Jumps if parity even (SDM volume 2A, Jcc). */
    public final Assembler jp(Label target) {
        return j(Condition.P, target);
    }

    /** Jumps if parity odd (SDM volume 2A, Jcc). */
    public final Assembler jnp(Label target) {
        return j(Condition.NP, target);
    }

    /** Jumps if less, signed (SDM volume 2A, Jcc). */
    public final Assembler jl(Label target) {
        return j(Condition.L, target);
    }

    /** Jumps if greater or equal, signed (SDM volume 2A, Jcc). */
    public final Assembler jge(Label target) {
        return j(Condition.GE, target);
    }

    /** Jumps if less or equal, signed (SDM volume 2A, Jcc). */
    public final Assembler jle(Label target) {
        return j(Condition.LE, target);
    }

    /** Jumps if greater, signed (SDM volume 2A, Jcc). */
    public final Assembler jg(Label target) {
        return j(Condition.G, target);
    }

    /** Counts CX, ECX or RCX down and jumps while it is not zero; the label must be within 127 bytes (SDM volume 2A, LOOP). */
    public final Assembler loop(Label target) {
        return branch("loop", 0, 0xE2, Statement.Branch.NO_FORM, target);
    }

    /** Counts down and jumps while not zero and the zero flag is set; the label must be within 127 bytes (SDM volume 2A, LOOPcc). */
    public final Assembler loope(Label target) {
        return branch("loope", 0, 0xE1, Statement.Branch.NO_FORM, target);
    }

    /** Counts down and jumps while not zero and the zero flag is clear; the label must be within 127 bytes (SDM volume 2A, LOOPcc). */
    public final Assembler loopne(Label target) {
        return branch("loopne", 0, 0xE0, Statement.Branch.NO_FORM, target);
    }

    /** Jumps if CX is zero; not in 64-bit code; the label must be within 127 bytes (SDM volume 2A, Jcc). */
    public final Assembler jcxz(Label target) {
        notIn64(0xE3, "jcxz");
        return branch("jcxz", mode() == Mode.BITS16 ? 0 : ADDRESS_SIZE, 0xE3, Statement.Branch.NO_FORM, target);
    }

    /** Jumps if ECX is zero; the label must be within 127 bytes (SDM volume 2A, Jcc). */
    public final Assembler jecxz(Label target) {
        return branch("jecxz", mode() == Mode.BITS32 ? 0 : ADDRESS_SIZE, 0xE3, Statement.Branch.NO_FORM, target);
    }

    /** Jumps if RCX is zero; in 64-bit code only; the label must be within 127 bytes (SDM volume 2A, Jcc). */
    public final Assembler jrcxz(Label target) {
        if (mode() != Mode.BITS64) {
            throw new IllegalArgumentException("jrcxz needs 64-bit code, and this is " + mode() + "; use jecxz");
        }
        return branch("jrcxz", 0, 0xE3, Statement.Branch.NO_FORM, target);
    }

    /** Returns (SDM volume 2B, RET). */
    public final Assembler ret() {
        return emit("ret", Encoding.of(0xC3));
    }

    /** Returns and drops {@code bytes} of arguments, 0 to 0xFFFF (SDM volume 2B, RET). */
    public final Assembler ret(int bytes) {
        return emit("ret", Encoding.of(0xC2).immediate(unsigned("ret", bytes, 16), Short.BYTES), bytes);
    }

    /**
     * Jumps to another code segment, at a fixed 16-bit offset; not in 64-bit code (SDM volume 2A, JMP ptr16:16). The selector is from 0 to 0xFFFF,
     * the offset too.
     */
    public final Assembler jmpFar16(int selector, long offset) {
        return far("ljmpw", 0xEA, 16, selector, offset);
    }

    /** Jumps to another code segment, at a label with a 16-bit address; not in 64-bit code (SDM volume 2A, JMP ptr16:16). */
    public final Assembler jmpFar16(int selector, Label offset) {
        return far("ljmpw", 0xEA, 16, selector, offset);
    }

    /** Jumps to another code segment, at a far pointer in memory: 16 bits of offset, then the selector (SDM volume 2A, JMP m16:16). */
    public final Assembler jmpFar16(Mem pointer) {
        return emit("ljmpw", Encoding.of(0xFF).operandBits(16).digit(5).rm(pointer), pointer);
    }

    /**
     * Jumps to another code segment, at a fixed 32-bit offset; not in 64-bit code (SDM volume 2A, JMP ptr16:32). The selector is from 0 to 0xFFFF,
     * the offset too or, with 32 bits, to 0xFFFFFFFF.
     */
    public final Assembler jmpFar32(int selector, long offset) {
        return far("ljmpd", 0xEA, 32, selector, offset);
    }

    /** Jumps to another code segment, at a label with a 32-bit address; not in 64-bit code (SDM volume 2A, JMP ptr16:32). */
    public final Assembler jmpFar32(int selector, Label offset) {
        return far("ljmpd", 0xEA, 32, selector, offset);
    }

    /** Jumps to another code segment, at a far pointer in memory: 32 bits of offset, then the selector (SDM volume 2A, JMP m16:32). */
    public final Assembler jmpFar32(Mem pointer) {
        return emit("ljmpd", Encoding.of(0xFF).operandBits(32).digit(5).rm(pointer), pointer);
    }

    /**
     * Calls another code segment, at a fixed 16-bit offset; not in 64-bit code (SDM volume 2A, CALL ptr16:16). The selector is from 0 to 0xFFFF,
     * the offset too.
     */
    public final Assembler callFar16(int selector, long offset) {
        return far("lcallw", 0x9A, 16, selector, offset);
    }

    /** Calls another code segment, at a label with a 16-bit address; not in 64-bit code (SDM volume 2A, CALL ptr16:16). */
    public final Assembler callFar16(int selector, Label offset) {
        return far("lcallw", 0x9A, 16, selector, offset);
    }

    /** Calls another code segment, at a far pointer in memory: 16 bits of offset, then the selector (SDM volume 2A, CALL m16:16). */
    public final Assembler callFar16(Mem pointer) {
        return emit("lcallw", Encoding.of(0xFF).operandBits(16).digit(3).rm(pointer), pointer);
    }

    /**
     * Calls another code segment, at a fixed 32-bit offset; not in 64-bit code (SDM volume 2A, CALL ptr16:32). The selector is from 0 to 0xFFFF,
     * the offset too or, with 32 bits, to 0xFFFFFFFF.
     */
    public final Assembler callFar32(int selector, long offset) {
        return far("lcalld", 0x9A, 32, selector, offset);
    }

    /** Calls another code segment, at a label with a 32-bit address; not in 64-bit code (SDM volume 2A, CALL ptr16:32). */
    public final Assembler callFar32(int selector, Label offset) {
        return far("lcalld", 0x9A, 32, selector, offset);
    }

    /** Calls another code segment, at a far pointer in memory: 32 bits of offset, then the selector (SDM volume 2A, CALL m16:32). */
    public final Assembler callFar32(Mem pointer) {
        return emit("lcalld", Encoding.of(0xFF).operandBits(32).digit(3).rm(pointer), pointer);
    }

    /** Returns to another code segment: takes 16 bits of offset and a selector in as many (SDM volume 2B, RET). */
    public final Assembler retf16() {
        return emit("retfw", Encoding.of(0xCB).operandBits(16));
    }

    /** Returns to another code segment: takes 32 bits of offset and a selector in as many (SDM volume 2B, RET). */
    public final Assembler retf32() {
        return emit("retfd", Encoding.of(0xCB).operandBits(32));
    }

    /** Returns to another code segment: takes 64 bits of offset and a selector in as many (SDM volume 2B, RET). */
    public final Assembler retf64() {
        return emit("retfq", Encoding.of(0xCB).operandBits(64));
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

    private Assembler far(String mnemonic, int opcode, int bits, int selector, long offset) {
        Encoding encoding = notIn64(opcode, mnemonic + " to a fixed pointer").operandBits(bits);
        encoding.immediate(unsigned(mnemonic, offset, bits), bits / Byte.SIZE);
        return emit(
                mnemonic,
                encoding.secondImmediate(unsigned(mnemonic, selector, 16), Short.BYTES),
                Immediate.text(selector) + ":" + Immediate.text(offset));
    }

    private Assembler far(String mnemonic, int opcode, int bits, int selector, Label offset) {
        Encoding encoding = notIn64(opcode, mnemonic + " to a fixed pointer")
                .operandBits(bits)
                .address(offset, bits / Byte.SIZE);
        return emit(
                mnemonic,
                encoding.secondImmediate(unsigned(mnemonic, selector, 16), Short.BYTES),
                Immediate.text(selector) + ":" + offset);
    }
}
