package io.github.jkvm.testkit.asm;

/** The part of {@link Assembler} that raises interrupts, calls the operating system, and returns (SDM volume 1, 5.1.7 and 5.22). */
abstract sealed class InterruptInstructions extends StringInstructions permits SystemInstructions {
    InterruptInstructions(Mode mode, long origin) {
        super(mode, origin);
    }

    /**
     * Raises an interrupt by its vector, 0 to 255 (SDM volume 2A, INT n). The name of the mnemonic is a word of Java. 3 gives the one-byte
     * form, {@link #int3}.
     *
     * @param vector the number of the interrupt
     * @return this
     */
    public final Assembler interrupt(int vector) {
        if (vector == 3) {
            return int3();
        }
        return emit("int", Encoding.of(0xCD).immediate(unsigned("int", vector, Byte.SIZE), Byte.BYTES), vector);
    }

    /**
     * Raises the breakpoint exception (SDM volume 2A, INT3).
     *
     * @return this
     */
    public final Assembler int3() {
        return emit("int3", Encoding.of(0xCC));
    }

    /**
     * Raises the overflow exception if the overflow flag is set; not in 64-bit code (SDM volume 2A, INTO).
     *
     * @return this
     */
    public final Assembler into() {
        return emit("into", notIn64(0xCE, "into"));
    }

    /**
     * Raises the invalid opcode exception (SDM volume 2B, UD).
     *
     * @return this
     */
    public final Assembler ud2() {
        return emit("ud2", Encoding.of(0x0F0B));
    }

    /**
     * Calls the operating system; on Intel in 64-bit code only (SDM volume 2B, SYSCALL).
     *
     * @return this
     */
    public final Assembler syscall() {
        return emit("syscall", Encoding.of(0x0F05));
    }

    /**
     * Calls the operating system by the IA32_SYSENTER registers (SDM volume 2B, SYSENTER).
     *
     * @return this
     */
    public final Assembler sysenter() {
        return emit("sysenter", Encoding.of(0x0F34));
    }

    /**
     * Returns from an interrupt that a 16-bit gate delivered, and in real mode (SDM volume 2A, IRET).
     *
     * @return this
     */
    public final Assembler iretw() {
        return emit("iretw", Encoding.of(0xCF).operandBits(16));
    }

    /**
     * Returns from an interrupt that a 32-bit gate delivered (SDM volume 2A, IRET).
     *
     * @return this
     */
    public final Assembler iretd() {
        return emit("iretd", Encoding.of(0xCF).operandBits(32));
    }

    /**
     * Returns from an interrupt in 64-bit code (SDM volume 2A, IRET).
     *
     * @return this
     */
    public final Assembler iretq() {
        return emit("iretq", Encoding.of(0xCF).operandBits(64));
    }

    /**
     * Returns to 64-bit code from SYSCALL (SDM volume 2B, SYSRET).
     *
     * @return this
     */
    public final Assembler sysretq() {
        return emit("sysretq", Encoding.of(0x0F07).operandBits(64));
    }

    /**
     * Returns to 64-bit code from SYSENTER (SDM volume 2B, SYSEXIT).
     *
     * @return this
     */
    public final Assembler sysexitq() {
        return emit("sysexitq", Encoding.of(0x0F35).operandBits(64));
    }

    /**
     * Returns to 32-bit code from SYSCALL; in 64-bit code only (SDM volume 2B, SYSRET).
     *
     * @return this
     */
    public final Assembler sysretd() {
        return emit("sysretd", onlyIn64(0x0F07, "sysretd"));
    }

    /**
     * Returns to 32-bit code from SYSENTER (SDM volume 2B, SYSEXIT).
     *
     * @return this
     */
    public final Assembler sysexitd() {
        return emit("sysexitd", Encoding.of(0x0F35));
    }

    final Encoding onlyIn64(int opcode, String text) {
        if (mode() != Mode.BITS64) {
            throw new IllegalArgumentException(
                    text + " needs 64-bit code, and this is " + mode() + "; it needs mode(BITS64)");
        }
        return Encoding.of(opcode);
    }
}
