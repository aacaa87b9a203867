package io.github.jkvm.testkit.asm;

/** The part of {@link Assembler} that controls the processor (SDM volume 1, 5.1.10, 5.1.11 and 5.22). */
abstract sealed class SystemInstructions extends InterruptInstructions permits DescriptorInstructions {
    SystemInstructions(Mode mode, long origin) {
        super(mode, origin);
    }

    /**
     * Does nothing (SDM volume 2B, NOP).
     *
     * @return this
     */
    public final Assembler nop() {
        return emit("nop", Encoding.of(0x90));
    }

    /**
     * Tells the CPU that this loop waits (SDM volume 2B, PAUSE).
     *
     * @return this
     */
    public final Assembler pause() {
        return emit("pause", Encoding.of(0x90).mandatory(0xF3));
    }

    /**
     * Stops until the next interrupt (SDM volume 2A, HLT).
     *
     * @return this
     */
    public final Assembler hlt() {
        return emit("hlt", Encoding.of(0xF4));
    }

    /**
     * Turns interrupts off (SDM volume 2A, CLI).
     *
     * @return this
     */
    public final Assembler cli() {
        return emit("cli", Encoding.of(0xFA));
    }

    /**
     * Turns interrupts on, after the next instruction (SDM volume 2B, STI).
     *
     * @return this
     */
    public final Assembler sti() {
        return emit("sti", Encoding.of(0xFB));
    }

    /**
     * Makes string instructions go up (SDM volume 2A, CLD).
     *
     * @return this
     */
    public final Assembler cld() {
        return emit("cld", Encoding.of(0xFC));
    }

    /**
     * Makes string instructions go down (SDM volume 2B, STD).
     *
     * @return this
     */
    public final Assembler std() {
        return emit("std", Encoding.of(0xFD));
    }

    /**
     * Clears the carry flag (SDM volume 2A, CLC).
     *
     * @return this
     */
    public final Assembler clc() {
        return emit("clc", Encoding.of(0xF8));
    }

    /**
     * Sets the carry flag (SDM volume 2B, STC).
     *
     * @return this
     */
    public final Assembler stc() {
        return emit("stc", Encoding.of(0xF9));
    }

    /**
     * Flips the carry flag (SDM volume 2A, CMC).
     *
     * @return this
     */
    public final Assembler cmc() {
        return emit("cmc", Encoding.of(0xF5));
    }

    /**
     * Copies flags to AH (SDM volume 2A, LAHF).
     *
     * @return this
     */
    public final Assembler lahf() {
        return emit("lahf", Encoding.of(0x9F));
    }

    /**
     * Copies AH to flags (SDM volume 2B, SAHF).
     *
     * @return this
     */
    public final Assembler sahf() {
        return emit("sahf", Encoding.of(0x9E));
    }

    /**
     * Asks the processor what it is: leaf in EAX, subleaf in ECX; answers in EAX to EDX (SDM volume 2A, CPUID).
     *
     * @return this
     */
    public final Assembler cpuid() {
        return emit("cpuid", Encoding.of(0x0FA2));
    }

    /**
     * Reads the model-specific register numbered by ECX into EDX:EAX (SDM volume 2B, RDMSR).
     *
     * @return this
     */
    public final Assembler rdmsr() {
        return emit("rdmsr", Encoding.of(0x0F32));
    }

    /**
     * Writes EDX:EAX to the model-specific register numbered by ECX (SDM volume 2D, WRMSR).
     *
     * @return this
     */
    public final Assembler wrmsr() {
        return emit("wrmsr", Encoding.of(0x0F30));
    }

    /**
     * Reads the time-stamp counter into EDX:EAX (SDM volume 2B, RDTSC).
     *
     * @return this
     */
    public final Assembler rdtsc() {
        return emit("rdtsc", Encoding.of(0x0F31));
    }

    /**
     * Reads the time-stamp counter into EDX:EAX and the processor id into ECX (SDM volume 2B, RDTSCP).
     *
     * @return this
     */
    public final Assembler rdtscp() {
        return emit("rdtscp", Encoding.of(0x0F01F9));
    }

