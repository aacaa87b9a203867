package io.github.jkvm.testkit.asm;

/** The part of {@link Assembler} for strings of memory and for ports (SDM volume 1, 5.1.8 and 5.1.9). */
abstract sealed class StringInstructions extends FarInstructions permits InterruptInstructions {
    StringInstructions(Mode mode, long origin) {
        super(mode, origin);
    }

    /**
     * Makes the next instruction, a read-modify-write of memory, atomic (SDM volume 2A, LOCK).
     *
     * @return this
     */
    public final Assembler lock() {
        return prefix(Prefix.LOCK);
    }

    /**
     * Repeats the next instruction CX, ECX or RCX times: MOVS, STOS, LODS, INS or OUTS (SDM volume 2B, REP).
     *
     * @return this
     */
    public final Assembler rep() {
        return prefix(Prefix.REP);
    }

    /**
     * Repeats the next instruction, CMPS or SCAS, while equal (SDM volume 2B, REP).
     *
     * @return this
     */
    public final Assembler repe() {
        return prefix(Prefix.REPE);
    }

    /**
     * Repeats the next instruction, CMPS or SCAS, while not equal (SDM volume 2B, REP).
     *
     * @return this
     */
    public final Assembler repne() {
        return prefix(Prefix.REPNE);
    }

    /**
     * Copies 8 bits from [SI] to [DI] and steps on (SDM volume 2B, MOVS).
     *
     * @return this
     */
    public final Assembler movsb() {
        return emit("movsb", Encoding.sized(0xA4, 8).allow(Encoding.Allowed.REP));
    }

    /**
     * Copies 16 bits from [SI] to [DI] and steps on (SDM volume 2B, MOVS).
     *
     * @return this
     */
    public final Assembler movsw() {
        return emit("movsw", Encoding.sized(0xA4, 16).allow(Encoding.Allowed.REP));
    }

    /**
     * Copies 32 bits from [SI] to [DI] and steps on (SDM volume 2B, MOVS).
     *
     * @return this
     */
    public final Assembler movsd() {
        return emit("movsd", Encoding.sized(0xA4, 32).allow(Encoding.Allowed.REP));
    }

    /**
     * Copies 64 bits from [SI] to [DI] and steps on (SDM volume 2B, MOVS).
     *
     * @return this
     */
    public final Assembler movsq() {
        return emit("movsq", Encoding.sized(0xA4, 64).allow(Encoding.Allowed.REP));
    }

    /**
     * Compares 8 bits at [SI] with [DI] and steps on (SDM volume 2A, CMPS).
     *
     * @return this
     */
    public final Assembler cmpsb() {
        return emit("cmpsb", Encoding.sized(0xA6, 8).allow(Encoding.Allowed.REPE_OR_REPNE));
    }

    /**
     * Compares 16 bits at [SI] with [DI] and steps on (SDM volume 2A, CMPS).
     *
     * @return this
     */
    public final Assembler cmpsw() {
        return emit("cmpsw", Encoding.sized(0xA6, 16).allow(Encoding.Allowed.REPE_OR_REPNE));
    }

    /**
     * Compares 32 bits at [SI] with [DI] and steps on (SDM volume 2A, CMPS).
     *
     * @return this
     */
    public final Assembler cmpsd() {
        return emit("cmpsd", Encoding.sized(0xA6, 32).allow(Encoding.Allowed.REPE_OR_REPNE));
    }

    /**
     * Compares 64 bits at [SI] with [DI] and steps on (SDM volume 2A, CMPS).
     *
     * @return this
     */
    public final Assembler cmpsq() {
        return emit("cmpsq", Encoding.sized(0xA6, 64).allow(Encoding.Allowed.REPE_OR_REPNE));
    }

    /**
     * Stores 8 bits of the accumulator at [DI] and steps on (SDM volume 2B, STOS).
     *
     * @return this
     */
    public final Assembler stosb() {
        return emit("stosb", Encoding.sized(0xAA, 8).allow(Encoding.Allowed.REP));
    }

    /**
     * Stores 16 bits of the accumulator at [DI] and steps on (SDM volume 2B, STOS).
     *
     * @return this
     */
    public final Assembler stosw() {
        return emit("stosw", Encoding.sized(0xAA, 16).allow(Encoding.Allowed.REP));
    }

    /**
     * Stores 32 bits of the accumulator at [DI] and steps on (SDM volume 2B, STOS).
     *
     * @return this
     */
    public final Assembler stosd() {
        return emit("stosd", Encoding.sized(0xAA, 32).allow(Encoding.Allowed.REP));
    }

    /**
     * Stores 64 bits of the accumulator at [DI] and steps on (SDM volume 2B, STOS).
     *
     * @return this
     */
    public final Assembler stosq() {
        return emit("stosq", Encoding.sized(0xAA, 64).allow(Encoding.Allowed.REP));
    }

    /**
     * Loads 8 bits from [SI] into the accumulator and steps on (SDM volume 2A, LODS).
     *
     * @return this
     */
    public final Assembler lodsb() {
        return emit("lodsb", Encoding.sized(0xAC, 8).allow(Encoding.Allowed.REP));
    }

    /**
     * Loads 16 bits from [SI] into the accumulator and steps on (SDM volume 2A, LODS).
     *
     * @return this
     */
    public final Assembler lodsw() {
        return emit("lodsw", Encoding.sized(0xAC, 16).allow(Encoding.Allowed.REP));
    }

    /**
     * Loads 32 bits from [SI] into the accumulator and steps on (SDM volume 2A, LODS).
     *
     * @return this
     */
    public final Assembler lodsd() {
        return emit("lodsd", Encoding.sized(0xAC, 32).allow(Encoding.Allowed.REP));
    }

