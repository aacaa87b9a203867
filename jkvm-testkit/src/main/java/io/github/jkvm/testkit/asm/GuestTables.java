package io.github.jkvm.testkit.asm;

/**
 * The entries of descriptor and page tables that the testkit's guests use, whoever builds the tables: the host before a guest starts
 * ({@link io.github.jkvm.testkit.LongMode}) or the guest itself ({@link Prelude}). All segments are flat: base 0, no limit but the address
 * size.
 */
public final class GuestTables {
    /** Selector of the 64-bit code segment. */
    public static final int CODE64_SELECTOR = 0x08;

    /** Selector of the data segment, for all but CS. */
    public static final int DATA_SELECTOR = 0x10;

    /** Selector of the task state segment, whose descriptor takes two entries in long mode. */
    public static final int TSS_SELECTOR = 0x18;

    /** Selector of the 32-bit code segment. */
    public static final int CODE32_SELECTOR = 0x28;

    /** Descriptor of the 64-bit code segment: present, accessed, code that can be read (SDM volume 3, 3.4.5). */
    public static final long CODE64 = 0x00AF_9B00_0000_FFFFL;

    /** Descriptor of the 32-bit code segment: present, accessed, code that can be read (SDM volume 3, 3.4.5). */
    public static final long CODE32 = 0x00CF_9B00_0000_FFFFL;

    /** Descriptor of the data segment: present, accessed, data that can be written (SDM volume 3, 3.4.5). */
    public static final long DATA = 0x00CF_9300_0000_FFFFL;

    /** Size of a 64-bit task state segment in bytes (SDM volume 3, 8.7). */
    public static final int TSS_BYTES = 104;

    /** Lower half of the descriptor of a 64-bit task state segment at address 0 that is in use (SDM volume 3, 8.2.3). */
    public static final long BUSY_TSS = 0x0000_8B00_0000_0000L | TSS_BYTES - 1;

    /** Lower half of the descriptor of a 64-bit task state segment at address 0 that LTR can load (SDM volume 3, 8.2.3). */
    public static final long AVAILABLE_TSS = 0x0000_8900_0000_0000L | TSS_BYTES - 1;

    /** How many interrupt vectors there are. */
    public static final int VECTORS = 256;

    /** Size of an entry of the interrupt table in long mode, in bytes (SDM volume 3, 7.14.1). */
    public static final int GATE64_BYTES = 16;

    /** Size of an entry of the interrupt table in protected mode, in bytes (SDM volume 3, 7.11). */
    public static final int GATE32_BYTES = 8;

    /** Size of a page table, and of a page, in bytes. */
    public static final int TABLE_BYTES = 0x1000;

    /** Entry of a page table: present, and can be written (SDM volume 3, 5.5.4). */
    public static final int PAGE = 0b11;

    /** Entry of a page directory, beside {@link #PAGE}: maps 2 MiB instead of pointing to a table (SDM volume 3, 5.5.4). */
    public static final int LARGE_PAGE = 1 << 7;

    /** Present, privilege level 0, an interrupt gate of 32 bits, or of 64 in long mode: interrupts are off in its handler. */
    private static final long INTERRUPT_GATE = 0x8E00;

    private GuestTables() {}

    /**
     * The first 8 bytes of an interrupt gate (SDM volume 3, 7.11 and 7.14.1): all of one in protected mode.
     *
     * @param selector of the handler's code segment, 0 to 0xFFFF
     * @param handler address of its first instruction
     * @return the bytes, little-endian
     */
    public static long gate(int selector, long handler) {
        return (handler & 0xFFFF) | ((long) selector << 16) | (INTERRUPT_GATE << 32) | ((handler & 0xFFFF_0000L) << 32);
    }

    /**
     * The last 8 bytes of an interrupt gate in long mode (SDM volume 3, 7.14.1).
     *
     * @param handler address of its first instruction
     * @return the bytes, little-endian
     */
    public static long gateHigh(long handler) {
        return handler >>> 32;
    }
}
