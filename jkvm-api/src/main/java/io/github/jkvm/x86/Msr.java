package io.github.jkvm.x86;

/**
 * A model-specific register and its value ({@code struct kvm_msr_entry}).
 *
 * @param index which register, unsigned
 * @param value its value
 */
public record Msr(int index, long value) {
    /** Time stamp counter. */
    public static final int TSC = 0x10;

    /** Base address of the local APIC. */
    public static final int APIC_BASE = 0x1B;

    /** Switches of miscellaneous features; bit 0 enables fast strings. */
    public static final int MISC_ENABLE = 0x1A0;

    /** Default memory type of the memory type range registers; bit 11 enables them. */
    public static final int MTRR_DEF_TYPE = 0x2FF;

    /** Deadline of the local APIC timer. */
    public static final int TSC_DEADLINE = 0x6E0;

    /** Extended features. */
    public static final int EFER = 0xC000_0080;

    /** Target and segments of {@code syscall}. */
    public static final int STAR = 0xC000_0081;

    /** Target of {@code syscall} in 64-bit mode. */
    public static final int LSTAR = 0xC000_0082;

    /** Returns index and value in hexadecimal. */
    @Override
    public String toString() {
        return String.format("msr %08x: %016x", index, value);
    }
}
