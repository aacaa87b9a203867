package io.github.jkvm.testkit.asm;

/** The part of {@link Assembler} that works on bits, compares and swaps, and converts sizes (SDM volume 1, 5.1.1 and 5.1.6). */
abstract sealed class BitInstructions extends UnaryInstructions permits BranchInstructions {
    BitInstructions(Mode mode, long origin) {
        super(mode, origin);
    }

    /** Copies a bit into the carry flag: the bit of a register that another one numbers (SDM volume 2A, BT). */
    public final <W extends Width.AtLeast16> Assembler bt(Reg<W> base, Reg<W> bit) {
        return emit("bt", twoByte(0x0FA3, bit).rm(base), base, bit);
    }

    /** Copies a bit into the carry flag: the bit of a string of bits in memory that a register numbers, signed (SDM volume 2A, BT). */
    public final <W extends Width.AtLeast16> Assembler bt(Mem base, Reg<W> bit) {
        return emit("bt", twoByte(0x0FA3, bit).rm(base), base, bit);
    }

    /** Copies a bit into the carry flag: a bit with a fixed number, 0 to 255, modulo the operand's size (SDM volume 2A, BT). */
    public final <W extends Width.AtLeast16> Assembler bt(Operand<W> base, int bit) {
        return numbered("bt", 4, base, bit);
    }

    /** Copies a bit into the carry flag, then sets it: the bit of a register that another one numbers (SDM volume 2A, BTS). */
    public final <W extends Width.AtLeast16> Assembler bts(Reg<W> base, Reg<W> bit) {
        return emit("bts", twoByte(0x0FAB, bit).rm(base), base, bit);
    }

    /** Copies a bit into the carry flag, then sets it: the bit of a string of bits in memory that a register numbers, signed (SDM volume 2A, BTS). */
    public final <W extends Width.AtLeast16> Assembler bts(Mem base, Reg<W> bit) {
        return emit("bts", twoByte(0x0FAB, bit).rm(base).allow(Encoding.Allowed.LOCK), base, bit);
    }

    /** Copies a bit into the carry flag, then sets it: a bit with a fixed number, 0 to 255, modulo the operand's size (SDM volume 2A, BTS). */
    public final <W extends Width.AtLeast16> Assembler bts(Operand<W> base, int bit) {
        return numbered("bts", 5, base, bit);
    }

    /** Copies a bit into the carry flag, then clears it: the bit of a register that another one numbers (SDM volume 2A, BTR). */
    public final <W extends Width.AtLeast16> Assembler btr(Reg<W> base, Reg<W> bit) {
        return emit("btr", twoByte(0x0FB3, bit).rm(base), base, bit);
    }

    /** Copies a bit into the carry flag, then clears it: the bit of a string of bits in memory that a register numbers, signed (SDM volume 2A, BTR). */
    public final <W extends Width.AtLeast16> Assembler btr(Mem base, Reg<W> bit) {
        return emit("btr", twoByte(0x0FB3, bit).rm(base).allow(Encoding.Allowed.LOCK), base, bit);
    }

    /** Copies a bit into the carry flag, then clears it: a bit with a fixed number, 0 to 255, modulo the operand's size (SDM volume 2A, BTR). */
    public final <W extends Width.AtLeast16> Assembler btr(Operand<W> base, int bit) {
        return numbered("btr", 6, base, bit);
    }

    /** Copies a bit into the carry flag, then flips it: the bit of a register that another one numbers (SDM volume 2A, BTC). */
    public final <W extends Width.AtLeast16> Assembler btc(Reg<W> base, Reg<W> bit) {
        return emit("btc", twoByte(0x0FBB, bit).rm(base), base, bit);
    }

    /** Copies a bit into the carry flag, then flips it: the bit of a string of bits in memory that a register numbers, signed (SDM volume 2A, BTC). */
    public final <W extends Width.AtLeast16> Assembler btc(Mem base, Reg<W> bit) {
        return emit("btc", twoByte(0x0FBB, bit).rm(base).allow(Encoding.Allowed.LOCK), base, bit);
    }

