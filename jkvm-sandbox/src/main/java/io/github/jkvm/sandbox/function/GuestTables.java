package io.github.jkvm.sandbox.function;

import io.github.jkvm.x86.DescriptorTable;
import io.github.jkvm.x86.Registers;
import io.github.jkvm.x86.Segment;
import io.github.jkvm.x86.SpecialRegisters;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * The tables that keep a guest in its place, and the registers that it begins with.
 *
 * <p>The guest is a user of its processor, at privilege level 3: it can't change these tables, control registers or model-specific registers, and the
 * processor itself holds it to the rights of its pages. An exception makes the processor run a {@code hlt} at level 0, which is how the host learns which it
 * was. Numbers are those of the Intel SDM, volume 3.
 *
 * <p>A user may use ports by the I/O privilege level in its flags or by the map of ports in its task state. The doorbell is allowed by both, as each has
 * hosts that know only the other: KVM with PVM runs users with a level of its own, and QEMU's software processor does not look at the map of a task
 * state that is in use. What else the level allows, {@link KvmGuest} takes for a crash, as anything that is not the doorbell.
 */
final class GuestTables {
    /** The port where the guest rings, as jkvm-sandbox.S has it. */
    static final int DOORBELL = 0x10;

    private static final ValueLayout.OfLong WORD = ValueLayout.JAVA_LONG_UNALIGNED;

    // 5.5.4: entries of page tables.
    private static final long PRESENT = 1;
    private static final long WRITABLE = 1 << 1;
    private static final long USER = 1 << 2;
    private static final long LARGE = 1 << 7;
    private static final long NO_EXECUTE = 1L << 63;

    // 2.5: control registers.
    private static final long CR0_MP = 1 << 1;
    private static final long CR0_NE = 1 << 5;
    private static final long CR0_WP = 1 << 16;
    private static final long CR4_OSFXSR = 1 << 9;
    private static final long CR4_OSXMMEXCPT = 1 << 10;
    private static final long EFER_NXE = 1 << 11;

    /** Flags: bit 1 is always set; I/O privilege level 3. */
    private static final long RFLAGS = 1 << 1 | 3 << 12;

    // 3.4.5: flat segments, present and accessed.
    private static final long SYSTEM_CODE = 0x00AF_9B00_0000_FFFFL;
    private static final long SYSTEM_DATA = 0x00CF_9300_0000_FFFFL;
    private static final long USER_DATA = 0x00CF_F300_0000_FFFFL;
    private static final long USER_CODE = 0x00AF_FB00_0000_FFFFL;
    private static final int SYSTEM_CODE_SELECTOR = 0x08;
    private static final int USER_DATA_SELECTOR = 0x18 | 3;
    private static final int USER_CODE_SELECTOR = 0x20 | 3;
    private static final int TASK_SELECTOR = 0x28;
    private static final long[] DESCRIPTORS = {0, SYSTEM_CODE, SYSTEM_DATA, USER_DATA, USER_CODE};

    /** How many exceptions there are (7.3.1), and the size of a gate (7.14.1). */
    private static final int VECTORS = 32;

    private static final int GATE_BYTES = 16;
    private static final long INTERRUPT_GATE = 0x8E00;
    private static final byte HLT = (byte) 0xF4;

    // Places in the system's page.
    private static final int STUBS = 0x100;
    private static final int GATES = 0x200;

    // 8.7: places in a task state.
    private static final int TASK_RSP0 = 4;
    private static final int TASK_IO_MAP = 102;
    private static final int TASK_BYTES = 104;

    /**
     * Volume 1, 19.5.2: a bit for each port, set where the guest may not use it, and a byte of ones behind the last. Ports beyond the map are not for the
     * guest.
     */
    private static final byte[] IO_MAP = ioMap();

    private static final int TASK_LIMIT = TASK_BYTES + IO_MAP.length - 1;

    private final MemoryPlan plan;
    private final MemorySegment memory;
    private final long noExecute;
    private long nextTable;

    /**
     * Creates it.
     *
     * @param plan where things go
     * @param memory the guest's memory
     * @param noExecute whether the processor can keep the guest from running data
     */
    GuestTables(MemoryPlan plan, MemorySegment memory, boolean noExecute) {
        this.plan = plan;
        this.memory = memory;
        this.noExecute = noExecute ? NO_EXECUTE : 0;
        this.nextTable = plan.tables();
    }

    private static byte[] ioMap() {
        byte[] map = new byte[DOORBELL / Byte.SIZE + 2];
        Arrays.fill(map, (byte) -1);
        map[DOORBELL / Byte.SIZE] ^= (byte) (1 << DOORBELL % Byte.SIZE);
        return map;
    }

    private void put(long address, long value) {
        memory.set(WORD, address - GuestImage.BASE, value);
    }

    private long get(long address) {
        return memory.get(WORD, address - GuestImage.BASE);
    }

