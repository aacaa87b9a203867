package io.github.jkvm.x86;

/**
 * A segment register with its hidden part ({@code struct kvm_segment}; SDM volume 3, 3.4.5).
 *
 * @param base linear address of the segment
 * @param limit offset of its last byte
 * @param selector the visible part, 16 bits
 * @param type type field, 4 bits
 * @param present 1 if present
 * @param dpl descriptor privilege level, 0 to 3
 * @param db default operation size: 1 for 32 bits
 * @param s 1 for code or data, 0 for a system segment
 * @param l 1 for 64-bit code
 * @param g granularity bit: 1 if the descriptor counts its limit in pages of 4096 bytes
 * @param avl bit for the system's own use
 * @param unusable 1 if the register holds no segment
 */
public record Segment(
        long base,
        int limit,
        int selector,
        int type,
        int present,
        int dpl,
        int db,
        int s,
        int l,
        int g,
        int avl,
        int unusable) {

    /** Type of an execute/read code segment that was accessed. */
    public static final int TYPE_CODE = 0xB;

    /** Type of a read/write data segment that was accessed. */
    public static final int TYPE_DATA = 0x3;

    /** Type of a busy task state segment, as the task register must hold. */
    public static final int TYPE_BUSY_TSS = 0xB;

    /**
     * Checks the parts.
     *
     * @throws IllegalArgumentException if one has more bits than its field
     */
    public Segment {
        check("selector", selector, 0xFFFF);
        check("type", type, 0xF);
        check("present", present, 1);
        check("dpl", dpl, 3);
        check("db", db, 1);
        check("s", s, 1);
        check("l", l, 1);
        check("g", g, 1);
        check("avl", avl, 1);
        check("unusable", unusable, 1);
    }

    private static void check(String name, int value, int max) {
        if (value < 0 || value > max) {
            throw new IllegalArgumentException("segment " + name + " is " + value + "; it must be from 0 to " + max);
        }
    }

    /**
     * Returns a real-mode segment: base = selector * 16, limit 64 KiB.
     *
     * @param selector 0 to 0xffff
     * @param type {@link #TYPE_CODE} or {@link #TYPE_DATA}
     * @return the segment
     */
    public static Segment realMode(int selector, int type) {
        return new Segment((long) selector << 4, 0xFFFF, selector, type, 1, 0, 0, 1, 0, 0, 0, 0);
    }

    /**
     * Returns a flat 32-bit segment over the whole 4 GiB.
     *
     * @param selector its selector in the guest's descriptor table
     * @param type {@link #TYPE_CODE} or {@link #TYPE_DATA}
     * @return the segment
     */
    public static Segment flat32(int selector, int type) {
        return new Segment(0, 0xFFFF_FFFF, selector, type, 1, 0, 1, 1, 0, 1, 0, 0);
    }

    /**
     * Returns a 64-bit code segment.
     *
     * @param selector its selector in the guest's descriptor table
     * @return the segment
     */
    public static Segment code64(int selector) {
        return new Segment(0, 0xFFFF_FFFF, selector, TYPE_CODE, 1, 0, 0, 1, 1, 1, 0, 0);
    }

    /**
     * Returns a task state segment as the task register needs to be valid.
     *
     * @param selector its selector in the guest's descriptor table
     * @return the segment, at address 0
     */
    public static Segment taskState(int selector) {
        return new Segment(0, 0x67, selector, TYPE_BUSY_TSS, 1, 0, 0, 0, 0, 0, 0, 0);
    }
}
