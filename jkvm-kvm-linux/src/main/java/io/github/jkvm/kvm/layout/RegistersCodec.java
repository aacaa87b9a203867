package io.github.jkvm.kvm.layout;

import static io.github.jkvm.kvm.layout.RegisterStructs.KVM_DTABLE;
import static io.github.jkvm.kvm.layout.RegisterStructs.KVM_SEGMENT;
import static io.github.jkvm.kvm.layout.RegisterStructs.KVM_SREGS;
import static io.github.jkvm.kvm.layout.RegisterStructs.KVM_SREGS2;

import io.github.jkvm.x86.DescriptorTable;
import io.github.jkvm.x86.Registers;
import io.github.jkvm.x86.Segment;
import io.github.jkvm.x86.SpecialRegisters;
import io.github.jkvm.x86.SpecialRegisters2;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

/** {@code struct kvm_regs}, {@code kvm_sregs} and {@code kvm_sregs2} to and from the records of the API. */
public final class RegistersCodec {
    private static final long BASE = KVM_SEGMENT.offset("base");
    private static final long LIMIT = KVM_SEGMENT.offset("limit");
    private static final long SELECTOR = KVM_SEGMENT.offset("selector");
    private static final long TYPE = KVM_SEGMENT.offset("type");
    private static final long PRESENT = KVM_SEGMENT.offset("present");
    private static final long DPL = KVM_SEGMENT.offset("dpl");
    private static final long DB = KVM_SEGMENT.offset("db");
    private static final long S = KVM_SEGMENT.offset("s");
    private static final long L = KVM_SEGMENT.offset("l");
    private static final long G = KVM_SEGMENT.offset("g");
    private static final long AVL = KVM_SEGMENT.offset("avl");
    private static final long UNUSABLE = KVM_SEGMENT.offset("unusable");
    private static final long TABLE_BASE = KVM_DTABLE.offset("base");
    private static final long TABLE_LIMIT = KVM_DTABLE.offset("limit");

    // Both structures begin with the same fields; the test of the layouts sees to it that they do.
    private static final long CS = KVM_SREGS.offset("cs");
    private static final long DS = KVM_SREGS.offset("ds");
    private static final long ES = KVM_SREGS.offset("es");
    private static final long FS = KVM_SREGS.offset("fs");
    private static final long GS = KVM_SREGS.offset("gs");
    private static final long SS = KVM_SREGS.offset("ss");
    private static final long TR = KVM_SREGS.offset("tr");
    private static final long LDT = KVM_SREGS.offset("ldt");
    private static final long GDT = KVM_SREGS.offset("gdt");
    private static final long IDT = KVM_SREGS.offset("idt");
    private static final long CR0 = KVM_SREGS.offset("cr0");
    private static final long CR2 = KVM_SREGS.offset("cr2");
    private static final long CR3 = KVM_SREGS.offset("cr3");
    private static final long CR4 = KVM_SREGS.offset("cr4");
    private static final long CR8 = KVM_SREGS.offset("cr8");
    private static final long EFER = KVM_SREGS.offset("efer");
    private static final long APIC_BASE = KVM_SREGS.offset("apic_base");
    private static final long INTERRUPT_BITMAP = KVM_SREGS.offset("interrupt_bitmap");
    private static final int BITMAP_WORDS = X86Numbers.KVM_NR_INTERRUPTS / Long.SIZE;
    private static final long FLAGS = KVM_SREGS2.offset("flags");
    private static final long PDPTRS = KVM_SREGS2.offset("pdptrs");
    private static final int PDPTR_COUNT = 4;

    private static final int REGISTER_COUNT = Registers.Name.values().length;

    private RegistersCodec() {}

    /**
     * Reads general-purpose registers.
     *
     * @param struct a {@code kvm_regs}, whose order is that of {@link Registers.Name}
     * @return the registers
     */
    public static Registers registers(MemorySegment struct) {
        long[] values = new long[REGISTER_COUNT];
        MemorySegment.copy(struct, ValueLayout.JAVA_LONG, 0, values, 0, values.length);
        return Registers.of(values);
    }

    /**
     * Writes general-purpose registers.
     *
     * @param struct a {@code kvm_regs}
     * @param registers the registers
     */
    public static void write(MemorySegment struct, Registers registers) {
        MemorySegment.copy(registers.toArray(), 0, struct, ValueLayout.JAVA_LONG, 0, REGISTER_COUNT);
    }

    /**
     * Reads special registers.
     *
     * @param struct a {@code kvm_sregs}
     * @return the registers
     */
    public static SpecialRegisters specialRegisters(MemorySegment struct) {
        return specialRegisters(struct, Fields.u64s(struct, INTERRUPT_BITMAP, BITMAP_WORDS));
    }