    /** Copies a bit into the carry flag, then flips it: a bit with a fixed number, 0 to 255, modulo the operand's size (SDM volume 2A, BTC). */
    public final <W extends Width.AtLeast16> Assembler btc(Operand<W> base, int bit) {
        return numbered("btc", 7, base, bit);
    }

    /** Finds the lowest set bit of a register (SDM volume 2A, BSF). */
    public final <W extends Width.AtLeast16> Assembler bsf(Reg<W> destination, Reg<W> source) {
        return emit("bsf", twoByte(0x0FBC, destination).rm(source), destination, source);
    }

    /** Finds the lowest set bit of memory (SDM volume 2A, BSF). */
    public final <W extends Width.AtLeast16> Assembler bsf(Reg<W> destination, Mem source) {
        return emit("bsf", twoByte(0x0FBC, destination).rm(source), destination, source);
    }

    /** Finds the highest set bit of a register (SDM volume 2A, BSR). */
    public final <W extends Width.AtLeast16> Assembler bsr(Reg<W> destination, Reg<W> source) {
        return emit("bsr", twoByte(0x0FBD, destination).rm(source), destination, source);
    }

    /** Finds the highest set bit of memory (SDM volume 2A, BSR). */
    public final <W extends Width.AtLeast16> Assembler bsr(Reg<W> destination, Mem source) {
        return emit("bsr", twoByte(0x0FBD, destination).rm(source), destination, source);
    }

    /** Counts the set bits of a register (SDM volume 2B, POPCNT). */
    public final <W extends Width.AtLeast16> Assembler popcnt(Reg<W> destination, Reg<W> source) {
        return emit("popcnt", twoByte(0x0FB8, destination).mandatory(0xF3).rm(source), destination, source);
    }

    /** Counts the set bits of memory (SDM volume 2B, POPCNT). */
    public final <W extends Width.AtLeast16> Assembler popcnt(Reg<W> destination, Mem source) {
        return emit("popcnt", twoByte(0x0FB8, destination).mandatory(0xF3).rm(source), destination, source);
    }

    /** Counts the zero bits below the lowest set one of a register (SDM volume 2B, TZCNT). */
    public final <W extends Width.AtLeast16> Assembler tzcnt(Reg<W> destination, Reg<W> source) {
        return emit("tzcnt", twoByte(0x0FBC, destination).mandatory(0xF3).rm(source), destination, source);
    }

    /** Counts the zero bits below the lowest set one of memory (SDM volume 2B, TZCNT). */
    public final <W extends Width.AtLeast16> Assembler tzcnt(Reg<W> destination, Mem source) {
        return emit("tzcnt", twoByte(0x0FBC, destination).mandatory(0xF3).rm(source), destination, source);
    }

    /** Counts the zero bits above the highest set one of a register (SDM volume 2A, LZCNT). */
    public final <W extends Width.AtLeast16> Assembler lzcnt(Reg<W> destination, Reg<W> source) {
        return emit("lzcnt", twoByte(0x0FBD, destination).mandatory(0xF3).rm(source), destination, source);
    }

    /** Counts the zero bits above the highest set one of memory (SDM volume 2A, LZCNT). */
    public final <W extends Width.AtLeast16> Assembler lzcnt(Reg<W> destination, Mem source) {
        return emit("lzcnt", twoByte(0x0FBD, destination).mandatory(0xF3).rm(source), destination, source);
    }

    /** Shifts left, bits of a register coming in, by a fixed number of bits, 0 to 255 (SDM volume 2B, SHLD). */
    public final <W extends Width.AtLeast16> Assembler shld(Operand<W> operand, Reg<W> source, int count) {
        Encoding encoding = twoByte(0x0FA4, source).rm(operand);
        return emit("shld", encoding.immediate(unsigned("shld", count, Byte.SIZE), Byte.BYTES), operand, source, count);
    }

    /** Shifts left, bits of a register coming in, by CL (SDM volume 2B, SHLD). */
    public final <W extends Width.AtLeast16> Assembler shld(Operand<W> operand, Reg<W> source, Reg8 count) {
        requireCl("shld", count);
        return emit("shld", twoByte(0x0FA4 | 1, source).rm(operand), operand, source, count);
    }

