package io.github.jkvm;

import java.util.Objects;

/**
 * A range of registers of a function in guest-physical memory. The guest decides where it lies.
 *
 * @param size size in bytes: a power of two, from 16 to 2^40
 * @param registers what answers there
 */
public record PciBar(long size, IoHandler registers) {
    private static final long MIN_SIZE = 16;
    private static final long MAX_SIZE = 1L << 40;

    /**
     * Checks the size.
     *
     * @throws IllegalArgumentException if it is out of range or no power of two
     */
    public PciBar {
        Objects.requireNonNull(registers, "registers");
        if (size < MIN_SIZE || size > MAX_SIZE || Long.bitCount(size) != 1) {
            throw new IllegalArgumentException("registers of a PCI function have " + size
                    + " bytes; the size must be a power of two from 16 to 2^40");
        }
    }
}
