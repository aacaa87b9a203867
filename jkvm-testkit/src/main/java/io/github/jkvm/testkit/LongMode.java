package io.github.jkvm.testkit;

import io.github.jkvm.GuestMemory;
import io.github.jkvm.x86.DescriptorTable;
import io.github.jkvm.x86.Registers;
import io.github.jkvm.x86.Segment;
import io.github.jkvm.x86.SpecialRegisters;
import io.github.jkvm.x86.X86VCpu;

/**
 * What a test guest needs before its first 64-bit instruction: page tables, a descriptor table and an interrupt table, placed in low guest
 * memory by the host, and a vCPU set to run there.
 *
 * <p>The guest's address space is the first 1 GiB, each linear address being the same physical one. Its memory must reach to at least
 * {@link #FREE}; code, data and stack go from there on.
 */
public final class LongMode {
    /** First guest-physical address that the tables leave free. */
    public static final long FREE = 0x6000;

    /** Selector of the code segment. */
    public static final int CODE_SELECTOR = 0x08;

    /** Selector of the data segment. */
    public static final int DATA_SELECTOR = 0x10;

    private static final int TSS_SELECTOR = 0x18;
    private static final long PML4 = 0x1000;
    private static final long PDPT = 0x2000;
    private static final long PD = 0x3000;
    private static final long GDT = 0x4000;
    private static final long IDT = 0x5000;
    private static final int VECTORS = 256;
    private static final int GATE_BYTES = 16;
    /** Present and writable (SDM volume 3, 5.5.4). */
    private static final long PAGE = 0b11;
    /** The entry maps a 2 MiB page instead of pointing to a table. */
    private static final long LARGE = 1 << 7;
    /** Present, privilege level 0, 64-bit interrupt gate (SDM volume 3, 7.14.1). */
    private static final long INTERRUPT_GATE = 0x8E00;

    private LongMode() {}

    /**
     * Writes the tables and sets the vCPU to start in 64-bit mode, with interrupts off.
     *
     * @param vcpu a vCPU that has not run
     * @param memory the guest's memory, from 0 to at least {@link #FREE}
     * @param entry address of the first instruction, below 1 GiB
     * @param stack initial stack pointer, below 1 GiB
     * @throws io.github.jkvm.GuestMemoryException if there is not enough memory
     */
    public static void enter(X86VCpu vcpu, GuestMemory memory, long entry, long stack) {
        memory.fill(PML4, FREE - PML4, (byte) 0);
        memory.writeLong(PML4, PDPT | PAGE);
        memory.writeLong(PDPT, PD | PAGE);
        for (long i = 0; i < 512; i++) {
            memory.writeLong(PD + i * Long.BYTES, (i << 21) | LARGE | PAGE);
        }
        memory.writeLong(GDT + CODE_SELECTOR, 0x00AF_9B00_0000_FFFFL);
        memory.writeLong(GDT + DATA_SELECTOR, 0x00CF_9300_0000_FFFFL);
        memory.writeLong(GDT + TSS_SELECTOR, 0x0000_8B00_0000_0067L);

        Segment data = Segment.flat32(DATA_SELECTOR, Segment.TYPE_DATA);
        vcpu.setSpecialRegisters(vcpu.specialRegisters()
                .withSegments(Segment.code64(CODE_SELECTOR), data)
                .withTr(Segment.taskState(TSS_SELECTOR))
                .withTables(
                        new DescriptorTable(GDT, TSS_SELECTOR + 2 * Long.BYTES - 1),
                        new DescriptorTable(IDT, VECTORS * GATE_BYTES - 1))
                .withControl(
                        SpecialRegisters.CR0_PE | SpecialRegisters.CR0_ET | SpecialRegisters.CR0_PG,
                        PML4,
                        SpecialRegisters.CR4_PAE,
                        SpecialRegisters.EFER_LME | SpecialRegisters.EFER_LMA));
        vcpu.setRegisters(Registers.INITIAL.withRip(entry).withRsp(stack));
    }

    /**
     * Sets what the guest runs for an interrupt or exception. To be called after {@link #enter}, which clears the table.
     *
     * @param memory the guest's memory
     * @param vector 0 to 255
     * @param handler address of its first instruction, below 1 GiB
     * @throws IllegalArgumentException if the vector is out of range
     */
    public static void setHandler(GuestMemory memory, int vector, long handler) {
        if (vector < 0 || vector >= VECTORS) {
            throw new IllegalArgumentException("interrupt vector " + vector + " must be from 0 to " + (VECTORS - 1));
        }
        long gate = IDT + (long) vector * GATE_BYTES;
        memory.writeLong(
                gate,
                (handler & 0xFFFF)
                        | ((long) CODE_SELECTOR << 16)
                        | (INTERRUPT_GATE << 32)
                        | ((handler & 0xFFFF_0000L) << 32));
        memory.writeLong(gate + Long.BYTES, handler >>> 32);
    }
}
