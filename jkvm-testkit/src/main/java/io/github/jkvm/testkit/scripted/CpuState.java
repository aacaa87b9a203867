package io.github.jkvm.testkit.scripted;

import io.github.jkvm.Bytes;
import io.github.jkvm.HypervisorException;
import io.github.jkvm.x86.CpuidEntry;
import io.github.jkvm.x86.DebugRegisters;
import io.github.jkvm.x86.DescriptorTable;
import io.github.jkvm.x86.FpuState;
import io.github.jkvm.x86.LapicState;
import io.github.jkvm.x86.Msr;
import io.github.jkvm.x86.Registers;
import io.github.jkvm.x86.Segment;
import io.github.jkvm.x86.SpecialRegisters;
import io.github.jkvm.x86.SpecialRegisters2;
import io.github.jkvm.x86.VCpuEvents;
import io.github.jkvm.x86.Xcr;
import io.github.jkvm.x86.XsaveState;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** The registers of a vCPU, which hold what is put into them. They begin as those of an x86 processor do at power-on. */
final class CpuState {
    /** CR0 at power-on: caches off, extension type (SDM volume 3, table 11-1). */
    private static final long CR0_RESET = 0x6000_0010;

    private static final long CR0_NOT_WRITE_THROUGH = 1 << 29;
    private static final long CR0_CACHE_DISABLE = 1 << 30;
    private static final long RESET_CODE_BASE = 0xFFFF_0000L;
    private static final long RESET_IP = 0xFFF0;
    private static final int TYPE_LDT = 2;
    private static final long APIC_BASE_ENABLED = 0xFEE0_0800L;
    private static final long APIC_BASE_BOOT = 0x100;
    private static final int LAPIC_VERSION = 0x30;
    /** Version 0x14 with six entries of the local vector table, as KVM has it. */
    private static final int LAPIC_VERSION_VALUE = 0x5_0014;

    private static final int LVT_MASKED = 1 << 16;
    private static final int SPURIOUS_RESET = 0xFF;
    private static final int ID_SHIFT = 24;
    private static final long DR6_RESET = 0xFFFF_0FF0L;
    private static final long DR7_RESET = 0x400;
    private static final int MOST_CPUID_ENTRIES = 256;

