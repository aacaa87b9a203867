package io.github.jkvm.testkit.asm;

import org.jspecify.annotations.Nullable;

/**
 * What one instruction is made of, before the code size is applied: opcode, operand size, ModR/M operands, immediates (SDM volume 2A, 2.1).
 * {@link InstructionEncoder} turns it into bytes.
 */
final class Encoding {
    /** No mandatory prefix. */
    static final int NONE = 0;

    private static final int NO_FIELD = -1;

    private final int opcode;
    private int operandBits;
    private boolean wideByDefault;
    private int mandatoryPrefix = NONE;
    private int regField = NO_FIELD;
    private @Nullable Object reg;
    private @Nullable Reg<?> opcodeReg;
    private int rmNumber = NO_FIELD;
    private @Nullable Object rmReg;
    private @Nullable Mem rmMem;
    private @Nullable Label target;
    private long value;
    private int valueBytes;
    private long secondValue;
    private int secondBytes;
    private int targetShift;
    private boolean bareAddress;
    private Allowed allowed = Allowed.NO_PREFIX;

    /** Which prefixes the CPU takes before the instruction. */
    enum Allowed {
        NO_PREFIX,
        LOCK,
        REP,
        REPE_OR_REPNE
    }

    private Encoding(int opcode) {
        this.opcode = opcode;
    }

    /** An instruction of up to three opcode bytes, first byte highest: 0x0FA2 is 0F A2. */
    static Encoding of(int opcode) {
        return new Encoding(opcode);
    }

    /** An instruction whose opcode's bit 0 tells byte operands (0) from larger ones (1), as most old ones do (SDM volume 2D, B.1.4.3). */
    static Encoding sized(int opcode, int bits) {
        return of(bits == 8 ? opcode : opcode | 1).operandBits(bits);
    }

    /** Sets the operand size, which costs a prefix where it is not the default. 8 costs none. */
    Encoding operandBits(int bits) {
        operandBits = bits;
        return this;
    }

    /** In 64-bit code the operand has 64 bits without a prefix, and cannot have 32 (SDM volume 1, 3.6.1). */
    Encoding wideByDefault() {
        wideByDefault = true;
        return this;
    }

    /** Sets the prefix that is part of the opcode: 0x66, 0xF2 or 0xF3. */
    Encoding mandatory(int prefix) {
        mandatoryPrefix = prefix;
        return this;
    }

    /** Puts a part of the opcode into the reg field of the ModR/M byte: /0 to /7 of the manual. */
    Encoding digit(int digit) {
        regField = digit;
        return this;
    }

    /** Puts a register into the reg field of the ModR/M byte. */
    Encoding reg(Reg<?> register) {
        return reg(register, register.number());
    }

    /** Puts a register of another kind into the reg field of the ModR/M byte. */
    Encoding reg(Object register, int number) {
        reg = register;
        regField = number;
        return this;
    }

    /** Puts a register into the low bits of the opcode. */
    Encoding opcodeReg(Reg<?> register) {
        opcodeReg = register;
        return this;
    }

    /** Puts a register, or memory with a size, into the r/m field of the ModR/M byte. */
    Encoding rm(Operand<?> operand) {
        return switch (operand) {
            case SizedMem<?> sized -> rm(sized.mem());
            case Reg<?> register -> rm(register, register.number());
        };
    }

    /** Puts memory into the r/m field of the ModR/M byte. */
    Encoding rm(Mem mem) {
        rmMem = mem;
        return this;
    }

    /** Puts a register of any kind into the r/m field of the ModR/M byte. */
    Encoding rm(Object register, int number) {
        rmReg = register;
        rmNumber = number;
        return this;
    }

    /** Adds a number after the operands; the caller has checked its range. */
    Encoding immediate(long number, int bytes) {
        value = number;
        valueBytes = bytes;
        return this;
    }

    /** Adds a second number after the first: the nesting of ENTER, the selector of a far pointer. */
    Encoding secondImmediate(long number, int bytes) {
        secondValue = number;
        secondBytes = bytes;
        return this;
    }

    /** Adds the address of a label after the operands. */
    Encoding address(Label label, int bytes) {
        target = label;
        valueBytes = bytes;
        return this;
    }

    /** Shifts the address of the label right before it is written. */
    Encoding shifted(int bits) {
        targetShift = bits;
        return this;
    }

    /** Makes the memory operand stand right behind the opcode, as the old accumulator forms have it. */
    Encoding withoutModRm() {
        bareAddress = true;
        return this;
    }

    /** Says which prefixes may stand before the instruction. */
    Encoding allow(Allowed prefixes) {
        allowed = prefixes;
        return this;
    }

    int opcode() {
        return opcode;
    }

    int operandBitsWanted() {
        return operandBits;
    }

    boolean isWideByDefault() {
        return wideByDefault;
    }

    int mandatoryPrefix() {
        return mandatoryPrefix;
    }

    boolean hasModRm() {
        return regField != NO_FIELD || rmMem != null || rmReg != null;
    }

    int regField() {
        return Math.max(regField, 0);
    }

    int rmNumber() {
        return rmNumber;
    }

    @Nullable
    Mem rmMem() {
        return rmMem;
    }

    @Nullable
    Reg<?> opcodeReg() {
        return opcodeReg;
    }

    @Nullable
    Label target() {
        return target;
    }

    int targetShift() {
        return targetShift;
    }

    long value() {
        return value;
    }

    int valueBytes() {
        return valueBytes;
    }

    long secondValue() {
        return secondValue;
    }

    int secondBytes() {
        return secondBytes;
    }

    boolean hasBareAddress() {
        return bareAddress;
    }

    Allowed allowed() {
        return allowed;
    }

    /** The registers of the instruction outside its memory operand; absent ones are null. */
    @Nullable
    Object[] registers() {
        return new @Nullable Object[] {reg, rmReg, opcodeReg};
    }
}
