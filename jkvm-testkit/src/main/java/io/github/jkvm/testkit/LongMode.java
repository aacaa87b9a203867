package io.github.jkvm.testkit;

import io.github.jkvm.GuestMemory;
import io.github.jkvm.testkit.asm.GuestTables;
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
    public static final int CODE_SELECTOR = GuestTables.CODE64_SELECTOR;

    /** Selector of the data segment. */
    public static final int DATA_SELECTOR = GuestTables.DATA_SELECTOR;

    private static final long PML4 = 0x1000;
    private static final long PDPT = 0x2000;
    private static final long PD = 0x3000;
    private static final long GDT = 0x4000;
    private static final long IDT = 0x5000;

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
        memory.writeLong(PML4, PDPT | GuestTables.PAGE);
        memory.writeLong(PDPT, PD | GuestTables.PAGE);
        for (long i = 0; i < 512; i++) {
            memory.writeLong(PD + i * Long.BYTES, (i << 21) | GuestTables.LARGE_PAGE | GuestTables.PAGE);
        }
        memory.writeLong(GDT + CODE_SELECTOR, GuestTables.CODE64);
        memory.writeLong(GDT + DATA_SELECTOR, GuestTables.DATA);
        memory.writeLong(GDT + GuestTables.TSS_SELECTOR, GuestTables.BUSY_TSS);

        Segment data = Segment.flat32(DATA_SELECTOR, Segment.TYPE_DATA);
        vcpu.setSpecialRegisters(vcpu.specialRegisters()
                .withSegments(Segment.code64(CODE_SELECTOR), data)
                .withTr(Segment.taskState(GuestTables.TSS_SELECTOR))
                .withTables(
                        new DescriptorTable(GDT, GuestTables.TSS_SELECTOR + 2 * Long.BYTES - 1),
                        new DescriptorTable(IDT, GuestTables.VECTORS * GuestTables.GATE64_BYTES - 1))
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
        if (vector < 0 || vector >= GuestTables.VECTORS) {
            throw new IllegalArgumentException(
                    "interrupt vector " + vector + " must be from 0 to " + (GuestTables.VECTORS - 1));
        }
        long gate = IDT + (long) vector * GuestTables.GATE64_BYTES;
        memory.writeLong(gate, GuestTables.gate(CODE_SELECTOR, handler));
        memory.writeLong(gate + Long.BYTES, GuestTables.gateHigh(handler));
    }
}
