package io.github.jkvm.testkit.asm;

/** The part of {@link Assembler} that works on single bits (SDM volume 1, 5.1.5 and 5.1.6). */
abstract sealed class BitInstructions extends UnaryInstructions permits BranchInstructions {
    BitInstructions(Mode mode, long origin) {
        super(mode, origin);
    }

    /**
     * Copies a bit into the carry flag: the bit of a register that another one numbers (SDM volume 2A, BT).
     *
     * @param <W> size of the operands
     * @param base where the bit is
     * @param bit its number
     * @return this
     */
    public final <W extends Width.AtLeast16> Assembler bt(Reg<W> base, Reg<W> bit) {
        return emit("bt", twoByte(0x0FA3, bit).rm(base), base, bit);
    }

    /**
     * Copies a bit into the carry flag: the bit of a string of bits in memory that a register numbers, signed (SDM volume 2A, BT).
     *
     * @param <W> size of the operands
     * @param base where the bit is
     * @param bit its number
     * @return this
     */
    public final <W extends Width.AtLeast16> Assembler bt(Mem base, Reg<W> bit) {
        return emit("bt", twoByte(0x0FA3, bit).rm(base), base, bit);
    }

    /**
     * Copies a bit into the carry flag: a bit with a fixed number, 0 to 255, modulo the operand's size (SDM volume 2A, BT).
     *
     * @param <W> size of the operands
     * @param base where the bit is
     * @param bit its number
     * @return this
     */
    public final <W extends Width.AtLeast16> Assembler bt(Operand<W> base, int bit) {
        return numbered("bt", 4, base, bit);
    }

    /**
     * Copies a bit into the carry flag, then sets it: the bit of a register that another one numbers (SDM volume 2A, BTS).
     *
     * @param <W> size of the operands
     * @param base where the bit is
     * @param bit its number
     * @return this
     */
    public final <W extends Width.AtLeast16> Assembler bts(Reg<W> base, Reg<W> bit) {
        return emit("bts", twoByte(0x0FAB, bit).rm(base), base, bit);
    }

    /**
     * Copies a bit into the carry flag, then sets it: the bit of a string of bits in memory that a register numbers, signed (SDM volume 2A,
     * BTS).
     *
     * @param <W> size of the operands
     * @param base where the bit is
     * @param bit its number
     * @return this
     */
    public final <W extends Width.AtLeast16> Assembler bts(Mem base, Reg<W> bit) {
        return emit("bts", twoByte(0x0FAB, bit).rm(base).allow(Encoding.Allowed.LOCK), base, bit);
    }

    /**
     * Copies a bit into the carry flag, then sets it: a bit with a fixed number, 0 to 255, modulo the operand's size (SDM volume 2A, BTS).
     *
     * @param <W> size of the operands
     * @param base where the bit is
     * @param bit its number
     * @return this
     */
    public final <W extends Width.AtLeast16> Assembler bts(Operand<W> base, int bit) {
        return numbered("bts", 5, base, bit);
    }

    /**
     * Copies a bit into the carry flag, then clears it: the bit of a register that another one numbers (SDM volume 2A, BTR).
     *
     * @param <W> size of the operands
     * @param base where the bit is
     * @param bit its number
     * @return this
     */
    public final <W extends Width.AtLeast16> Assembler btr(Reg<W> base, Reg<W> bit) {
        return emit("btr", twoByte(0x0FB3, bit).rm(base), base, bit);
    }

    /**
     * Copies a bit into the carry flag, then clears it: the bit of a string of bits in memory that a register numbers, signed (SDM volume
     * 2A, BTR).
     *
     * @param <W> size of the operands
     * @param base where the bit is
     * @param bit its number
     * @return this
     */
    public final <W extends Width.AtLeast16> Assembler btr(Mem base, Reg<W> bit) {
        return emit("btr", twoByte(0x0FB3, bit).rm(base).allow(Encoding.Allowed.LOCK), base, bit);
    }

    /**
     * Copies a bit into the carry flag, then clears it: a bit with a fixed number, 0 to 255, modulo the operand's size (SDM volume 2A,
     * BTR).
     *
     * @param <W> size of the operands
     * @param base where the bit is
     * @param bit its number
     * @return this
     */
    public final <W extends Width.AtLeast16> Assembler btr(Operand<W> base, int bit) {
        return numbered("btr", 6, base, bit);
    }

    /**
     * Copies a bit into the carry flag, then flips it: the bit of a register that another one numbers (SDM volume 2A, BTC).
     *
     * @param <W> size of the operands
     * @param base where the bit is
     * @param bit its number
     * @return this
     */
    public final <W extends Width.AtLeast16> Assembler btc(Reg<W> base, Reg<W> bit) {
        return emit("btc", twoByte(0x0FBB, bit).rm(base), base, bit);
    }

    /**
     * Copies a bit into the carry flag, then flips it: the bit of a string of bits in memory that a register numbers, signed (SDM volume
     * 2A, BTC).
     *
     * @param <W> size of the operands
     * @param base where the bit is
     * @param bit its number
     * @return this
     */
    public final <W extends Width.AtLeast16> Assembler btc(Mem base, Reg<W> bit) {
        return emit("btc", twoByte(0x0FBB, bit).rm(base).allow(Encoding.Allowed.LOCK), base, bit);
    }

    /**
     * Copies a bit into the carry flag, then flips it: a bit with a fixed number, 0 to 255, modulo the operand's size (SDM volume 2A, BTC).
     *
     * @param <W> size of the operands
     * @param base where the bit is
     * @param bit its number
     * @return this
     */
    public final <W extends Width.AtLeast16> Assembler btc(Operand<W> base, int bit) {
        return numbered("btc", 7, base, bit);
    }

