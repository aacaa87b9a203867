package io.github.jkvm.machine.boot;

import io.github.jkvm.GuestMemory;
import io.github.jkvm.x86.DescriptorTable;
import java.util.Optional;

/**
 * The processor tables that a 32- or 64-bit entry needs: descriptors that stay valid when the kernel reloads a segment register, and page
 * tables that map the first 4 GiB one to one (boot.rst, "64-bit Boot Protocol").
 *
 * @param mode the mode of the entry, not real mode
 * @param descriptors where the descriptor table goes
 * @param pageTables where the page tables go, if the mode needs them
 */
record BootTables(EntryMode mode, GuestRange descriptors, Optional<GuestRange> pageTables) {
    /** Selector of the code segment; boot.rst calls it {@code __BOOT_CS}. */
    static final int CODE_SELECTOR = 0x10;

    /** Selector of the data segment; boot.rst calls it {@code __BOOT_DS}. */
    static final int DATA_SELECTOR = 0x18;

    /** Selector of the task state segment. */
    static final int TASK_SELECTOR = 0x20;

    /** Size of the descriptor table: two unused, code, data, and a task state segment, which takes two in long mode. */
    private static final int DESCRIPTORS_SIZE = 6 * Long.BYTES;

    private static final int PAGE = 4096;
    private static final int ENTRIES = PAGE / Long.BYTES;
    private static final long LARGE_PAGE = 2L << 20;
    private static final int GIGABYTES = 4;

    /** Size of the page tables: one root, one table of gigabytes, and one of 2 MiB pages for each of the first four. */
    private static final int PAGE_TABLES_SIZE = (2 + GIGABYTES) * PAGE;

    /* Descriptors with base 0 and limit 4 GiB - 1 (Intel SDM volume 3, 3.4.5): access byte and flags differ. */
    private static final long FLAT = 0x00CF_0000_0000_FFFFL;
    private static final long CODE_32 = FLAT | 0x9BL << 40;
    private static final long CODE_64 = 0x00AF_0000_0000_FFFFL | 0x9BL << 40;
    private static final long DATA = FLAT | 0x93L << 40;
    private static final long TASK = 0x8BL << 40 | 0x67;

    /* Page table bits (Intel SDM volume 3, 4.5): present, writable; PS makes an entry of the third level a 2 MiB page. */
    private static final long PRESENT_WRITABLE = 3;
    private static final long PAGE_SIZE_BIT = 1 << 7;

    /** Finds room for what a mode needs: descriptors for 32 and 64 bits, page tables for 64. */
    static BootTables plan(GuestLayout layout, EntryMode mode) {
        return new BootTables(
                mode,
                layout.lowest("descriptor table", DESCRIPTORS_SIZE, Long.BYTES),
                mode == EntryMode.LONG64
                        ? Optional.of(layout.lowest("page tables", PAGE_TABLES_SIZE, PAGE))
                        : Optional.empty());
    }

    /** Writes all tables. */
    void write(GuestMemory memory) {
        long[] words = {0, 0, mode == EntryMode.LONG64 ? CODE_64 : CODE_32, DATA, TASK, 0};
        for (int i = 0; i < words.length; i++) {
            memory.writeLong(descriptors.start() + (long) i * Long.BYTES, words[i]);
        }
        pageTables.ifPresent(where -> writePageTables(memory, where));
    }

    /** What the register of the descriptor table holds. */
    DescriptorTable register() {
        return new DescriptorTable(descriptors.start(), DESCRIPTORS_SIZE - 1);
    }

    private static void writePageTables(GuestMemory memory, GuestRange where) {
        memory.fill(where.start(), where.size(), (byte) 0);
        long gigabytes = where.start() + PAGE;
        memory.writeLong(where.start(), gigabytes | PRESENT_WRITABLE);
        for (int g = 0; g < GIGABYTES; g++) {
            long table = gigabytes + (long) (1 + g) * PAGE;
            memory.writeLong(gigabytes + (long) g * Long.BYTES, table | PRESENT_WRITABLE);
            for (int i = 0; i < ENTRIES; i++) {
                long page = ((long) g * ENTRIES + i) * LARGE_PAGE;
                memory.writeLong(table + (long) i * Long.BYTES, page | PRESENT_WRITABLE | PAGE_SIZE_BIT);
            }
        }
    }
}
