package io.github.jkvm.testkit.asm;

/** The part of {@link Assembler} for descriptor tables, the machine status word, and state in memory (SDM volume 1, 5.2, 5.4 and 5.22). */
abstract sealed class DescriptorInstructions extends SystemInstructions permits Assembler {
    DescriptorInstructions(Mode mode, long origin) {
        super(mode, origin);
    }

    /**
     * Loads the global descriptor table register: 16 bits of limit, then the base; in 16-bit code 24 bits of base count (SDM volume 2A,
     * LGDT/LIDT).
     *
     * @param memory the memory
     * @return this
     */
    public final Assembler lgdt(Mem memory) {
        return emit("lgdt", Encoding.of(0x0F01).digit(2).rm(memory), memory);
    }

    /**
     * Loads the interrupt descriptor table register: 16 bits of limit, then the base; in 16-bit code 24 bits of base count (SDM volume 2A,
     * LGDT/LIDT).
     *
     * @param memory the memory
     * @return this
     */
    public final Assembler lidt(Mem memory) {
        return emit("lidt", Encoding.of(0x0F01).digit(3).rm(memory), memory);
    }

    /**
     * Stores the global descriptor table register (SDM volume 2B, SGDT).
     *
     * @param memory the memory
     * @return this
     */
    public final Assembler sgdt(Mem memory) {
        return emit("sgdt", Encoding.of(0x0F01).digit(0).rm(memory), memory);
    }

    /**
     * Stores the interrupt descriptor table register (SDM volume 2B, SIDT).
     *
     * @param memory the memory
     * @return this
     */
    public final Assembler sidt(Mem memory) {
        return emit("sidt", Encoding.of(0x0F01).digit(1).rm(memory), memory);
    }

    /**
     * Drops the translation of the page that holds an address (SDM volume 2A, INVLPG).
     *
     * @param address where
     * @return this
     */
    public final Assembler invlpg(Mem address) {
        return emit("invlpg", Encoding.of(0x0F01).digit(7).rm(address), address);
    }

    /**
     * Saves x87, MMX and SSE state to 512 bytes (SDM volume 2A, FXSAVE).
     *
     * @param memory the memory
     * @return this
     */
    public final Assembler fxsave(Mem memory) {
        return emit("fxsave", Encoding.of(0x0FAE).digit(0).rm(memory), memory);
    }

    /**
     * Restores what FXSAVE saved (SDM volume 2A, FXRSTOR).
     *
     * @param memory the memory
     * @return this
     */
    public final Assembler fxrstor(Mem memory) {
        return emit("fxrstor", Encoding.of(0x0FAE).digit(1).rm(memory), memory);
    }

    /**
     * Loads the SSE control and status register (SDM volume 2A, LDMXCSR).
     *
     * @param memory the memory
     * @return this
     */
    public final Assembler ldmxcsr(Mem memory) {
        return emit("ldmxcsr", Encoding.of(0x0FAE).digit(2).rm(memory), memory);
    }

    /**
     * Stores the SSE control and status register (SDM volume 2B, STMXCSR).
     *
     * @param memory the memory
     * @return this
     */
    public final Assembler stmxcsr(Mem memory) {
        return emit("stmxcsr", Encoding.of(0x0FAE).digit(3).rm(memory), memory);
    }

    /**
     * Drops a line of the caches (SDM volume 2A, CLFLUSH).
     *
     * @param address where
     * @return this
     */
    public final Assembler clflush(Mem address) {
        return emit("clflush", Encoding.of(0x0FAE).digit(7).rm(address), address);
    }

    /**
     * Loads the x87 control word (SDM volume 2A, FLDCW).
     *
     * @param memory the memory
     * @return this
     */
    public final Assembler fldcw(Mem memory) {
        return emit("fldcw", Encoding.of(0xD9).digit(5).rm(memory), memory);
    }

    /**
     * Stores the x87 control word (SDM volume 2A, FSTCW/FNSTCW).
     *
     * @param memory the memory
     * @return this
     */
    public final Assembler fnstcw(Mem memory) {
        return emit("fnstcw", Encoding.of(0xD9).digit(7).rm(memory), memory);
    }

    /**
     * Loads the local descriptor table register (SDM volume 2A, LLDT).
     *
     * @param source what is read
     * @return this
     */
    public final Assembler lldt(Operand<Width.Bits16> source) {
        return emit("lldt", Encoding.of(0x0F00).digit(2).rm(source), source);
    }

    /**
     * Loads the task register (SDM volume 2A, LTR).
     *
     * @param source what is read
     * @return this
     */
    public final Assembler ltr(Operand<Width.Bits16> source) {
        return emit("ltr", Encoding.of(0x0F00).digit(3).rm(source), source);
    }

    /**
     * Asks whether a segment can be read (SDM volume 2D, VERR/VERW).
     *
     * @param source what is read
     * @return this
     */
    public final Assembler verr(Operand<Width.Bits16> source) {
        return emit("verr", Encoding.of(0x0F00).digit(4).rm(source), source);
    }

    /**
     * Asks whether a segment can be written (SDM volume 2D, VERR/VERW).
     *
     * @param source what is read
     * @return this
     */
    public final Assembler verw(Operand<Width.Bits16> source) {
        return emit("verw", Encoding.of(0x0F00).digit(5).rm(source), source);
    }

