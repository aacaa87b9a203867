package io.github.jkvm.testkit.asm;

/** The part of {@link Assembler} that controls the processor (SDM volume 1, 5.1.10, 5.1.11 and 5.22). */
abstract sealed class SystemInstructions extends StringInstructions permits DescriptorInstructions {
    SystemInstructions(Mode mode, long origin) {
        super(mode, origin);
    }

    /**
     * Raises an interrupt by its vector, 0 to 255 (SDM volume 2A, INT n). The name of the mnemonic is a word of Java. 3 gives the one-byte
     * form, {@link #int3}.
     */
    public final Assembler interrupt(int vector) {
        if (vector == 3) {
            return int3();
        }
        return emit("int", Encoding.of(0xCD).immediate(unsigned("int", vector, Byte.SIZE), Byte.BYTES), vector);
    }

    /** Raises the breakpoint exception (SDM volume 2A, INT3). */
    public final Assembler int3() {
        return emit("int3", Encoding.of(0xCC));
    }

    /** Raises the overflow exception if the overflow flag is set; not in 64-bit code (SDM volume 2A, INTO). */
    public final Assembler into() {
        return emit("into", notIn64(0xCE, "into"));
    }

    /** Raises the invalid opcode exception (SDM volume 2B, UD). */
    public final Assembler ud2() {
        return emit("ud2", Encoding.of(0x0F0B));
    }

    /** Does nothing (SDM volume 2B, NOP). */
    public final Assembler nop() {
        return emit("nop", Encoding.of(0x90));
    }

    /** Tells the CPU that this loop waits (SDM volume 2B, PAUSE). */
    public final Assembler pause() {
        return emit("pause", Encoding.of(0x90).mandatory(0xF3));
    }

    /** Stops until the next interrupt (SDM volume 2A, HLT). */
    public final Assembler hlt() {
        return emit("hlt", Encoding.of(0xF4));
    }

    /** Turns interrupts off (SDM volume 2A, CLI). */
    public final Assembler cli() {
        return emit("cli", Encoding.of(0xFA));
    }

    /** Turns interrupts on, after the next instruction (SDM volume 2B, STI). */
    public final Assembler sti() {
        return emit("sti", Encoding.of(0xFB));
    }

    /** Makes string instructions go up (SDM volume 2A, CLD). */
    public final Assembler cld() {
        return emit("cld", Encoding.of(0xFC));
    }

    /** Makes string instructions go down (SDM volume 2B, STD). */
    public final Assembler std() {
        return emit("std", Encoding.of(0xFD));
    }

    /** Clears the carry flag (SDM volume 2A, CLC). */
    public final Assembler clc() {
        return emit("clc", Encoding.of(0xF8));
    }

    /** Sets the carry flag (SDM volume 2B, STC). */
    public final Assembler stc() {
        return emit("stc", Encoding.of(0xF9));
    }

    /** Flips the carry flag (SDM volume 2A, CMC). */
    public final Assembler cmc() {
        return emit("cmc", Encoding.of(0xF5));
    }

    /** Copies flags to AH (SDM volume 2A, LAHF). */
    public final Assembler lahf() {
        return emit("lahf", Encoding.of(0x9F));
    }

    /** Copies AH to flags (SDM volume 2B, SAHF). */
    public final Assembler sahf() {
        return emit("sahf", Encoding.of(0x9E));
    }

    /** Asks the processor what it is: leaf in EAX, subleaf in ECX; answers in EAX to EDX (SDM volume 2A, CPUID). */
    public final Assembler cpuid() {
        return emit("cpuid", Encoding.of(0x0FA2));
    }

    /** Reads the model-specific register numbered by ECX into EDX:EAX (SDM volume 2B, RDMSR). */
    public final Assembler rdmsr() {
        return emit("rdmsr", Encoding.of(0x0F32));
    }

    /** Writes EDX:EAX to the model-specific register numbered by ECX (SDM volume 2D, WRMSR). */
    public final Assembler wrmsr() {
        return emit("wrmsr", Encoding.of(0x0F30));
    }

    /** Reads the time-stamp counter into EDX:EAX (SDM volume 2B, RDTSC). */
    public final Assembler rdtsc() {
        return emit("rdtsc", Encoding.of(0x0F31));
    }

    /** Reads the time-stamp counter into EDX:EAX and the processor id into ECX (SDM volume 2B, RDTSCP). */
    public final Assembler rdtscp() {
        return emit("rdtscp", Encoding.of(0x0F01F9));
    }

    /** Reads the performance counter numbered by ECX into EDX:EAX (SDM volume 2B, RDPMC). */
    public final Assembler rdpmc() {
        return emit("rdpmc", Encoding.of(0x0F33));
    }

    /** Reads the extended control register numbered by ECX into EDX:EAX (SDM volume 2D, XGETBV). */
    public final Assembler xgetbv() {
        return emit("xgetbv", Encoding.of(0x0F01D0));
    }

