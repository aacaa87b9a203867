package io.github.jkvm.x86;

import io.github.jkvm.Bytes;

/**
 * The extended processor state in the layout of the {@code xsave} instruction (SDM volume 1, 13.4; {@code struct kvm_xsave}).
 *
 * @param data the area, at least 4096 bytes; longer where the guest may use larger components
 */
public record XsaveState(Bytes data) {
    /** Least size in bytes. */
    public static final int MIN_SIZE = 4096;

    /**
     * Checks the size.
     *
     * @throws IllegalArgumentException if it is below {@link #MIN_SIZE} or not a multiple of 4
     */
    public XsaveState {
        if (data.length() < MIN_SIZE || data.length() % 4 != 0) {
            throw new IllegalArgumentException("xsave area has " + data.length() + " bytes; it must have at least "
                    + MIN_SIZE + " and a multiple of 4");
        }
    }
}
