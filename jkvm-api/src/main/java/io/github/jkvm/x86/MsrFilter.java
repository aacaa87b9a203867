package io.github.jkvm.x86;

import java.util.BitSet;
import java.util.List;
import java.util.Set;

/**
 * Which model-specific registers the guest may read and write without leaving ({@code struct kvm_msr_filter}).
 *
 * @param unlisted what happens to registers that no range covers
 * @param ranges up to 16 ranges, of which the first that covers a register and kind of access decides
 */
public record MsrFilter(Unlisted unlisted, List<Range> ranges) {
    /** Most ranges a filter can have ({@code KVM_MSR_FILTER_MAX_RANGES}). */
    public static final int MAX_RANGES = 16;

    /** What happens to a register that no range covers. */
    public enum Unlisted {
        /** Accesses go on as without a filter. */
        ALLOW,
        /** Accesses fault, or leave the guest if that was asked for. */
        DENY
    }

    /** A kind of access. */
    public enum Access {
        /** {@code rdmsr}. */
        READ,
        /** {@code wrmsr}. */
        WRITE
    }

    /**
     * Checks the parts.
     *
     * @throws IllegalArgumentException if there are too many ranges
     */
    public MsrFilter {
        ranges = List.copyOf(ranges);
        if (ranges.size() > MAX_RANGES) {
            throw new IllegalArgumentException(
                    "MSR filter has " + ranges.size() + " ranges; the limit is " + MAX_RANGES);
        }
    }

    /**
     * A run of registers.
     *
     * @param base the first register, unsigned
     * @param count how many, 1 to 12288 ({@code KVM_MSR_FILTER_MAX_BITMAP_SIZE} bits)
     * @param accesses the kinds of access it covers, at least one
     * @param allowed which of them the guest may access: bit 0 is {@code base}
     */
    public record Range(int base, int count, Set<Access> accesses, BitSet allowed) {
        private static final int MAX_COUNT = 0x600 * Byte.SIZE;

        /**
         * Checks the parts.
         *
         * @throws IllegalArgumentException if the count is out of range, no access is covered, or a bit is beyond the count
         */
        public Range {
            if (count < 1 || count > MAX_COUNT) {
                throw new IllegalArgumentException(
                        "MSR range has " + count + " registers; it must have 1 to " + MAX_COUNT);
            }
            accesses = Set.copyOf(accesses);
            if (accesses.isEmpty()) {
                throw new IllegalArgumentException("MSR range from 0x" + Integer.toHexString(base)
                        + " covers no access; give READ, WRITE or both");
            }
            allowed = (BitSet) allowed.clone();
            if (allowed.length() > count) {
                throw new IllegalArgumentException(
                        "MSR range allows register " + (allowed.length() - 1) + " of " + count);
            }
        }

        /**
         * Returns which registers the guest may access, as a copy of its own.
         *
         * @return the bits; bit 0 is the first register
         */
        @Override
        public BitSet allowed() {
            return (BitSet) allowed.clone();
        }
    }
}
