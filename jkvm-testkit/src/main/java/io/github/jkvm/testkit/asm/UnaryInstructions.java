package io.github.jkvm.testkit.asm;

/** The part of {@link Assembler} that counts, negates, multiplies, divides and shifts (SDM volume 1, 5.1.2 and 5.1.5). */
abstract sealed class UnaryInstructions extends LogicInstructions permits BitInstructions {
    UnaryInstructions(Mode mode, long origin) {
        super(mode, origin);
    }

    /**
     * Adds 1 (SDM volume 2A, INC).
     *
     * @param <W> size of the operands
     * @param operand what is changed
     * @return this
     */
    public final <W extends Width> Assembler inc(Operand<W> operand) {
        return step("inc", 0x40, 0, operand);
    }

    /**
     * Subtracts 1 (SDM volume 2A, DEC).
     *
     * @param <W> size of the operands
     * @param operand what is changed
     * @return this
     */
    public final <W extends Width> Assembler dec(Operand<W> operand) {
        return step("dec", 0x48, 1, operand);
    }

    /**
     * Subtracts from zero (SDM volume 2B, NEG).
     *
     * @param <W> size of the operands
     * @param operand what is changed
     * @return this
     */
    public final <W extends Width> Assembler neg(Operand<W> operand) {
        return emit(
                "neg", Encoding.sized(0xF6, operand.bits()).digit(3).rm(operand).allow(Encoding.Allowed.LOCK), operand);
    }

    /**
     * Multiplies the accumulator, unsigned, into twice its size (SDM volume 2B, MUL).
     *
     * @param <W> size of the operands
     * @param operand the factor
     * @return this
     */
    public final <W extends Width> Assembler mul(Operand<W> operand) {
        return emit("mul", Encoding.sized(0xF6, operand.bits()).digit(4).rm(operand), operand);
    }

    /**
     * Multiplies the accumulator, signed, into twice its size (SDM volume 2A, IMUL).
     *
     * @param <W> size of the operands
     * @param operand the factor
     * @return this
     */
    public final <W extends Width> Assembler imul(Operand<W> operand) {
        return emit("imul", Encoding.sized(0xF6, operand.bits()).digit(5).rm(operand), operand);
    }

    /**
     * Multiplies a register by a register, signed (SDM volume 2A, IMUL).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width.AtLeast16> Assembler imul(Reg<W> destination, Reg<W> source) {
        return emit("imul", twoByte(0x0FAF, destination).rm(source), destination, source);
    }

    /**
     * Multiplies a register by memory, signed (SDM volume 2A, IMUL).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param source what is read
     * @return this
     */
    public final <W extends Width.AtLeast16> Assembler imul(Reg<W> destination, Mem source) {
        return emit("imul", twoByte(0x0FAF, destination).rm(source), destination, source);
    }

    /**
     * Sets a register to another one times a number, signed (SDM volume 2A, IMUL).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param source what is read
     * @param immediate the number
     * @return this
     */
    public final <W extends Width.AtLeast16> Assembler imul(Reg<W> destination, Reg<W> source, long immediate) {
        return emit("imul", times(destination, immediate).rm(source), destination, source, immediate);
    }

    /**
     * Sets a register to memory times a number, signed (SDM volume 2A, IMUL).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @param source what is read
     * @param immediate the number
     * @return this
     */
    public final <W extends Width.AtLeast16> Assembler imul(Reg<W> destination, Mem source, long immediate) {
        return emit("imul", times(destination, immediate).rm(source), destination, source, immediate);
    }

    /**
     * Divides the double-size accumulator, unsigned (SDM volume 2A, DIV).
     *
     * @param <W> size of the operands
     * @param operand the divisor
     * @return this
     */
    public final <W extends Width> Assembler div(Operand<W> operand) {
        return emit("div", Encoding.sized(0xF6, operand.bits()).digit(6).rm(operand), operand);
    }

    /**
     * Divides the double-size accumulator, signed (SDM volume 2A, IDIV).
     *
     * @param <W> size of the operands
     * @param operand the divisor
     * @return this
     */
    public final <W extends Width> Assembler idiv(Operand<W> operand) {
        return emit("idiv", Encoding.sized(0xF6, operand.bits()).digit(7).rm(operand), operand);
    }