    /** Writes all tables for a program. */
    void write(GuestImage image) {
        nextTable += GuestImage.PAGE;
        for (GuestImage.Part part : image.parts()) {
            map(
                    part.address(),
                    GuestImage.pageEnd(part.end()),
                    USER | (part.writable() ? WRITABLE : 0) | (part.executable() ? 0 : noExecute));
        }
        map(plan.typesStart(), plan.heapStart(), USER | noExecute);
        map(plan.heapStart(), plan.heapEnd(), USER | WRITABLE | noExecute);
        for (int i = 0; i < plan.processors(); i++) {
            map(plan.guard(i) + GuestImage.PAGE, plan.page(i) + plan.messageBytes(), USER | WRITABLE | noExecute);
        }
        map(plan.system(), plan.system() + GuestImage.PAGE, 0);
        map(plan.system() + GuestImage.PAGE, plan.tables(), WRITABLE | noExecute);
        writeSystem();
        for (int i = 0; i < plan.processors(); i++) {
            // Exceptions are put below it.
            put(plan.task(i) + TASK_RSP0, plan.task(i) + MemoryPlan.TASK_BYTES);
            long task = plan.task(i) - GuestImage.BASE;
            memory.set(ValueLayout.JAVA_SHORT_UNALIGNED, task + TASK_IO_MAP, (short) TASK_BYTES);
            MemorySegment.copy(IO_MAP, 0, memory, ValueLayout.JAVA_BYTE, task + TASK_BYTES, IO_MAP.length);
        }
    }

    private void writeSystem() {
        for (int i = 0; i < DESCRIPTORS.length; i++) {
            put(plan.system() + (long) i * Long.BYTES, DESCRIPTORS[i]);
        }
        for (int vector = 0; vector < VECTORS; vector++) {
            long stub = plan.system() + STUBS + vector;
            memory.set(ValueLayout.JAVA_BYTE, stub - GuestImage.BASE, HLT);
            long gate = plan.system() + GATES + (long) vector * GATE_BYTES;
            put(
                    gate,
                    (stub & 0xFFFF)
                            | (long) SYSTEM_CODE_SELECTOR << 16
                            | INTERRUPT_GATE << 32
                            | (stub & 0xFFFF_0000L) << 32);
        }
    }

    private void map(long from, long to, long rights) {
        long address = from;
        while (address < to) {
            boolean large = address % MemoryPlan.LARGE_PAGE == 0 && to - address >= MemoryPlan.LARGE_PAGE;
            // Rights are those of the last level: those above allow everything.
            long directory = below(below(plan.tables(), address, 39), address, 30);
            if (large) {
                put(entry(directory, address, 21), address | PRESENT | LARGE | rights);
                address += MemoryPlan.LARGE_PAGE;
            } else {
                put(entry(below(directory, address, 21), address, 12), address | PRESENT | rights);
                address += GuestImage.PAGE;
            }
        }
    }

    private static long entry(long table, long address, int shift) {
        return table + (address >>> shift & 511) * Long.BYTES;
    }

    private long below(long table, long address, int shift) {
        long entry = entry(table, address, shift);
        long value = get(entry);
        if (value == 0) {
            value = nextTable | PRESENT | WRITABLE | USER;
            nextTable += GuestImage.PAGE;
            put(entry, value);
        }
        return value & -GuestImage.PAGE;
    }

    /** Which exception the host was told of by a {@code hlt}, if it was one. */
    int vector(long rip) {
        long vector = rip - 1 - plan.system() - STUBS;
        return vector >= 0 && vector < VECTORS ? (int) vector : -1;
    }

    /** Returns the registers that a processor begins with. */
    Registers registers(int processor, long entry) {
        return Registers.INITIAL.withRip(entry).withRsp(plan.page(processor)).with(Registers.Name.RFLAGS, RFLAGS);
    }

    /** Returns the special registers that a processor begins with. */
    SpecialRegisters specialRegisters(int processor, SpecialRegisters old) {
        Segment code = user(0, USER_CODE_SELECTOR, Segment.TYPE_CODE, 0, 1);
        Segment data = user(0, USER_DATA_SELECTOR, Segment.TYPE_DATA, 1, 0);
        // Where the guest finds its call page.
        Segment page = user(plan.page(processor), USER_DATA_SELECTOR, Segment.TYPE_DATA, 1, 0);
        var task = new Segment(
                plan.task(processor), TASK_LIMIT, TASK_SELECTOR, Segment.TYPE_BUSY_TSS, 1, 0, 0, 0, 0, 0, 0, 0);
        return new SpecialRegisters(
                code,
                data,
                data,
                data,
                page,
                data,
                task,
                old.ldt(),
                new DescriptorTable(plan.system(), DESCRIPTORS.length * Long.BYTES - 1),
                new DescriptorTable(plan.system() + GATES, VECTORS * GATE_BYTES - 1),
                SpecialRegisters.CR0_PE | CR0_MP | SpecialRegisters.CR0_ET | CR0_NE | CR0_WP | SpecialRegisters.CR0_PG,
                0,
                plan.tables(),
                SpecialRegisters.CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT,
                0,
                SpecialRegisters.EFER_LME | SpecialRegisters.EFER_LMA | (noExecute == 0 ? 0 : EFER_NXE),
                old.apicBase(),
                old.interruptBitmap());
    }

    private static Segment user(long base, int selector, int type, int db, int l) {
        return new Segment(base, -1, selector, type, 1, 3, db, 1, l, 1, 0, 0);
    }
}
