package io.github.jkvm.testkit.asm;

/** The part of {@link Assembler} that changes the code segment (SDM volume 1, 5.1.7). */
abstract sealed class FarInstructions extends BranchInstructions permits StringInstructions {
    FarInstructions(Mode mode, long origin) {
        super(mode, origin);
    }

    /**
     * Jumps to another code segment, at a fixed 16-bit offset; not in 64-bit code (SDM volume 2A, JMP ptr16:16). The selector is from 0 to
     * 0xFFFF, the offset too.
     *
     * @param selector of the code segment, 0 to 0xFFFF
     * @param offset in the code segment
     * @return this
     */
    public final Assembler jmpFar16(int selector, long offset) {
        return far("ljmpw", 0xEA, 16, selector, offset);
    }

    /**
     * Jumps to another code segment, at a label with a 16-bit address; not in 64-bit code (SDM volume 2A, JMP ptr16:16).
     *
     * @param selector of the code segment, 0 to 0xFFFF
     * @param offset in the code segment
     * @return this
     */
    public final Assembler jmpFar16(int selector, Label offset) {
        return far("ljmpw", 0xEA, 16, selector, offset);
    }

    /**
     * Jumps to another code segment, at a far pointer in memory: 16 bits of offset, then the selector (SDM volume 2A, JMP m16:16).
     *
     * @param pointer where the far pointer is
     * @return this
     */
    public final Assembler jmpFar16(Mem pointer) {
        return emit("ljmpw", Encoding.of(0xFF).operandBits(16).digit(5).rm(pointer), pointer);
    }

    /**
     * Jumps to another code segment, at a fixed 32-bit offset; not in 64-bit code (SDM volume 2A, JMP ptr16:32). The selector is from 0 to
     * 0xFFFF, the offset too or, with 32 bits, to 0xFFFFFFFF.
     *
     * @param selector of the code segment, 0 to 0xFFFF
     * @param offset in the code segment
     * @return this
     */
    public final Assembler jmpFar32(int selector, long offset) {
        return far("ljmpd", 0xEA, 32, selector, offset);
    }

    /**
     * Jumps to another code segment, at a label with a 32-bit address; not in 64-bit code (SDM volume 2A, JMP ptr16:32).
     *
     * @param selector of the code segment, 0 to 0xFFFF
     * @param offset in the code segment
     * @return this
     */
    public final Assembler jmpFar32(int selector, Label offset) {
        return far("ljmpd", 0xEA, 32, selector, offset);
    }

    /**
     * Jumps to another code segment, at a far pointer in memory: 32 bits of offset, then the selector (SDM volume 2A, JMP m16:32).
     *
     * @param pointer where the far pointer is
     * @return this
     */
    public final Assembler jmpFar32(Mem pointer) {
        return emit("ljmpd", Encoding.of(0xFF).operandBits(32).digit(5).rm(pointer), pointer);
    }

    /**
     * Calls another code segment, at a fixed 16-bit offset; not in 64-bit code (SDM volume 2A, CALL ptr16:16). The selector is from 0 to
     * 0xFFFF, the offset too.
     *
     * @param selector of the code segment, 0 to 0xFFFF
     * @param offset in the code segment
     * @return this
     */
    public final Assembler callFar16(int selector, long offset) {
        return far("lcallw", 0x9A, 16, selector, offset);
    }

    /**
     * Calls another code segment, at a label with a 16-bit address; not in 64-bit code (SDM volume 2A, CALL ptr16:16).
     *
     * @param selector of the code segment, 0 to 0xFFFF
     * @param offset in the code segment
     * @return this
     */
    public final Assembler callFar16(int selector, Label offset) {
        return far("lcallw", 0x9A, 16, selector, offset);
    }

    /**
     * Calls another code segment, at a far pointer in memory: 16 bits of offset, then the selector (SDM volume 2A, CALL m16:16).
     *
     * @param pointer where the far pointer is
     * @return this
     */
    public final Assembler callFar16(Mem pointer) {
        return emit("lcallw", Encoding.of(0xFF).operandBits(16).digit(3).rm(pointer), pointer);
    }

    /**
     * Calls another code segment, at a fixed 32-bit offset; not in 64-bit code (SDM volume 2A, CALL ptr16:32). The selector is from 0 to
     * 0xFFFF, the offset too or, with 32 bits, to 0xFFFFFFFF.
     *
     * @param selector of the code segment, 0 to 0xFFFF
     * @param offset in the code segment
     * @return this
     */
    public final Assembler callFar32(int selector, long offset) {
        return far("lcalld", 0x9A, 32, selector, offset);
    }

    /**
     * Calls another code segment, at a label with a 32-bit address; not in 64-bit code (SDM volume 2A, CALL ptr16:32).
     *
     * @param selector of the code segment, 0 to 0xFFFF
     * @param offset in the code segment
     * @return this
     */
    public final Assembler callFar32(int selector, Label offset) {
        return far("lcalld", 0x9A, 32, selector, offset);
    }

    /**
     * Calls another code segment, at a far pointer in memory: 32 bits of offset, then the selector (SDM volume 2A, CALL m16:32).
     *
     * @param pointer where the far pointer is
     * @return this
     */
    public final Assembler callFar32(Mem pointer) {
        return emit("lcalld", Encoding.of(0xFF).operandBits(32).digit(3).rm(pointer), pointer);
    }

    /**
     * Returns to another code segment: takes 16 bits of offset and a selector in as many (SDM volume 2B, RET).
     *
     * @return this
     */
    public final Assembler retf16() {
        return emit("retfw", Encoding.of(0xCB).operandBits(16));
    }

    /**
     * Returns to another code segment: takes 32 bits of offset and a selector in as many (SDM volume 2B, RET).
     *
     * @return this
     */
    public final Assembler retf32() {
        return emit("retfd", Encoding.of(0xCB).operandBits(32));
    }

    /**
     * Returns to another code segment: takes 64 bits of offset and a selector in as many (SDM volume 2B, RET).
     *
     * @return this
     */
    public final Assembler retf64() {
        return emit("retfq", Encoding.of(0xCB).operandBits(64));
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