    /**
     * Loads the low four bits of CR0 (SDM volume 2A, LMSW).
     *
     * @param source what is read
     * @return this
     */
    public final Assembler lmsw(Operand<Width.Bits16> source) {
        return emit("lmsw", Encoding.of(0x0F01).digit(6).rm(source), source);
    }

    /**
     * Stores the selector of the local descriptor table, in 16 bits (SDM volume 2B, SLDT).
     *
     * @param destination what is changed
     * @return this
     */
    public final Assembler sldt(Operand<Width.Bits16> destination) {
        Encoding encoding = Encoding.of(0x0F00).digit(0).rm(destination);
        return emit("sldt", destination instanceof Reg16 ? encoding.operandBits(16) : encoding, destination);
    }

    /**
     * Stores the selector of the task, in 16 bits (SDM volume 2B, STR).
     *
     * @param destination what is changed
     * @return this
     */
    public final Assembler str(Operand<Width.Bits16> destination) {
        Encoding encoding = Encoding.of(0x0F00).digit(1).rm(destination);
        return emit("str", destination instanceof Reg16 ? encoding.operandBits(16) : encoding, destination);
    }

    /**
     * Stores the low bits of CR0, in 16 bits (SDM volume 2B, SMSW).
     *
     * @param destination what is changed
     * @return this
     */
    public final Assembler smsw(Operand<Width.Bits16> destination) {
        Encoding encoding = Encoding.of(0x0F01).digit(4).rm(destination);
        return emit("smsw", destination instanceof Reg16 ? encoding.operandBits(16) : encoding, destination);
    }

    /**
     * Sets the x87 state to its default (SDM volume 2A, FINIT/FNINIT).
     *
     * @return this
     */
    public final Assembler fninit() {
        return emit("fninit", Encoding.of(0xDBE3));
    }

    /**
     * Moves 128 bits: register to register (SDM volume 2B, MOVUPS).
     *
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final Assembler movups(Xmm destination, Xmm source) {
        return emit(
                "movups",
                Encoding.of(0x0F10).reg(destination, destination.number()).rm(source, source.number()),
                destination,
                source);
    }

    /**
     * Moves 128 bits: memory to register (SDM volume 2B, MOVUPS).
     *
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final Assembler movups(Xmm destination, Mem source) {
        return emit(
                "movups",
                Encoding.of(0x0F10).reg(destination, destination.number()).rm(source),
                destination,
                source);
    }

    /**
     * Moves 128 bits: register to memory (SDM volume 2B, MOVUPS).
     *
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final Assembler movups(Mem destination, Xmm source) {
        return emit(
                "movups", Encoding.of(0x0F10 | 1).reg(source, source.number()).rm(destination), destination, source);
    }

    /**
     * Moves 128 bits, memory aligned to 16 bytes: register to register (SDM volume 2B, MOVAPS).
     *
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final Assembler movaps(Xmm destination, Xmm source) {
        return emit(
                "movaps",
                Encoding.of(0x0F28).reg(destination, destination.number()).rm(source, source.number()),
                destination,
                source);
    }

    /**
     * Moves 128 bits, memory aligned to 16 bytes: memory to register (SDM volume 2B, MOVAPS).
     *
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final Assembler movaps(Xmm destination, Mem source) {
        return emit(
                "movaps",
                Encoding.of(0x0F28).reg(destination, destination.number()).rm(source),
                destination,
                source);
    }

    /**
     * Moves 128 bits, memory aligned to 16 bytes: register to memory (SDM volume 2B, MOVAPS).
     *
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final Assembler movaps(Mem destination, Xmm source) {
        return emit(
                "movaps", Encoding.of(0x0F28 | 1).reg(source, source.number()).rm(destination), destination, source);
    }

    /**
     * Flips bits of a vector; with itself, clears it (SDM volume 2B, PXOR).
     *
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final Assembler pxor(Xmm destination, Xmm source) {
        Encoding encoding = Encoding.of(0x0FEF).mandatory(0x66).reg(destination, destination.number());
        return emit("pxor", encoding.rm(source, source.number()), destination, source);
    }

    /**
     * Moves 32 bits into a vector and clears the rest (SDM volume 2B, MOVD/MOVQ).
     *
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final Assembler movd(Xmm destination, Reg32 source) {
        return emit("movd", vector(0x0F6E, destination, source), destination, source);
    }

    /**
     * Moves the low 32 bits of a vector out (SDM volume 2B, MOVD/MOVQ).
     *
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final Assembler movd(Reg32 destination, Xmm source) {
        return emit("movd", vector(0x0F7E, source, destination), destination, source);
    }

    /**
     * Moves 64 bits into a vector and clears the rest (SDM volume 2B, MOVD/MOVQ).
     *
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final Assembler movq(Xmm destination, Reg64 source) {
        return emit("movq", vector(0x0F6E, destination, source).operandBits(64), destination, source);
    }

    /**
     * Moves the low 64 bits of a vector out (SDM volume 2B, MOVD/MOVQ).
     *
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final Assembler movq(Reg64 destination, Xmm source) {
        return emit("movq", vector(0x0F7E, source, destination).operandBits(64), destination, source);
    }

    private static Encoding vector(int opcode, Xmm vector, Reg<?> register) {
        return Encoding.of(opcode).mandatory(0x66).reg(vector, vector.number()).rm(register);
    }
}
