package io.github.jkvm.x86;

/**
 * The register of a descriptor table, GDTR or IDTR ({@code struct kvm_dtable}).
 *
 * @param base linear address of the table
 * @param limit offset of its last byte, 16 bits
 */
public record DescriptorTable(long base, int limit) {
    /**
     * Checks the parts.
     *
     * @throws IllegalArgumentException if the limit has more than 16 bits
     */
    public DescriptorTable {
        if (limit < 0 || limit > 0xFFFF) {
            throw new IllegalArgumentException("descriptor table limit " + limit + " must be from 0 to 65535");
        }
    }
}