    /**
     * Rotates left by a fixed number of bits, 0 to 255, of which the CPU takes the low 5 (6 for 64-bit operands) (SDM volume 2B,
     * RCL/RCR/ROL/ROR).
     *
     * @param <W> size of the operands
     * @param operand what is changed
     * @param count by how many bits
     * @return this
     */
    public final <W extends Width> Assembler rol(Operand<W> operand, int count) {
        return shift("rol", 0, operand, count);
    }

    /**
     * Rotates left by CL, the only register that can count (SDM volume 2B, RCL/RCR/ROL/ROR).
     *
     * @param <W> size of the operands
     * @param operand what is changed
     * @param count by how many bits
     * @return this
     */
    public final <W extends Width> Assembler rol(Operand<W> operand, Reg8 count) {
        return shift("rol", 0, operand, count);
    }

    /**
     * Rotates right by a fixed number of bits, 0 to 255, of which the CPU takes the low 5 (6 for 64-bit operands) (SDM volume 2B,
     * RCL/RCR/ROL/ROR).
     *
     * @param <W> size of the operands
     * @param operand what is changed
     * @param count by how many bits
     * @return this
     */
    public final <W extends Width> Assembler ror(Operand<W> operand, int count) {
        return shift("ror", 1, operand, count);
    }

    /**
     * Rotates right by CL, the only register that can count (SDM volume 2B, RCL/RCR/ROL/ROR).
     *
     * @param <W> size of the operands
     * @param operand what is changed
     * @param count by how many bits
     * @return this
     */
    public final <W extends Width> Assembler ror(Operand<W> operand, Reg8 count) {
        return shift("ror", 1, operand, count);
    }

    /**
     * Rotates left through the carry flag by a fixed number of bits, 0 to 255, of which the CPU takes the low 5 (6 for 64-bit operands)
     * (SDM volume 2B, RCL/RCR/ROL/ROR).
     *
     * @param <W> size of the operands
     * @param operand what is changed
     * @param count by how many bits
     * @return this
     */
    public final <W extends Width> Assembler rcl(Operand<W> operand, int count) {
        return shift("rcl", 2, operand, count);
    }

    /**
     * Rotates left through the carry flag by CL, the only register that can count (SDM volume 2B, RCL/RCR/ROL/ROR).
     *
     * @param <W> size of the operands
     * @param operand what is changed
     * @param count by how many bits
     * @return this
     */
    public final <W extends Width> Assembler rcl(Operand<W> operand, Reg8 count) {
        return shift("rcl", 2, operand, count);
    }

    /**
     * Rotates right through the carry flag by a fixed number of bits, 0 to 255, of which the CPU takes the low 5 (6 for 64-bit operands)
     * (SDM volume 2B, RCL/RCR/ROL/ROR).
     *
     * @param <W> size of the operands
     * @param operand what is changed
     * @param count by how many bits
     * @return this
     */
    public final <W extends Width> Assembler rcr(Operand<W> operand, int count) {
        return shift("rcr", 3, operand, count);
    }

    /**
     * Rotates right through the carry flag by CL, the only register that can count (SDM volume 2B, RCL/RCR/ROL/ROR).
     *
     * @param <W> size of the operands
     * @param operand what is changed
     * @param count by how many bits
     * @return this
     */
    public final <W extends Width> Assembler rcr(Operand<W> operand, Reg8 count) {
        return shift("rcr", 3, operand, count);
    }

    /**
     * Shifts left by a fixed number of bits, 0 to 255, of which the CPU takes the low 5 (6 for 64-bit operands) (SDM volume 2B,
     * SAL/SAR/SHL/SHR).
     *
     * @param <W> size of the operands
     * @param operand what is changed
     * @param count by how many bits
     * @return this
     */
    public final <W extends Width> Assembler shl(Operand<W> operand, int count) {
        return shift("shl", 4, operand, count);
    }

