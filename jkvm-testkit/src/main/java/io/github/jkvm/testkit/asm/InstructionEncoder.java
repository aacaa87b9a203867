package io.github.jkvm.testkit.asm;

import java.io.ByteArrayOutputStream;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Turns one {@link Encoding} into bytes for a code size: prefixes, REX, opcode, ModR/M, SIB, displacement, immediates (SDM volume 2A, 2.1
 * and 2.2). Prefixes stand in the order GNU {@code as} gives them: segment, address size, operand size, repeat or mandatory, lock, REX.
 */
final class InstructionEncoder {
    private static final int ADDRESS_SIZE = 0x67;
    private static final int OPERAND_SIZE = 0x66;
    private static final int REX = 0x40;
    private static final int REX_W = 8;
    private static final int REX_R = 4;
    private static final int REX_X = 2;
    private static final int REX_B = 1;
    /** In the r/m field: a SIB byte follows. In the index field of one: there is no index. */
    private static final int SIB = 4;
    /** In the r/m field, or the base field of a SIB byte, with mod 0: there is no base but 32 bits of displacement. */
    private static final int NO_BASE = 5;
    /** In the r/m field of 16-bit addresses, with mod 0: there is no base but 16 bits of displacement. */
    private static final int NO_BASE_16 = 6;

    private final Mode mode;
    private final Encoding instruction;
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();
    private final List<Fixup> fixups = new ArrayList<>();

    private InstructionEncoder(Mode mode, Encoding instruction) {
        this.mode = mode;
        this.instruction = instruction;
    }

    /**
     * Encodes an instruction.
     *
     * @throws IllegalArgumentException if the CPU has no such instruction in this code size; the text names the operand and the remedy
     */
    static Statement.Code encode(Mode mode, Encoding instruction, @Nullable Prefix prefix, String text) {
        InstructionEncoder encoder = new InstructionEncoder(mode, instruction);
        encoder.encode(prefix);
        return new Statement.Code(encoder.out.toByteArray(), List.copyOf(encoder.fixups), text);
    }

    private void encode(@Nullable Prefix prefix) {
        int rex = rex();
        Mem mem = instruction.rmMem();
        if (mem != null) {
            SegReg override = mem.override();
            if (override != null) {
                out.write(override.prefix());
            }
            if (addressBits(mem) != mode.bits()) {
                out.write(ADDRESS_SIZE);
            }
        }
        int bits = instruction.operandBitsWanted();
        if (needsOperandPrefix(bits) || instruction.mandatoryPrefix() == OPERAND_SIZE) {
            out.write(OPERAND_SIZE);
        }
        if (prefix != null) {
            out.write(prefix.code());
        }
        if (instruction.mandatoryPrefix() != Encoding.NONE && instruction.mandatoryPrefix() != OPERAND_SIZE) {
            out.write(instruction.mandatoryPrefix());
        }
        if (rex != 0) {
            out.write(rex);
        }
        opcode();
        if (mem != null && instruction.hasBareAddress()) {
            addressField(mem, mode.bits() / Byte.SIZE);
        } else if (instruction.hasModRm()) {
            if (mem == null) {
                modRm(3, instruction.rmNumber());
            } else if (addressBits(mem) == 16) {
                memory16(mem);
            } else {
                memory(mem);
            }
        }
        Label target = instruction.target();
        if (target != null) {
            fixups.add(new Fixup(
                    out.size(), instruction.valueBytes(), target, 0, Fixup.Kind.ABSOLUTE, instruction.targetShift()));
        }
        number(instruction.value(), instruction.valueBytes());
        number(instruction.secondValue(), instruction.secondBytes());
    }

    private boolean needsOperandPrefix(int bits) {
        return switch (bits) {
            case 16 -> mode != Mode.BITS16;
            case 32 -> mode == Mode.BITS16;
            default -> false;
        };
    }

