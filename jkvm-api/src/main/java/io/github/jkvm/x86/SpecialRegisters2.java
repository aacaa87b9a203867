package io.github.jkvm.x86;

import java.util.List;

/**
 * {@link SpecialRegisters} as newer kernels give them ({@code struct kvm_sregs2}): with the PAE page directory pointers and without the bitmap of
 * pending interrupts, which {@link VCpuEvents} has.
 *
 * @param registers the registers; their interrupt bitmap is all zero and ignored when set
 * @param flags bit 0 is set if {@code pdptrs} are valid
 * @param pdptrs the four PAE page directory pointers
 */
public record SpecialRegisters2(SpecialRegisters registers, long flags, List<Long> pdptrs) {
    /** Flag: the page directory pointers are valid ({@code KVM_SREGS2_FLAGS_PDPTRS_VALID}). */
    public static final long FLAG_PDPTRS_VALID = 1;

    /**
     * Checks the parts.
     *
     * @throws IllegalArgumentException if there are not four pointers
     */
    public SpecialRegisters2 {
        pdptrs = List.copyOf(pdptrs);
        if (pdptrs.size() != 4) {
            throw new IllegalArgumentException("got " + pdptrs.size() + " page directory pointers; there are 4");
        }
    }
}