    /** Shifts right, bits of a register coming in, by a fixed number of bits, 0 to 255 (SDM volume 2B, SHRD). */
    public final <W extends Width.AtLeast16> Assembler shrd(Operand<W> operand, Reg<W> source, int count) {
        Encoding encoding = twoByte(0x0FAC, source).rm(operand);
        return emit("shrd", encoding.immediate(unsigned("shrd", count, Byte.SIZE), Byte.BYTES), operand, source, count);
    }

    /** Shifts right, bits of a register coming in, by CL (SDM volume 2B, SHRD). */
    public final <W extends Width.AtLeast16> Assembler shrd(Operand<W> operand, Reg<W> source, Reg8 count) {
        requireCl("shrd", count);
        return emit("shrd", twoByte(0x0FAC | 1, source).rm(operand), operand, source, count);
    }

    /** Stores the source if the accumulator equals the destination, else loads the accumulator: registers (SDM volume 2A, CMPXCHG). */
    public final <W extends Width> Assembler cmpxchg(Reg<W> destination, Reg<W> source) {
        return emit("cmpxchg", Encoding.sized(0x0FB0, source.bits()).reg(source).rm(destination), destination, source);
    }

    /** Stores the source if the accumulator equals the destination, else loads the accumulator: memory (SDM volume 2A, CMPXCHG). */
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

    /** Adds, and gives the source the old value: registers (SDM volume 2D, XADD). */
    public final <W extends Width> Assembler xadd(Reg<W> destination, Reg<W> source) {
        return emit("xadd", Encoding.sized(0x0FC0, source.bits()).reg(source).rm(destination), destination, source);
    }

    /** Adds, and gives the source the old value: memory (SDM volume 2D, XADD). */
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

    /** Stores ECX:EBX if EDX:EAX equals the 8 bytes of memory, else loads EDX:EAX (SDM volume 2A, CMPXCHG8B). */
    public final Assembler cmpxchg8b(Mem destination) {
        return emit(
                "cmpxchg8b", Encoding.of(0x0FC7).digit(1).rm(destination).allow(Encoding.Allowed.LOCK), destination);
    }

    /** Stores RCX:RBX if RDX:RAX equals the 16 bytes of memory, else loads RDX:RAX (SDM volume 2A, CMPXCHG16B). */
    public final Assembler cmpxchg16b(Mem destination) {
        return emit(
                "cmpxchg16b",
                Encoding.of(0x0FC7).operandBits(64).digit(1).rm(destination).allow(Encoding.Allowed.LOCK),
                destination);
    }

    /** Sign-extends AL into AX (SDM volume 2A, CBW). */
    public final Assembler cbw() {
        return emit("cbw", Encoding.of(0x98).operandBits(16));
    }

    /** Sign-extends AX into EAX (SDM volume 2A, CWDE). */
    public final Assembler cwde() {
        return emit("cwde", Encoding.of(0x98).operandBits(32));
    }

    /** Sign-extends EAX into RAX (SDM volume 2A, CDQE). */
    public final Assembler cdqe() {
        return emit("cdqe", Encoding.of(0x98).operandBits(64));
    }

    /** Sign-extends AX into DX:AX (SDM volume 2A, CWD). */
    public final Assembler cwd() {
        return emit("cwd", Encoding.of(0x99).operandBits(16));
    }

    /** Sign-extends EAX into EDX:EAX (SDM volume 2A, CDQ). */
    public final Assembler cdq() {
        return emit("cdq", Encoding.of(0x99).operandBits(32));
    }

    /** Sign-extends RAX into RDX:RAX (SDM volume 2A, CQO). */
    public final Assembler cqo() {
        return emit("cqo", Encoding.of(0x99).operandBits(64));
    }

    private Assembler numbered(String mnemonic, int digit, Operand<?> base, int bit) {
        Encoding encoding =
                Encoding.of(0x0FBA).operandBits(base.bits()).digit(digit).rm(base);
        encoding.allow(digit == 4 ? Encoding.Allowed.NO_PREFIX : Encoding.Allowed.LOCK);
        return emit(mnemonic, encoding.immediate(unsigned(mnemonic, bit, Byte.SIZE), Byte.BYTES), base, bit);
    }
}