    /**
     * Loads 64 bits from [SI] into the accumulator and steps on (SDM volume 2A, LODS).
     *
     * @return this
     */
    public final Assembler lodsq() {
        return emit("lodsq", Encoding.sized(0xAC, 64).allow(Encoding.Allowed.REP));
    }

    /**
     * Compares 8 bits of the accumulator with [DI] and steps on (SDM volume 2B, SCAS).
     *
     * @return this
     */
    public final Assembler scasb() {
        return emit("scasb", Encoding.sized(0xAE, 8).allow(Encoding.Allowed.REPE_OR_REPNE));
    }

    /**
     * Compares 16 bits of the accumulator with [DI] and steps on (SDM volume 2B, SCAS).
     *
     * @return this
     */
    public final Assembler scasw() {
        return emit("scasw", Encoding.sized(0xAE, 16).allow(Encoding.Allowed.REPE_OR_REPNE));
    }

    /**
     * Compares 32 bits of the accumulator with [DI] and steps on (SDM volume 2B, SCAS).
     *
     * @return this
     */
    public final Assembler scasd() {
        return emit("scasd", Encoding.sized(0xAE, 32).allow(Encoding.Allowed.REPE_OR_REPNE));
    }

    /**
     * Compares 64 bits of the accumulator with [DI] and steps on (SDM volume 2B, SCAS).
     *
     * @return this
     */
    public final Assembler scasq() {
        return emit("scasq", Encoding.sized(0xAE, 64).allow(Encoding.Allowed.REPE_OR_REPNE));
    }

    /**
     * Reads 8 bits from port DX to [DI] and steps on (SDM volume 2A, INS).
     *
     * @return this
     */
    public final Assembler insb() {
        return emit("insb", Encoding.sized(0x6C, 8).allow(Encoding.Allowed.REP));
    }

    /**
     * Reads 16 bits from port DX to [DI] and steps on (SDM volume 2A, INS).
     *
     * @return this
     */
    public final Assembler insw() {
        return emit("insw", Encoding.sized(0x6C, 16).allow(Encoding.Allowed.REP));
    }

    /**
     * Reads 32 bits from port DX to [DI] and steps on (SDM volume 2A, INS).
     *
     * @return this
     */
    public final Assembler insd() {
        return emit("insd", Encoding.sized(0x6C, 32).allow(Encoding.Allowed.REP));
    }

    /**
     * Writes 8 bits from [SI] to port DX and steps on (SDM volume 2B, OUTS).
     *
     * @return this
     */
    public final Assembler outsb() {
        return emit("outsb", Encoding.sized(0x6E, 8).allow(Encoding.Allowed.REP));
    }

    /**
     * Writes 16 bits from [SI] to port DX and steps on (SDM volume 2B, OUTS).
     *
     * @return this
     */
    public final Assembler outsw() {
        return emit("outsw", Encoding.sized(0x6E, 16).allow(Encoding.Allowed.REP));
    }

    /**
     * Writes 32 bits from [SI] to port DX and steps on (SDM volume 2B, OUTS).
     *
     * @return this
     */
    public final Assembler outsd() {
        return emit("outsd", Encoding.sized(0x6E, 32).allow(Encoding.Allowed.REP));
    }

    /**
     * Reads a port from 0 to 255 into AL, AX or EAX (SDM volume 2A, IN); higher ports go through DX.
     *
     * @param <W> size of the operands
     * @param accumulator AL, AX or EAX
     * @param port the port
     * @return this
     */
    public final <W extends Width> Assembler in(Reg<W> accumulator, int port) {
        return emit(
                "in",
                port("in", 0xE4, accumulator).immediate(unsigned("in", port, Byte.SIZE), Byte.BYTES),
                accumulator,
                port);
    }

    /**
     * Reads the port numbered by DX into AL, AX or EAX (SDM volume 2A, IN).
     *
     * @param <W> size of the operands
     * @param accumulator AL, AX or EAX
     * @param port the port
     * @return this
     */
    public final <W extends Width> Assembler in(Reg<W> accumulator, Reg16 port) {
        requireDx("in", port);
        return emit("in", port("in", 0xEC, accumulator), accumulator, port);
    }

    /**
     * Writes AL, AX or EAX to a port from 0 to 255 (SDM volume 2B, OUT); higher ports go through DX.
     *
     * @param <W> size of the operands
     * @param port the port
     * @param accumulator AL, AX or EAX
     * @return this
     */
    public final <W extends Width> Assembler out(int port, Reg<W> accumulator) {
        return emit(
                "out",
                port("out", 0xE6, accumulator).immediate(unsigned("out", port, Byte.SIZE), Byte.BYTES),
                port,
                accumulator);
    }

    /**
     * Writes AL, AX or EAX to the port numbered by DX (SDM volume 2B, OUT).
     *
     * @param <W> size of the operands
     * @param port the port
     * @param accumulator AL, AX or EAX
     * @return this
     */
    public final <W extends Width> Assembler out(Reg16 port, Reg<W> accumulator) {
        requireDx("out", port);
        return emit("out", port("out", 0xEE, accumulator), port, accumulator);
    }

    private static Encoding port(String mnemonic, int opcode, Reg<?> accumulator) {
        if (accumulator.number() != 0 || accumulator.bits() == 64) {
            throw new IllegalArgumentException(
                    mnemonic + " with " + accumulator + ": ports move to and from al, ax and eax only");
        }
        return Encoding.sized(opcode, accumulator.bits());
    }

    private static void requireDx(String mnemonic, Reg16 port) {
        if (port != Reg16.DX) {
            throw new IllegalArgumentException(
                    mnemonic + " with port " + port + ": a port in a register must be in dx; move it there");
        }
    }
}