    /**
     * Reads the performance counter numbered by ECX into EDX:EAX (SDM volume 2B, RDPMC).
     *
     * @return this
     */
    public final Assembler rdpmc() {
        return emit("rdpmc", Encoding.of(0x0F33));
    }

    /**
     * Reads the extended control register numbered by ECX into EDX:EAX (SDM volume 2D, XGETBV).
     *
     * @return this
     */
    public final Assembler xgetbv() {
        return emit("xgetbv", Encoding.of(0x0F01D0));
    }

    /**
     * Writes EDX:EAX to the extended control register numbered by ECX (SDM volume 2D, XSETBV).
     *
     * @return this
     */
    public final Assembler xsetbv() {
        return emit("xsetbv", Encoding.of(0x0F01D1));
    }

    /**
     * Drops the caches (SDM volume 2A, INVD).
     *
     * @return this
     */
    public final Assembler invd() {
        return emit("invd", Encoding.of(0x0F08));
    }

    /**
     * Writes the caches back and drops them (SDM volume 2D, WBINVD).
     *
     * @return this
     */
    public final Assembler wbinvd() {
        return emit("wbinvd", Encoding.of(0x0F09));
    }

    /**
     * Clears the task-switched flag in CR0 (SDM volume 2A, CLTS).
     *
     * @return this
     */
    public final Assembler clts() {
        return emit("clts", Encoding.of(0x0F06));
    }

    /**
     * Orders loads and stores (SDM volume 2B, MFENCE).
     *
     * @return this
     */
    public final Assembler mfence() {
        return emit("mfence", Encoding.of(0x0FAEF0));
    }

    /**
     * Orders loads (SDM volume 2A, LFENCE).
     *
     * @return this
     */
    public final Assembler lfence() {
        return emit("lfence", Encoding.of(0x0FAEE8));
    }

    /**
     * Orders stores (SDM volume 2B, SFENCE).
     *
     * @return this
     */
    public final Assembler sfence() {
        return emit("sfence", Encoding.of(0x0FAEF8));
    }

    /**
     * Calls the hypervisor, on Intel (SDM volume 2D, VMCALL).
     *
     * @return this
     */
    public final Assembler vmcall() {
        return emit("vmcall", Encoding.of(0x0F01C1));
    }

    /**
     * Calls the hypervisor, on AMD (AMD APM volume 3, VMMCALL).
     *
     * @return this
     */
    public final Assembler vmmcall() {
        return emit("vmmcall", Encoding.of(0x0F01D9));
    }

    /**
     * Watches the memory at [EAX or RAX] for MWAIT (SDM volume 2B, MONITOR).
     *
     * @return this
     */
    public final Assembler monitor() {
        return emit("monitor", Encoding.of(0x0F01C8));
    }

    /**
     * Waits for a store to watched memory (SDM volume 2B, MWAIT).
     *
     * @return this
     */
    public final Assembler mwait() {
        return emit("mwait", Encoding.of(0x0F01C9));
    }

    /**
     * Leaves system-management mode (SDM volume 2B, RSM).
     *
     * @return this
     */
    public final Assembler rsm() {
        return emit("rsm", Encoding.of(0x0FAA));
    }

    /**
     * Swaps the base of GS with IA32_KERNEL_GS_BASE; in 64-bit code only (SDM volume 2B, SWAPGS).
     *
     * @return this
     */
    public final Assembler swapgs() {
        return emit("swapgs", onlyIn64(0x0F01F8, "swapgs"));
    }

    /**
     * Reads a random number; the carry flag tells success (SDM volume 2B, RDRAND).
     *
     * @param <W> size of the operands
     * @param destination what is changed
     * @return this
     */
    public final <W extends Width.AtLeast16> Assembler rdrand(Reg<W> destination) {
        return emit(
                "rdrand",
                Encoding.of(0x0FC7).operandBits(destination.bits()).digit(6).rm(destination),
                destination);
    }
}