    /** Writes EDX:EAX to the extended control register numbered by ECX (SDM volume 2D, XSETBV). */
    public final Assembler xsetbv() {
        return emit("xsetbv", Encoding.of(0x0F01D1));
    }

    /** Drops the caches (SDM volume 2A, INVD). */
    public final Assembler invd() {
        return emit("invd", Encoding.of(0x0F08));
    }

    /** Writes the caches back and drops them (SDM volume 2D, WBINVD). */
    public final Assembler wbinvd() {
        return emit("wbinvd", Encoding.of(0x0F09));
    }

    /** Clears the task-switched flag in CR0 (SDM volume 2A, CLTS). */
    public final Assembler clts() {
        return emit("clts", Encoding.of(0x0F06));
    }

    /** Orders loads and stores (SDM volume 2B, MFENCE). */
    public final Assembler mfence() {
        return emit("mfence", Encoding.of(0x0FAEF0));
    }

    /** Orders loads (SDM volume 2A, LFENCE). */
    public final Assembler lfence() {
        return emit("lfence", Encoding.of(0x0FAEE8));
    }

    /** Orders stores (SDM volume 2B, SFENCE). */
    public final Assembler sfence() {
        return emit("sfence", Encoding.of(0x0FAEF8));
    }

    /** Calls the hypervisor, on Intel (SDM volume 2D, VMCALL). */
    public final Assembler vmcall() {
        return emit("vmcall", Encoding.of(0x0F01C1));
    }

    /** Calls the hypervisor, on AMD (AMD APM volume 3, VMMCALL). */
    public final Assembler vmmcall() {
        return emit("vmmcall", Encoding.of(0x0F01D9));
    }

    /** Watches the memory at [EAX or RAX] for MWAIT (SDM volume 2B, MONITOR). */
    public final Assembler monitor() {
        return emit("monitor", Encoding.of(0x0F01C8));
    }

    /** Waits for a store to watched memory (SDM volume 2B, MWAIT). */
    public final Assembler mwait() {
        return emit("mwait", Encoding.of(0x0F01C9));
    }

    /** Leaves system-management mode (SDM volume 2B, RSM). */
    public final Assembler rsm() {
        return emit("rsm", Encoding.of(0x0FAA));
    }

    /** Calls the operating system; on Intel in 64-bit code only (SDM volume 2B, SYSCALL). */
    public final Assembler syscall() {
        return emit("syscall", Encoding.of(0x0F05));
    }

    /** Swaps the base of GS with IA32_KERNEL_GS_BASE; in 64-bit code only (SDM volume 2B, SWAPGS). */
    public final Assembler swapgs() {
        return emit("swapgs", onlyIn64(0x0F01F8, "swapgs"));
    }

    /** Calls the operating system by the IA32_SYSENTER registers (SDM volume 2B, SYSENTER). */
    public final Assembler sysenter() {
        return emit("sysenter", Encoding.of(0x0F34));
    }

    /** Returns from an interrupt that a 16-bit gate delivered, and in real mode (SDM volume 2A, IRET). */
    public final Assembler iretw() {
        return emit("iretw", Encoding.of(0xCF).operandBits(16));
    }

    /** Returns from an interrupt that a 32-bit gate delivered (SDM volume 2A, IRET). */
    public final Assembler iretd() {
        return emit("iretd", Encoding.of(0xCF).operandBits(32));
    }

    /** Returns from an interrupt in 64-bit code (SDM volume 2A, IRET). */
    public final Assembler iretq() {
        return emit("iretq", Encoding.of(0xCF).operandBits(64));
    }

    /** Returns to 64-bit code from SYSCALL (SDM volume 2B, SYSRET). */
    public final Assembler sysretq() {
        return emit("sysretq", Encoding.of(0x0F07).operandBits(64));
    }

    /** Returns to 64-bit code from SYSENTER (SDM volume 2B, SYSEXIT). */
    public final Assembler sysexitq() {
        return emit("sysexitq", Encoding.of(0x0F35).operandBits(64));
    }

    /** Returns to 32-bit code from SYSCALL; in 64-bit code only (SDM volume 2B, SYSRET). */
    public final Assembler sysretd() {
        return emit("sysretd", onlyIn64(0x0F07, "sysretd"));
    }

    /** Returns to 32-bit code from SYSENTER (SDM volume 2B, SYSEXIT). */
    public final Assembler sysexitd() {
        return emit("sysexitd", Encoding.of(0x0F35));
    }

    /** Reads a random number; the carry flag tells success (SDM volume 2B, RDRAND). */
    public final <W extends Width.AtLeast16> Assembler rdrand(Reg<W> destination) {
        return emit(
                "rdrand",
                Encoding.of(0x0FC7).operandBits(destination.bits()).digit(6).rm(destination),
                destination);
    }

    private Encoding onlyIn64(int opcode, String text) {
        if (mode() != Mode.BITS64) {
            throw new IllegalArgumentException(
                    text + " needs 64-bit code, and this is " + mode() + "; it needs mode(BITS64)");
        }
        return Encoding.of(opcode);
    }
}