    /**
     * Shifts left by CL, the only register that can count (SDM volume 2B, SAL/SAR/SHL/SHR).
     *
     * @param <W> size of the operands
     * @param operand what is changed
     * @param count by how many bits
     * @return this
     */
    public final <W extends Width> Assembler shl(Operand<W> operand, Reg8 count) {
        return shift("shl", 4, operand, count);
    }

    /**
     * Shifts right, zeros coming in by a fixed number of bits, 0 to 255, of which the CPU takes the low 5 (6 for 64-bit operands) (SDM
     * volume 2B, SAL/SAR/SHL/SHR).
     *
     * @param <W> size of the operands
     * @param operand what is changed
     * @param count by how many bits
     * @return this
     */
    public final <W extends Width> Assembler shr(Operand<W> operand, int count) {
        return shift("shr", 5, operand, count);
    }

    /**
     * Shifts right, zeros coming in by CL, the only register that can count (SDM volume 2B, SAL/SAR/SHL/SHR).
     *
     * @param <W> size of the operands
     * @param operand what is changed
     * @param count by how many bits
     * @return this
     */
    public final <W extends Width> Assembler shr(Operand<W> operand, Reg8 count) {
        return shift("shr", 5, operand, count);
    }

    /**
     * Shifts right, the sign coming in by a fixed number of bits, 0 to 255, of which the CPU takes the low 5 (6 for 64-bit operands) (SDM
     * volume 2B, SAL/SAR/SHL/SHR).
     *
     * @param <W> size of the operands
     * @param operand what is changed
     * @param count by how many bits
     * @return this
     */
    public final <W extends Width> Assembler sar(Operand<W> operand, int count) {
        return shift("sar", 7, operand, count);
    }

    /**
     * Shifts right, the sign coming in by CL, the only register that can count (SDM volume 2B, SAL/SAR/SHL/SHR).
     *
     * @param <W> size of the operands
     * @param operand what is changed
     * @param count by how many bits
     * @return this
     */
    public final <W extends Width> Assembler sar(Operand<W> operand, Reg8 count) {
        return shift("sar", 7, operand, count);
    }

    /** Fails if a register that must be CL is not. */
    static void requireCl(String mnemonic, Reg8 count) {
        if (count != Reg8.CL) {
            throw new IllegalArgumentException(
                    mnemonic + " by " + count + ": a count in a register must be in cl; move it there");
        }
    }

    private Assembler step(String mnemonic, int shortOpcode, int digit, Operand<?> operand) {
        // 40 to 4F became the REX prefixes of 64-bit code.
        if (mode() != Mode.BITS64 && operand.bits() != 8 && operand instanceof Reg<?> register) {
            return emit(
                    mnemonic,
                    Encoding.of(shortOpcode).operandBits(operand.bits()).opcodeReg(register),
                    operand);
        }
        return emit(
                mnemonic,
                Encoding.sized(0xFE, operand.bits()).digit(digit).rm(operand).allow(Encoding.Allowed.LOCK),
                operand);
    }

    private static Encoding times(Reg<?> destination, long immediate) {
        long value = checked("imul", immediate, destination.bits());
        if (Immediate.fitsSigned(value, Byte.SIZE)) {
            return twoByte(0x6B, destination).immediate(value, Byte.BYTES);
        }
        return number(twoByte(0x69, destination), "imul", immediate, destination.bits());
    }

    private Assembler shift(String mnemonic, int digit, Operand<?> operand, int count) {
        if (count == 1) {
            return emit(
                    mnemonic, Encoding.sized(0xD0, operand.bits()).digit(digit).rm(operand), operand, count);
        }
        Encoding encoding = Encoding.sized(0xC0, operand.bits()).digit(digit).rm(operand);
        return emit(mnemonic, encoding.immediate(unsigned(mnemonic, count, Byte.SIZE), Byte.BYTES), operand, count);
    }

    private Assembler shift(String mnemonic, int digit, Operand<?> operand, Reg8 count) {
        requireCl(mnemonic, count);
        return emit(mnemonic, Encoding.sized(0xD2, operand.bits()).digit(digit).rm(operand), operand, count);
    }
}
