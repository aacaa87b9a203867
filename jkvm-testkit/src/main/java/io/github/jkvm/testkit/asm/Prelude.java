package io.github.jkvm.testkit.asm;

import static io.github.jkvm.testkit.asm.Mem.dwordPtr;
import static io.github.jkvm.testkit.asm.Mem.mem;

import io.github.jkvm.x86.Msr;
import io.github.jkvm.x86.SpecialRegisters;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * Code that takes a guest from real mode to protected or long mode, run by the guest itself: descriptor table, interrupt table, paging, stack.
 * What follows it in the program runs in the new mode.
 *
 * {@snippet :
 * Assembler a = new Assembler(Mode.BITS16, 0x8000);
 * Label invalidOpcode = a.label("invalid opcode");
 * Prelude.longMode().handler(6, invalidOpcode).writeTo(a);
 * a.ud2().hlt();
 * a.bind(invalidOpcode).mov(AL, 6).out(0x80, AL).hlt();
 * }
 *
 * <p>The vCPU enters at the first byte in real mode, by any CS and IP that mean this address; the other registers do not matter. For long mode the vCPU
 * must have a CPUID that offers it ({@link io.github.jkvm.x86.X86VCpu#setCpuid}), or else writing EFER faults. The program
 * lies below 1 MiB. Interrupts are off after it; a vector without a handler has no gate, so that a surprise ends in a triple fault. SSE is
 * off, as after power-on. Immutable: each setting gives a new prelude.
 */
public final class Prelude {
    /** Where {@link #longMode} puts its page tables if not told: the second page of memory. */
    public static final long PAGE_TABLES = 0x1000;

    /** Where the stack starts, downwards, if not told: above the page tables of the first 1 GiB. */
    public static final long STACK = 0x6000;

    private static final int MOST_GIB = 512;
    private static final int ENTRIES = 512;
    private static final int ENTRY_BYTES = 8;
    private static final int LARGE_PAGE_BYTES = 2 << 20;

    private enum Target {
        PROTECTED_MODE,
        LONG_MODE
    }

    private final Target target;
    private final long stack;
    private final long pageTables;
    private final int gibibytes;
    private final Map<Integer, Label> handlers;

    private Prelude(Target target, long stack, long pageTables, int gibibytes, Map<Integer, Label> handlers) {
        this.target = target;
        this.stack = stack;
        this.pageTables = pageTables;
        this.gibibytes = gibibytes;
        this.handlers = Collections.unmodifiableMap(handlers);
    }

    /**
     * Leads to protected mode: 32-bit flat segments, no paging, the stack at {@link #STACK}.
     *
     * @return the prelude
     */
    public static Prelude protectedMode() {
        return new Prelude(Target.PROTECTED_MODE, STACK, PAGE_TABLES, 1, Map.of());
    }

    /**
     * Leads to long mode: 64-bit code, the first 1 GiB of linear addresses being the same physical ones, the page tables at
     * {@link #PAGE_TABLES}, the stack at {@link #STACK}.
     *
     * @return the prelude
     */
    public static Prelude longMode() {
        return new Prelude(Target.LONG_MODE, STACK, PAGE_TABLES, 1, Map.of());
    }

    /**
     * Sets where the stack starts.
     *
     * @param top first value of the stack pointer, 16 to 0xFFFFFFFF, a multiple of 8
     * @return a prelude with this stack
     * @throws IllegalArgumentException if it is another number
     */
    public Prelude stack(long top) {
        if (top < 16 || top > 0xFFFF_FFFFL || top % 8 != 0) {
            throw new IllegalArgumentException(
                    "stack " + Immediate.text(top) + " must be a multiple of 8 from 0x10 to 0xffffffff");
        }
        return new Prelude(target, top, pageTables, gibibytes, handlers);
    }

    /**
     * Sets how much of the address space long mode maps, each linear address being the same physical one, by pages of 2 MiB. The page tables take
     * 8 KiB and 4 KiB for each GiB.
     *
     * @param gibibytes in GiB, 1 to 512
     * @return a prelude with this mapping
     * @throws IllegalArgumentException if it is another number
     */
    public Prelude identityMap(int gibibytes) {
        if (gibibytes < 1 || gibibytes > MOST_GIB) {
            throw new IllegalArgumentException(
                    "an identity mapping of " + gibibytes + " GiB must be from 1 to " + MOST_GIB);
        }
        return new Prelude(target, stack, pageTables, gibibytes, handlers);
    }

    /**
     * Sets where the page tables of long mode go.
     *
     * @param address guest-physical, a multiple of 4096, from 0 to 0xF0000000
     * @return a prelude with its tables there
     * @throws IllegalArgumentException if it is another number
     */
    public Prelude pageTables(long address) {
        if (address < 0 || address > 0xF000_0000L || address % GuestTables.TABLE_BYTES != 0) {
            throw new IllegalArgumentException("page tables at " + Immediate.text(address)
                    + " must be at a multiple of 4096 from 0 to 0xf0000000");
        }
        return new Prelude(target, stack, address, gibibytes, handlers);
    }

    /**
     * Sets what runs for an interrupt or exception. The handler is code of the mode that the prelude leads to, with interrupts off; it drops the
     * error code if the exception has one, and returns by IRETD or IRETQ.
     *
     * @param vector 0 to 255
     * @param handler a label of the assembler that the prelude is written to
     * @return a prelude with this handler
     * @throws IllegalArgumentException if the vector is out of range
     */
    public Prelude handler(int vector, Label handler) {
        if (vector < 0 || vector >= GuestTables.VECTORS) {
            throw new IllegalArgumentException(
                    "interrupt vector " + vector + " must be from 0 to " + (GuestTables.VECTORS - 1));
        }
        Map<Integer, Label> more = new TreeMap<>(handlers);
        more.put(vector, handler);
        return new Prelude(target, stack, pageTables, gibibytes, more);
    }

    /**
     * Writes the prelude. What is written next runs in the new mode; the assembler's code size is set so.
     *
     * @param a an assembler in 16-bit code; its program must not reach into the page tables or the first bytes of the stack, which
     *     {@link Assembler#assemble} checks
     * @return the assembler
     * @throws IllegalStateException if the assembler is not in 16-bit code
     * @throws IllegalArgumentException if the stack starts inside the page tables
     */
    public Assembler writeTo(Assembler a) {
        if (a.mode() != Mode.BITS16) {
            throw new IllegalStateException("the prelude starts in real mode, and the assembler is in " + a.mode()
                    + "; call mode(BITS16) where the vCPU enters");
        }
        reserve(a);
        Label gdtRegister = a.label("prelude: gdt register");
        Label idtRegister = a.label("prelude: idt register");
        Label flat = a.label("prelude: 32-bit code");
        a.cli().cld();
        // A segment that starts at the register's image reaches it wherever the program lies, and whatever CS is.
        a.movParagraph(Reg16.AX, gdtRegister).mov(SegReg.DS, Reg16.AX).lgdt(mem(0));
        a.mov(Reg32.EAX, ControlReg.CR0).or(Reg32.EAX, SpecialRegisters.CR0_PE).mov(ControlReg.CR0, Reg32.EAX);
        a.jmpFar32(GuestTables.CODE32_SELECTOR, flat);
        tables(a, gdtRegister, idtRegister);

        a.bind(flat).mode(Mode.BITS32);
        a.mov(Reg32.EAX, GuestTables.DATA_SELECTOR);
        for (SegReg segment : List.of(SegReg.DS, SegReg.ES, SegReg.SS, SegReg.FS, SegReg.GS)) {
            a.mov(segment, Reg16.AX);
        }
        a.mov(Reg32.ESP, stack);
        if (target == Target.LONG_MODE) {
            enterLongMode(a);
            a.mov(Reg32.EAX, GuestTables.TSS_SELECTOR).ltr(Reg16.AX);
        }
        return a.lidt(mem(idtRegister));
    }

    private void reserve(Assembler a) {
        a.reserve("the stack's first 16 bytes", stack - 16, stack);
        if (target == Target.LONG_MODE) {
            long end = pageTables + (2L + gibibytes) * GuestTables.TABLE_BYTES;
            if (stack > pageTables && stack <= end) {
                throw new IllegalArgumentException("the stack at " + Immediate.text(stack)
                        + " starts inside the page tables from " + Immediate.text(pageTables) + " to "
                        + Immediate.text(end) + "; move one by stack() or pageTables()");
            }
            a.reserve("the prelude's page tables", pageTables, end);
        }
    }

    /** Page tables, then the order of SDM volume 3, 11.8.5.1: PAE, CR3, LME, PG, far jump. */
    private void enterLongMode(Assembler a) {
        long pdpt = pageTables + GuestTables.TABLE_BYTES;
        long pd = pdpt + GuestTables.TABLE_BYTES;
        a.xor(Reg32.EAX, Reg32.EAX)
                .mov(Reg32.EDI, pageTables)
                .mov(Reg32.ECX, 2L * GuestTables.TABLE_BYTES / Integer.BYTES);
        a.rep().stosd();
        a.mov(dwordPtr(mem(pageTables)), pdpt | GuestTables.PAGE);

        a.mov(Reg32.EDI, pdpt).mov(Reg32.EAX, pd | GuestTables.PAGE).mov(Reg32.ECX, gibibytes);
        Label directory = a.here("prelude: next directory");
        a.mov(mem(Reg32.EDI), Reg32.EAX)
                .add(Reg32.EDI, ENTRY_BYTES)
                .add(Reg32.EAX, GuestTables.TABLE_BYTES)
                .loop(directory);

        a.mov(Reg32.EDI, pd)
                .mov(Reg32.EAX, GuestTables.LARGE_PAGE | GuestTables.PAGE)
                .xor(Reg32.EDX, Reg32.EDX);
        a.mov(Reg32.ECX, (long) gibibytes * ENTRIES);
        Label page = a.here("prelude: next page");
        a.mov(mem(Reg32.EDI), Reg32.EAX)
                .mov(mem(Reg32.EDI, Integer.BYTES), Reg32.EDX)
                .add(Reg32.EDI, ENTRY_BYTES);
        a.add(Reg32.EAX, LARGE_PAGE_BYTES).adc(Reg32.EDX, 0).loop(page);

        a.mov(Reg32.EAX, ControlReg.CR4).or(Reg32.EAX, SpecialRegisters.CR4_PAE).mov(ControlReg.CR4, Reg32.EAX);
        a.mov(Reg32.EAX, pageTables).mov(ControlReg.CR3, Reg32.EAX);
        a.mov(Reg32.ECX, Msr.EFER)
                .rdmsr()
                .or(Reg32.EAX, SpecialRegisters.EFER_LME)
                .wrmsr();
        a.mov(Reg32.EAX, ControlReg.CR0).or(Reg32.EAX, SpecialRegisters.CR0_PG).mov(ControlReg.CR0, Reg32.EAX);
        Label wide = a.label("prelude: 64-bit code");
        a.jmpFar32(GuestTables.CODE64_SELECTOR, wide).bind(wide).mode(Mode.BITS64);
        a.mov(Reg32.ESP, stack);
    }

    /** Descriptor table, task state, interrupt table, and the images of their registers. */
    private void tables(Assembler a, Label gdtRegister, Label idtRegister) {
        Label gdt = a.align(16).here("prelude: gdt");
        Label tss = a.label("prelude: task state");
        a.qwords(0, GuestTables.CODE64, GuestTables.DATA);
        // The base of the segment is spread over its descriptor (SDM volume 3, 8.2.3).
        a.qwordWithPieces(
                GuestTables.AVAILABLE_TSS, List.of(piece(2, 2, tss, 0), piece(4, 1, tss, 16), piece(7, 1, tss, 24)));
        a.qwordWithPieces(0, List.of(piece(0, 4, tss, 32))).qwords(GuestTables.CODE32);
        int gdtBytes = GuestTables.CODE32_SELECTOR + ENTRY_BYTES;
        a.bind(tss).fill(GuestTables.TSS_BYTES, 0);

        Label idt = a.align(16).here("prelude: idt");
        int gates = handlers.keySet().stream().mapToInt(Integer::intValue).max().orElse(-1) + 1;
        for (int vector = 0; vector < gates; vector++) {
            gate(a, handlers.get(vector));
        }
        int gateBytes = target == Target.LONG_MODE ? GuestTables.GATE64_BYTES : GuestTables.GATE32_BYTES;
        // A table of no bytes cannot be told: its limit would be -1. One byte holds no gate either.
        a.align(16).bind(gdtRegister).words(gdtBytes - 1).dword(gdt);
        a.align(16).bind(idtRegister).words(Math.max(0, gates * gateBytes - 1)).qword(idt);
    }

    private void gate(Assembler a, @Nullable Label handler) {
        int selector = target == Target.LONG_MODE ? GuestTables.CODE64_SELECTOR : GuestTables.CODE32_SELECTOR;
        if (handler == null) {
            a.qwords(0);
        } else {
            a.qwordWithPieces(
                    GuestTables.gate(selector, 0), List.of(piece(0, 2, handler, 0), piece(6, 2, handler, 16)));
        }
        if (target == Target.LONG_MODE) {
            a.qwordWithPieces(0, handler == null ? List.of() : List.of(piece(0, 4, handler, 32)));
        }
    }

    private static Fixup piece(int at, int bytes, Label label, int shift) {
        return new Fixup(at, bytes, label, 0, Fixup.Kind.PART, shift);
    }
}
