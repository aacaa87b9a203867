package io.github.jkvm.x86;

import java.util.List;

/**
 * Segments, control registers and descriptor tables ({@code struct kvm_sregs}).
 *
 * @param cs code segment
 * @param ds data segment
 * @param es extra segment
 * @param fs segment FS
 * @param gs segment GS
 * @param ss stack segment
 * @param tr task register
 * @param ldt local descriptor table
 * @param gdt global descriptor table
 * @param idt interrupt descriptor table
 * @param cr0 control register 0
 * @param cr2 control register 2, address of the last page fault
 * @param cr3 control register 3, root of the page tables
 * @param cr4 control register 4
 * @param cr8 control register 8, task priority
 * @param efer extended features (MSR 0xc0000080)
 * @param apicBase base address register of the local APIC (MSR 0x1b)
 * @param interruptBitmap 256 bits in four words: the vector waiting for injection, if any
 */
public record SpecialRegisters(
        Segment cs,
        Segment ds,
        Segment es,
        Segment fs,
        Segment gs,
        Segment ss,
        Segment tr,
        Segment ldt,
        DescriptorTable gdt,
        DescriptorTable idt,
        long cr0,
        long cr2,
        long cr3,
        long cr4,
        long cr8,
        long efer,
        long apicBase,
        List<Long> interruptBitmap) {

    /** CR0: protection enable. */
    public static final long CR0_PE = 1;

    /** CR0: extension type, always set on a real processor. */
    public static final long CR0_ET = 1 << 4;

    /** CR0: paging. */
    public static final long CR0_PG = 1L << 31;

    /** CR4: physical address extension. */
    public static final long CR4_PAE = 1 << 5;

    /** CR4: Intel's virtualization is switched on. */
    public static final long CR4_VMXE = 1 << 13;

    /** EFER: system calls. */
    public static final long EFER_SCE = 1;

    /** EFER: long mode enable. */
    public static final long EFER_LME = 1 << 8;

    /** EFER: long mode active. */
    public static final long EFER_LMA = 1 << 10;

    /** EFER: AMD's virtualization is switched on. */
    public static final long EFER_SVME = 1 << 12;

    /**
     * Checks the parts.
     *
     * @throws IllegalArgumentException if the bitmap has not four words
     */
    public SpecialRegisters {
        interruptBitmap = List.copyOf(interruptBitmap);
        if (interruptBitmap.size() != 4) {
            throw new IllegalArgumentException(
                    "interrupt bitmap has " + interruptBitmap.size() + " words; it must have 4");
        }
    }

    /**
     * Returns the same registers with other code and data segments.
     *
     * @param code the code segment
     * @param data the segment for DS, ES, FS, GS and SS
     * @return new registers
     */
    public SpecialRegisters withSegments(Segment code, Segment data) {
        return new SpecialRegisters(
                code,
                data,
                data,
                data,
                data,
                data,
                tr,
                ldt,
                gdt,
                idt,
                cr0,
                cr2,
                cr3,
                cr4,
                cr8,
                efer,
                apicBase,
                interruptBitmap);
    }

    /**
     * Returns the same registers with another task register.
     *
     * @param value the task state segment
     * @return new registers
     */
    public SpecialRegisters withTr(Segment value) {
        return new SpecialRegisters(
                cs, ds, es, fs, gs, ss, value, ldt, gdt, idt, cr0, cr2, cr3, cr4, cr8, efer, apicBase, interruptBitmap);
    }

    /**
     * Returns the same registers with other descriptor tables.
     *
     * @param newGdt the global descriptor table
     * @param newIdt the interrupt descriptor table
     * @return new registers
     */
    public SpecialRegisters withTables(DescriptorTable newGdt, DescriptorTable newIdt) {
        return new SpecialRegisters(
                cs,
                ds,
                es,
                fs,
                gs,
                ss,
                tr,
                ldt,
                newGdt,
                newIdt,
                cr0,
                cr2,
                cr3,
                cr4,
                cr8,
                efer,
                apicBase,
                interruptBitmap);
    }

    /**
     * Returns the same registers with other control registers.
     *
     * @param newCr0 control register 0
     * @param newCr3 control register 3
     * @param newCr4 control register 4
     * @param newEfer extended features
     * @return new registers
     */
    public SpecialRegisters withControl(long newCr0, long newCr3, long newCr4, long newEfer) {
        return new SpecialRegisters(
                cs,
                ds,
                es,
                fs,
                gs,
                ss,
                tr,
                ldt,
                gdt,
                idt,
                newCr0,
                cr2,
                newCr3,
                newCr4,
                cr8,
                newEfer,
                apicBase,
                interruptBitmap);
    }
}