    /** The REX prefix, or 0; checks the registers against the code size on the way. */
    private int rex() {
        int bits = instruction.operandBitsWanted();
        if (bits == 64 && mode != Mode.BITS64) {
            throw new IllegalArgumentException(
                    "64-bit operands need 64-bit code, and this is " + mode + "; use 32-bit ones");
        }
        if (mode == Mode.BITS64 && instruction.isWideByDefault() && bits == 32) {
            throw new IllegalArgumentException(
                    "in 64-bit code this instruction takes 16 or 64 bits, not 32; use the 64-bit register or qwordPtr");
        }
        int rex = bits == 64 && !instruction.isWideByDefault() ? REX | REX_W : 0;
        Reg<?> inOpcode = instruction.opcodeReg();
        rex |= high(instruction.regField(), REX_R);
        rex |= high(instruction.rmNumber(), REX_B);
        rex |= inOpcode == null ? 0 : high(inOpcode.number(), REX_B);
        Mem mem = instruction.rmMem();
        if (mem != null) {
            Reg<?> base = mem.base();
            Reg<?> index = mem.index();
            require(base);
            require(index);
            rex |= base == null ? 0 : high(base.number(), REX_B);
            rex |= index == null ? 0 : high(index.number(), REX_X);
        }
        Reg8 highByte = null;
        for (Object register : instruction.registers()) {
            require(register);
            if (register instanceof Reg8 byteRegister) {
                rex |= byteRegister.needsRex() ? REX : 0;
                highByte = byteRegister.forbidsRex() ? byteRegister : highByte;
            }
        }
        if (rex != 0 && highByte != null) {
            throw new IllegalArgumentException(
                    highByte
                            + " cannot stand in an instruction with a REX prefix, which 64-bit operands, spl to dil and registers from 8 on need; use al to dl, or shift");
        }
        return rex;
    }

    private static int high(int number, int bit) {
        return number >= 8 ? REX | bit : 0;
    }

    /** Checks that a register exists in this code size. */
    private void require(@Nullable Object register) {
        boolean extended = switch (register) {
            case Reg8 r -> r.needsRex();
            case Reg64 _ -> true;
            case Reg<?> r -> r.number() >= 8;
            case ControlReg r -> r.number() >= 8;
            case Xmm r -> r.number() >= 8;
            case null, default -> false;
        };
        if (extended && mode != Mode.BITS64) {
            throw new IllegalArgumentException(
                    register + " needs 64-bit code, and this is " + mode + "; use a register that " + mode
                            + " has, or switch by mode(BITS64) where the CPU is in long mode");
        }
    }

    private int addressBits(Mem mem) {
        Reg<?> register = mem.base() != null ? mem.base() : mem.index();
        int bits = register == null ? mode.bits() : register.bits();
        if (bits == 16 && mode == Mode.BITS64) {
            throw new IllegalArgumentException(
                    mem + ": 64-bit code has no 16-bit addresses; use a 32- or 64-bit register");
        }
        return bits;
    }

    private void opcode() {
        int opcode = instruction.opcode();
        if (opcode > 0xFFFF) {
            out.write(opcode >> 16);
        }
        if (opcode > 0xFF) {
            out.write(opcode >> 8);
        }
        Reg<?> register = instruction.opcodeReg();
        out.write(opcode + (register == null ? 0 : register.number() & 7));
    }

    private void modRm(int mod, int rm) {
        out.write(mod << 6 | (instruction.regField() & 7) << 3 | (rm & 7));
    }

    /** 16-bit addresses: eight combinations of BX, BP, SI and DI (SDM volume 2A, table 2-1). */
    private void memory16(Mem mem) {
        int rm = rm16(mem);
        if (mem.isFixed()) {
            modRm(0, NO_BASE_16);
            addressField(mem, 2);
            return;
        }
        long displacement = displacement(mem, 16);
        int mod = displacement == 0 && rm != NO_BASE_16 ? 0 : Immediate.fitsSigned(displacement, 8) ? 1 : 2;
        modRm(mod, rm);
        number(displacement, mod);
    }

