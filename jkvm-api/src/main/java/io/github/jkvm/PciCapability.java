package io.github.jkvm;

import java.util.Objects;

/**
 * A capability in a function's configuration space (6.7). The bus keeps its first two bytes, the id and the link to the next one; what
 * follows is the function's.
 *
 * @param id the kind of capability, 1 to 255
 * @param length length in bytes of what follows the first two, 0 to {@link #MAX_LENGTH}
 * @param registers what answers there; offsets are relative to the third byte of the capability. Called with other accesses to configuration
 *     space held back, on the vCPU's thread
 */
public record PciCapability(int id, int length, IoHandler registers) {
    /** Id of a capability whose content is the vendor's business (6.7, appendix H). */
    public static final int VENDOR_SPECIFIC = 0x09;

    /** The longest content: the device-specific part of configuration space without the first two bytes. */
    public static final int MAX_LENGTH = 0xC0 - 2;

    /**
     * Checks the parts.
     *
     * @throws IllegalArgumentException if one is out of range
     */
    public PciCapability {
        Objects.requireNonNull(registers, "registers");
        if (id < 1 || id > 0xFF || length < 0 || length > MAX_LENGTH) {
            throw new IllegalArgumentException("PCI capability " + id + " with " + length
                    + " bytes: the id must be 1 to 255, the length 0 to " + MAX_LENGTH);
        }
    }

    /**
     * Returns a capability that the guest can only read.
     *
     * @param id the kind of capability, 1 to 255
     * @param content what follows the first two bytes, at most {@link #MAX_LENGTH} bytes
     * @return the capability
     * @throws IllegalArgumentException if the id or the length is out of range
     */
    public static PciCapability constant(int id, byte... content) {
        byte[] bytes = content.clone();
        return new PciCapability(id, bytes.length, new IoHandler() {
            @Override
            public long read(long offset, int size) {
                long value = 0;
                for (int i = 0; i < size && offset + i < bytes.length; i++) {
                    value |= (bytes[(int) offset + i] & 0xFFL) << (i * Byte.SIZE);
                }
                return value;
            }

            @Override
            public void write(long offset, int size, long value) {
                // Read-only, as the fields of most capabilities are.
            }
        });
    }
}