    /**
     * Finds the lowest set bit of a register (SDM volume 2A, BSF).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width.AtLeast16> Assembler bsf(Reg<W> destination, Reg<W> source) {
        return emit("bsf", twoByte(0x0FBC, destination).rm(source), destination, source);
    }

    /**
     * Finds the lowest set bit of memory (SDM volume 2A, BSF).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width.AtLeast16> Assembler bsf(Reg<W> destination, Mem source) {
        return emit("bsf", twoByte(0x0FBC, destination).rm(source), destination, source);
    }

    /**
     * Finds the highest set bit of a register (SDM volume 2A, BSR).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width.AtLeast16> Assembler bsr(Reg<W> destination, Reg<W> source) {
        return emit("bsr", twoByte(0x0FBD, destination).rm(source), destination, source);
    }

    /**
     * Finds the highest set bit of memory (SDM volume 2A, BSR).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width.AtLeast16> Assembler bsr(Reg<W> destination, Mem source) {
        return emit("bsr", twoByte(0x0FBD, destination).rm(source), destination, source);
    }

    /**
     * Counts the set bits of a register (SDM volume 2B, POPCNT).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width.AtLeast16> Assembler popcnt(Reg<W> destination, Reg<W> source) {
        return emit("popcnt", twoByte(0x0FB8, destination).mandatory(0xF3).rm(source), destination, source);
    }

    /**
     * Counts the set bits of memory (SDM volume 2B, POPCNT).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width.AtLeast16> Assembler popcnt(Reg<W> destination, Mem source) {
        return emit("popcnt", twoByte(0x0FB8, destination).mandatory(0xF3).rm(source), destination, source);
    }

    /**
     * Counts the zero bits below the lowest set one of a register (SDM volume 2B, TZCNT).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width.AtLeast16> Assembler tzcnt(Reg<W> destination, Reg<W> source) {
        return emit("tzcnt", twoByte(0x0FBC, destination).mandatory(0xF3).rm(source), destination, source);
    }

    /**
     * Counts the zero bits below the lowest set one of memory (SDM volume 2B, TZCNT).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width.AtLeast16> Assembler tzcnt(Reg<W> destination, Mem source) {
        return emit("tzcnt", twoByte(0x0FBC, destination).mandatory(0xF3).rm(source), destination, source);
    }

    /**
     * Counts the zero bits above the highest set one of a register (SDM volume 2A, LZCNT).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width.AtLeast16> Assembler lzcnt(Reg<W> destination, Reg<W> source) {
        return emit("lzcnt", twoByte(0x0FBD, destination).mandatory(0xF3).rm(source), destination, source);
    }

    /**
     * Counts the zero bits above the highest set one of memory (SDM volume 2A, LZCNT).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width.AtLeast16> Assembler lzcnt(Reg<W> destination, Mem source) {
        return emit("lzcnt", twoByte(0x0FBD, destination).mandatory(0xF3).rm(source), destination, source);
    }

    /**
     * Shifts left, bits of a register coming in, by a fixed number of bits, 0 to 255 (SDM volume 2B, SHLD).
     *
     * @param <W> size of the operands
     * @param operand what is changed
     * @param source what is read
     * @param count by how many bits
     * @return this
     */
    public final <W extends Width.AtLeast16> Assembler shld(Operand<W> operand, Reg<W> source, int count) {
        Encoding encoding = twoByte(0x0FA4, source).rm(operand);
        return emit("shld", encoding.immediate(unsigned("shld", count, Byte.SIZE), Byte.BYTES), operand, source, count);
    }

    /**
     * Shifts left, bits of a register coming in, by CL (SDM volume 2B, SHLD).
     *
     * @param <W> size of the operands
     * @param operand what is changed
     * @param source what is read
     * @param count by how many bits
     * @return this
     */
    public final <W extends Width.AtLeast16> Assembler shld(Operand<W> operand, Reg<W> source, Reg8 count) {
        requireCl("shld", count);
        return emit("shld", twoByte(0x0FA4 | 1, source).rm(operand), operand, source, count);
    }

    /**
     * Shifts right, bits of a register coming in, by a fixed number of bits, 0 to 255 (SDM volume 2B, SHRD).
     *
     * @param <W> size of the operands
     * @param operand what is changed
     * @param source what is read
     * @param count by how many bits
     * @return this
     */
    public final <W extends Width.AtLeast16> Assembler shrd(Operand<W> operand, Reg<W> source, int count) {
        Encoding encoding = twoByte(0x0FAC, source).rm(operand);
        return emit("shrd", encoding.immediate(unsigned("shrd", count, Byte.SIZE), Byte.BYTES), operand, source, count);
    }

    /**
     * Shifts right, bits of a register coming in, by CL (SDM volume 2B, SHRD).
     *
     * @param <W> size of the operands
     * @param operand what is changed
     * @param source what is read
     * @param count by how many bits
     * @return this
     */
    public final <W extends Width.AtLeast16> Assembler shrd(Operand<W> operand, Reg<W> source, Reg8 count) {
        requireCl("shrd", count);
        return emit("shrd", twoByte(0x0FAC | 1, source).rm(operand), operand, source, count);
    }

    private Assembler numbered(String mnemonic, int digit, Operand<?> base, int bit) {
        Encoding encoding =
                Encoding.of(0x0FBA).operandBits(base.bits()).digit(digit).rm(base);
        encoding.allow(digit == 4 ? Encoding.Allowed.NO_PREFIX : Encoding.Allowed.LOCK);
        return emit(mnemonic, encoding.immediate(unsigned(mnemonic, bit, Byte.SIZE), Byte.BYTES), base, bit);
    }
}