    private static int rm16(Mem mem) {
        if (mem.isFixed()) {
            return NO_BASE_16;
        }
        if (mem.base() instanceof Reg16 base && mem.scale() == 1) {
            if (mem.index() == null) {
                switch (base) {
                    case SI -> {
                        return 4;
                    }
                    case DI -> {
                        return 5;
                    }
                    case BP -> {
                        return 6;
                    }
                    case BX -> {
                        return 7;
                    }
                    default -> {}
                }
            } else if ((base == Reg16.BX || base == Reg16.BP) && (mem.index() == Reg16.SI || mem.index() == Reg16.DI)) {
                return (base == Reg16.BP ? 2 : 0) + (mem.index() == Reg16.DI ? 1 : 0);
            }
        }
        throw new IllegalArgumentException(
                mem
                        + ": a 16-bit address is bx or bp, plus si or di, or one of these four; use 32-bit registers for others");
    }

    /** 32- and 64-bit addresses (SDM volume 2A, tables 2-2 and 2-3). */
    private void memory(Mem mem) {
        Reg<?> base = mem.base();
        Reg<?> index = mem.index();
        if (index != null && index.number() == SIB) {
            throw new IllegalArgumentException(mem + ": " + index + " cannot be an index; make it the base");
        }
        int indexField = index == null ? SIB : index.number() & 7;
        int sib = Integer.numberOfTrailingZeros(mem.scale()) << 6 | indexField << 3;
        if (base == null) {
            if (index != null) {
                modRm(0, SIB);
                out.write(sib | NO_BASE);
            } else if (mode == Mode.BITS64 && mem.label() == null) {
                // Without a SIB byte the displacement would be relative to the instruction pointer.
                modRm(0, SIB);
                out.write(SIB << 3 | NO_BASE);
            } else {
                modRm(0, NO_BASE);
            }
            addressField(mem, 4);
            return;
        }
        long displacement = displacement(mem, base.bits());
        int low = base.number() & 7;
        int mod = displacement == 0 && low != NO_BASE ? 0 : Immediate.fitsSigned(displacement, 8) ? 1 : 2;
        if (index != null || low == SIB) {
            modRm(mod, SIB);
            out.write(sib | low);
        } else {
            modRm(mod, low);
        }
        number(displacement, mod == 2 ? 4 : mod);
    }

    /** A displacement that stands alone: a fixed address, a label, or the start of an array. */
    private void addressField(Mem mem, int bytes) {
        Label label = mem.label();
        if (label != null) {
            Fixup.Kind kind = mode == Mode.BITS64 ? Fixup.Kind.RELATIVE : Fixup.Kind.ABSOLUTE;
            fixups.add(new Fixup(out.size(), bytes, label, mem.displacement(), kind, 0));
            number(0, bytes);
        } else {
            number(displacement(mem, addressBits(mem)), bytes);
        }
    }

    /** The displacement as a signed number of the address size, of which 64-bit addresses hold 32 bits. */
    private static long displacement(Mem mem, int addressBits) {
        int bits = Math.min(addressBits, 32);
        long lowest = -(1L << (bits - 1));
        long highest = (addressBits == 64 ? 1L << 31 : 1L << bits) - 1;
        long displacement = mem.displacement();
        if (displacement < lowest || displacement > highest) {
            throw new IllegalArgumentException(mem + ": " + Immediate.text(displacement) + " does not fit a "
                    + addressBits
                    + "-bit address; it must be from " + Immediate.text(lowest) + " to " + Immediate.text(highest)
                    + ", or put the address into a register");
        }
        int unused = Long.SIZE - bits;
        return displacement << unused >> unused;
    }

    private void number(long number, int bytes) {
        for (int i = 0; i < bytes; i++) {
            out.write((int) (number >>> (i * Byte.SIZE)));
        }
    }
}
