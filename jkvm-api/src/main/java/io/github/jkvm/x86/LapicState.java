package io.github.jkvm.x86;

import io.github.jkvm.Bytes;

/**
 * The registers of a local APIC as they lie in its page ({@code struct kvm_lapic_state}; SDM volume 3, 12.4.1).
 *
 * @param data the first 1024 bytes of the page
 */
public record LapicState(Bytes data) {
    /** Size in bytes. */
    public static final int SIZE = 1024;

    /** Offset of the id register. */
    public static final int ID = 0x20;

    /** Offset of the spurious interrupt vector register. */
    public static final int SPURIOUS_VECTOR = 0xF0;

    /** Offset of the local vector table entry for pin LINT0. */
    public static final int LVT_LINT0 = 0x350;

    /** Offset of the local vector table entry for pin LINT1. */
    public static final int LVT_LINT1 = 0x360;

    /**
     * Checks the size.
     *
     * @throws IllegalArgumentException if it is not {@link #SIZE}
     */
    public LapicState {
        if (data.length() != SIZE) {
            throw new IllegalArgumentException(
                    "local APIC state has " + data.length() + " bytes; it must have " + SIZE);
        }
    }

    /**
     * Returns a register.
     *
     * @param offset its place in the page, a multiple of 16 below 1024
     * @return its value
     * @throws IllegalArgumentException if there is no such place
     */
    public int register(int offset) {
        check(offset);
        int value = 0;
        for (int i = Integer.BYTES - 1; i >= 0; i--) {
            value = (value << Byte.SIZE) | (data.at(offset + i) & 0xFF);
        }
        return value;
    }

    /**
     * Returns the same state but for one register.
     *
     * @param offset its place in the page, a multiple of 16 below 1024
     * @param value its new value
     * @return a new state
     * @throws IllegalArgumentException if there is no such place
     */
    public LapicState withRegister(int offset, int value) {
        check(offset);
        byte[] bytes = data.toArray();
        for (int i = 0; i < Integer.BYTES; i++) {
            bytes[offset + i] = (byte) (value >>> (i * Byte.SIZE));
        }
        return new LapicState(Bytes.copyOf(bytes));
    }

    private static void check(int offset) {
        if (offset < 0 || offset >= SIZE || offset % 16 != 0) {
            throw new IllegalArgumentException(
                    "local APIC offset " + offset + " must be a multiple of 16 from 0 to " + (SIZE - 16));
        }
    }
}
