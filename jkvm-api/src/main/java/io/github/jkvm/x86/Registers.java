package io.github.jkvm.x86;

/**
 * The general-purpose registers, instruction pointer and flags ({@code struct kvm_regs}).
 *
 * @param rax register RAX
 * @param rbx register RBX
 * @param rcx register RCX
 * @param rdx register RDX
 * @param rsi register RSI
 * @param rdi register RDI
 * @param rsp stack pointer
 * @param rbp register RBP
 * @param r8 register R8
 * @param r9 register R9
 * @param r10 register R10
 * @param r11 register R11
 * @param r12 register R12
 * @param r13 register R13
 * @param r14 register R14
 * @param r15 register R15
 * @param rip instruction pointer
 * @param rflags flags; bit 1 is always set on a real processor
 */
@SuppressWarnings("EnumOrdinal") // the order of Name is that of struct kvm_regs
public record Registers(
        long rax,
        long rbx,
        long rcx,
        long rdx,
        long rsi,
        long rdi,
        long rsp,
        long rbp,
        long r8,
        long r9,
        long r10,
        long r11,
        long r12,
        long r13,
        long r14,
        long r15,
        long rip,
        long rflags) {

    /** All zero but the flag bit that is always set: the start for a guest's first registers. */
    public static final Registers INITIAL = new Registers(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2);

    /** One of the registers, in the order of {@code struct kvm_regs}. */
    public enum Name {
        /** Register RAX. */
        RAX,
        /** Register RBX. */
        RBX,
        /** Register RCX. */
        RCX,
        /** Register RDX. */
        RDX,
        /** Register RSI. */
        RSI,
        /** Register RDI. */
        RDI,
        /** Stack pointer. */
        RSP,
        /** Register RBP. */
        RBP,
        /** Register R8. */
        R8,
        /** Register R9. */
        R9,
        /** Register R10. */
        R10,
        /** Register R11. */
        R11,
        /** Register R12. */
        R12,
        /** Register R13. */
        R13,
        /** Register R14. */
        R14,
        /** Register R15. */
        R15,
        /** Instruction pointer. */
        RIP,
        /** Flags. */
        RFLAGS
    }

    /**
     * Returns registers from their values in the order of {@link Name}.
     *
     * @param values 18 values
     * @return the registers
     * @throws IllegalArgumentException if there are not 18
     */
    public static Registers of(long... values) {
        if (values.length != Name.values().length) {
            throw new IllegalArgumentException(
                    "got " + values.length + " register values; there are " + Name.values().length + " registers");
        }
        return new Registers(
                values[0],
                values[1],
                values[2],
                values[3],
                values[4],
                values[5],
                values[6],
                values[7],
                values[8],
                values[9],
                values[10],
                values[11],
                values[12],
                values[13],
                values[14],
                values[15],
                values[16],
                values[17]);
    }

    /**
     * Returns all values in the order of {@link Name}.
     *
     * @return a new array of 18
     */
    public long[] toArray() {
        return new long[] {rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp, r8, r9, r10, r11, r12, r13, r14, r15, rip, rflags};
    }

    /**
     * Returns one register.
     *
     * @param name which
     * @return its value
     */
    public long get(Name name) {
        return toArray()[name.ordinal()];
    }

    /**
     * Returns the same registers but for one.
     *
     * @param name which
     * @param value its new value
     * @return new registers
     */
    public Registers with(Name name, long value) {
        long[] values = toArray();
        values[name.ordinal()] = value;
        return of(values);
    }

    /**
     * Returns the same registers with another instruction pointer.
     *
     * @param value the new instruction pointer
     * @return new registers
     */
    public Registers withRip(long value) {
        return with(Name.RIP, value);
    }

    /**
     * Returns the same registers with another stack pointer.
     *
     * @param value the new stack pointer
     * @return new registers
     */
    public Registers withRsp(long value) {
        return with(Name.RSP, value);
    }

    /** Returns all registers in hexadecimal, four to a line. */
    @Override
    public String toString() {
        var text = new StringBuilder();
        for (Name name : Name.values()) {
            text.append(String.format("%-6s %016x", name.name().toLowerCase(java.util.Locale.ROOT), get(name)));
            text.append(name.ordinal() % 4 == 3 ? "\n" : "  ");
        }
        return text.toString().stripTrailing();
    }
}