    private Registers registers = Registers.INITIAL.withRip(RESET_IP);
    private SpecialRegisters special;
    private long flags2;
    private List<Long> pageDirectories = Collections.nCopies(4, 0L);
    private FpuState fpu = FpuState.INITIAL;
    private XsaveState xsave = new XsaveState(Bytes.copyOf(new byte[XsaveState.MIN_SIZE]));
    private List<Xcr> xcrs = List.of(new Xcr(0, 1));
    private List<CpuidEntry> cpuid = List.of();
    private LapicState lapic;
    private DebugRegisters debug = new DebugRegisters(Collections.nCopies(4, 0L), DR6_RESET, DR7_RESET, 0);
    private VCpuEvents events = new VCpuEvents(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    private final MsrState msrs = new MsrState();

    /**
     * Creates the state of power-on.
     *
     * @param id number of the vCPU
     * @param role whether it starts the others
     */
    CpuState(int id, Role role) {
        Segment code = new Segment(RESET_CODE_BASE, 0xFFFF, 0xF000, Segment.TYPE_CODE, 1, 0, 0, 1, 0, 0, 0, 0);
        Segment data = Segment.realMode(0, Segment.TYPE_DATA);
        Segment task = new Segment(0, 0xFFFF, 0, Segment.TYPE_BUSY_TSS, 1, 0, 0, 0, 0, 0, 0, 0);
        Segment local = new Segment(0, 0xFFFF, 0, TYPE_LDT, 1, 0, 0, 0, 0, 0, 0, 0);
        var table = new DescriptorTable(0, 0xFFFF);
        long apicBase = APIC_BASE_ENABLED | (role == Role.BOOT ? APIC_BASE_BOOT : 0);
        special = new SpecialRegisters(
                code,
                data,
                data,
                data,
                data,
                data,
                task,
                local,
                table,
                table,
                CR0_RESET,
                0,
                0,
                0,
                0,
                0,
                apicBase,
                Collections.nCopies(4, 0L));
        msrs.put(Msr.APIC_BASE, apicBase);
        lapic = new LapicState(Bytes.copyOf(new byte[LapicState.SIZE]))
                .withRegister(LapicState.ID, id << ID_SHIFT)
                .withRegister(LAPIC_VERSION, LAPIC_VERSION_VALUE)
                .withRegister(LapicState.SPURIOUS_VECTOR, SPURIOUS_RESET)
                .withRegister(LapicState.LVT_LINT0, LVT_MASKED)
                .withRegister(LapicState.LVT_LINT1, LVT_MASKED);
    }

    /** What a vCPU is among the others of its VM. */
    enum Role {
        /** Runs from the beginning. */
        BOOT,
        /** Is started by another. */
        SECONDARY
    }

    Registers registers() {
        return registers;
    }

    void setRegisters(Registers value) {
        registers = value;
    }

    /** Puts a number where {@code rdmsr} puts it: the upper half in EDX, the lower in EAX. */
    void putEdxEax(long value) {
        registers = registers
                .with(Registers.Name.RAX, value & 0xFFFF_FFFFL)
                .with(Registers.Name.RDX, value >>> Integer.SIZE);
    }

    SpecialRegisters special() {
        return special;
    }

    /** Refuses what KVM refuses (Linux, arch/x86/kvm/x86.c, kvm_is_valid_sregs). */
    void setSpecial(SpecialRegisters value) {
        boolean paging = (value.cr0() & SpecialRegisters.CR0_PG) != 0;
        boolean longMode = paging && (value.efer() & SpecialRegisters.EFER_LME) != 0;
        boolean active = (value.efer() & SpecialRegisters.EFER_LMA) != 0;
        boolean valid = longMode
                ? active && (value.cr4() & SpecialRegisters.CR4_PAE) != 0
                : !active && value.cs().l() == 0;
        boolean cacheBits = (value.cr0() & CR0_NOT_WRITE_THROUGH) == 0 || (value.cr0() & CR0_CACHE_DISABLE) != 0;
        if (!valid || !cacheBits || (paging && (value.cr0() & SpecialRegisters.CR0_PE) == 0)) {
            throw new HypervisorException(
                    "special registers refused (cr0 0x%x cr3 0x%x cr4 0x%x efer 0x%x): these fit no mode of the processor: paging needs"
                                    .formatted(value.cr0(), value.cr3(), value.cr4(), value.efer())
                            + " protection, and long mode needs paging and PAE");
        }
        special = value;
        msrs.put(Msr.EFER, value.efer());
        msrs.put(Msr.APIC_BASE, value.apicBase());
    }

    SpecialRegisters2 special2() {
        return new SpecialRegisters2(special, flags2, pageDirectories);
    }

    void setSpecial2(SpecialRegisters2 value) {
        if ((value.flags() & ~SpecialRegisters2.FLAG_PDPTRS_VALID) != 0) {
            throw new HypervisorException("special registers refused: flags 0x" + Long.toHexString(value.flags())
                    + " has bits other than FLAG_PDPTRS_VALID");
        }
        setSpecial(value.registers());
        flags2 = value.flags();
        pageDirectories = value.pdptrs();
    }

    FpuState fpu() {
        return fpu;
    }

    void setFpu(FpuState value) {
        fpu = value;
    }

    XsaveState xsave() {
        return xsave;
    }

    void setXsave(XsaveState value) {
        if (value.data().length() < xsave.data().length()) {
            throw new IllegalArgumentException("xsave area has " + value.data().length() + " bytes; this vCPU's has "
                    + xsave.data().length());
        }
        xsave = value;
    }

    List<Xcr> xcrs() {
        return xcrs;
    }

    void setXcrs(List<Xcr> values) {
        for (Xcr xcr : values) {
            if (xcr.index() != 0 || (xcr.value() & 1) == 0) {
                throw new HypervisorException(xcr + " refused: there is XCR0 only, and its bit 0 is always set");
            }
        }
        if (!values.isEmpty()) {
            xcrs = List.of(values.getLast());
        }
    }

    List<CpuidEntry> cpuid() {
        return cpuid;
    }

    void setCpuid(List<CpuidEntry> entries, Life life) {
        if (entries.size() > MOST_CPUID_ENTRIES) {
            throw new HypervisorException(
                    entries.size() + " CPUID entries; there may be " + MOST_CPUID_ENTRIES + " at most");
        }
        List<CpuidEntry> next = List.copyOf(entries);
        if (life == Life.HAS_RUN && !next.equals(cpuid)) {
            throw new HypervisorException(entries.size()
                    + " CPUID entries refused: the vCPU has run, after which its CPUID may not change; set it before");
        }
        cpuid = next;
    }

    /** Whether a vCPU has run. */
    enum Life {
        /** Not yet. */
        NEW,
        /** It has. */
        HAS_RUN
    }

    LapicState lapic() {
        return lapic;
    }

    void setLapic(LapicState value) {
        lapic = value;
    }

    DebugRegisters debug() {
        return debug;
    }

    void setDebug(DebugRegisters value) {
        if (value.flags() != 0 || value.dr6() >>> Integer.SIZE != 0 || value.dr7() >>> Integer.SIZE != 0) {
            throw new HypervisorException(value + " refused: flags must be 0, and the upper halves of DR6 and DR7 too");
        }
        debug = value;
    }

    VCpuEvents events() {
        return events;
    }

    void setEvents(VCpuEvents value) {
        events = value;
    }

    List<Msr> msrs(List<Integer> indices) {
        List<Msr> result = new ArrayList<>(indices.size());
        for (int index : indices) {
            result.add(new Msr(index, msrs.require(index, result.size(), indices.size())));
        }
        return List.copyOf(result);
    }

    void setMsrs(List<Msr> values) {
        for (int i = 0; i < values.size(); i++) {
            Msr msr = values.get(i);
            msrs.require(msr.index(), i, values.size());
            writeMsr(msr);
        }
    }

    /** Writes a register that is there. */
    void writeMsr(Msr msr) {
        msrs.put(msr.index(), msr.value());
        if (msr.index() == Msr.EFER) {
            special = special.withControl(special.cr0(), special.cr3(), special.cr4(), msr.value());
        } else if (msr.index() == Msr.APIC_BASE) {
            special = withApicBase(special, msr.value());
        }
    }

    private static SpecialRegisters withApicBase(SpecialRegisters s, long base) {
        return new SpecialRegisters(
                s.cs(),
                s.ds(),
                s.es(),
                s.fs(),
                s.gs(),
                s.ss(),
                s.tr(),
                s.ldt(),
                s.gdt(),
                s.idt(),
                s.cr0(),
                s.cr2(),
                s.cr3(),
                s.cr4(),
                s.cr8(),
                s.efer(),
                base,
                s.interruptBitmap());
    }

    MsrState msrs() {
        return msrs;
    }
}