    /**
     * Writes special registers.
     *
     * @param struct a {@code kvm_sregs}
     * @param registers the registers
     */
    public static void write(MemorySegment struct, SpecialRegisters registers) {
        writeCommon(struct, registers);
        Fields.u64s(struct, INTERRUPT_BITMAP, registers.interruptBitmap());
    }

    /**
     * Reads special registers with page directory pointers.
     *
     * @param struct a {@code kvm_sregs2}
     * @return the registers, with an empty interrupt bitmap
     */
    public static SpecialRegisters2 specialRegisters2(MemorySegment struct) {
        return new SpecialRegisters2(
                specialRegisters(struct, List.of(0L, 0L, 0L, 0L)),
                Fields.u64(struct, FLAGS),
                Fields.u64s(struct, PDPTRS, PDPTR_COUNT));
    }

    /**
     * Writes special registers with page directory pointers.
     *
     * @param struct a {@code kvm_sregs2}
     * @param registers the registers, whose interrupt bitmap has no place there
     */
    public static void write(MemorySegment struct, SpecialRegisters2 registers) {
        writeCommon(struct, registers.registers());
        Fields.u64(struct, FLAGS, registers.flags());
        Fields.u64s(struct, PDPTRS, registers.pdptrs());
    }

    private static SpecialRegisters specialRegisters(MemorySegment struct, List<Long> interruptBitmap) {
        return new SpecialRegisters(
                segment(struct, CS),
                segment(struct, DS),
                segment(struct, ES),
                segment(struct, FS),
                segment(struct, GS),
                segment(struct, SS),
                segment(struct, TR),
                segment(struct, LDT),
                table(struct, GDT),
                table(struct, IDT),
                Fields.u64(struct, CR0),
                Fields.u64(struct, CR2),
                Fields.u64(struct, CR3),
                Fields.u64(struct, CR4),
                Fields.u64(struct, CR8),
                Fields.u64(struct, EFER),
                Fields.u64(struct, APIC_BASE),
                interruptBitmap);
    }

    private static void writeCommon(MemorySegment struct, SpecialRegisters registers) {
        write(struct, CS, registers.cs());
        write(struct, DS, registers.ds());
        write(struct, ES, registers.es());
        write(struct, FS, registers.fs());
        write(struct, GS, registers.gs());
        write(struct, SS, registers.ss());
        write(struct, TR, registers.tr());
        write(struct, LDT, registers.ldt());
        write(struct, GDT, registers.gdt());
        write(struct, IDT, registers.idt());
        Fields.u64(struct, CR0, registers.cr0());
        Fields.u64(struct, CR2, registers.cr2());
        Fields.u64(struct, CR3, registers.cr3());
        Fields.u64(struct, CR4, registers.cr4());
        Fields.u64(struct, CR8, registers.cr8());
        Fields.u64(struct, EFER, registers.efer());
        Fields.u64(struct, APIC_BASE, registers.apicBase());
    }

    private static Segment segment(MemorySegment struct, long at) {
        return new Segment(
                Fields.u64(struct, at + BASE),
                Fields.u32(struct, at + LIMIT),
                Fields.u16(struct, at + SELECTOR),
                Fields.u8(struct, at + TYPE),
                Fields.u8(struct, at + PRESENT),
                Fields.u8(struct, at + DPL),
                Fields.u8(struct, at + DB),
                Fields.u8(struct, at + S),
                Fields.u8(struct, at + L),
                Fields.u8(struct, at + G),
                Fields.u8(struct, at + AVL),
                Fields.u8(struct, at + UNUSABLE));
    }

    private static void write(MemorySegment struct, long at, Segment segment) {
        Fields.u64(struct, at + BASE, segment.base());
        Fields.u32(struct, at + LIMIT, segment.limit());
        Fields.u16(struct, at + SELECTOR, "segment selector", segment.selector());
        Fields.u8(struct, at + TYPE, "segment type", segment.type());
        Fields.u8(struct, at + PRESENT, "segment present", segment.present());
        Fields.u8(struct, at + DPL, "segment dpl", segment.dpl());
        Fields.u8(struct, at + DB, "segment db", segment.db());
        Fields.u8(struct, at + S, "segment s", segment.s());
        Fields.u8(struct, at + L, "segment l", segment.l());
        Fields.u8(struct, at + G, "segment g", segment.g());
        Fields.u8(struct, at + AVL, "segment avl", segment.avl());
        Fields.u8(struct, at + UNUSABLE, "segment unusable", segment.unusable());
    }

    private static DescriptorTable table(MemorySegment struct, long at) {
        return new DescriptorTable(Fields.u64(struct, at + TABLE_BASE), Fields.u16(struct, at + TABLE_LIMIT));
    }

    private static void write(MemorySegment struct, long at, DescriptorTable table) {
        Fields.u64(struct, at + TABLE_BASE, table.base());
        Fields.u16(struct, at + TABLE_LIMIT, "descriptor table limit", table.limit());
    }
}
