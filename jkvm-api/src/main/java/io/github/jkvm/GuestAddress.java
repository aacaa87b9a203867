package io.github.jkvm;

/**
 * A guest-physical address.
 *
 * <p>All 64 bits count: the value is unsigned. Arithmetic that would leave the address space throws instead of wrapping.
 *
 * @param value the address in bytes, unsigned
 */
public record GuestAddress(long value) implements Comparable<GuestAddress> {

    /** The first address. */
    public static final GuestAddress ZERO = new GuestAddress(0);

    /**
     * Returns the address with the given value.
     *
     * @param value the address in bytes, unsigned
     * @return the address
     */
    public static GuestAddress of(long value) {
        return value == 0 ? ZERO : new GuestAddress(value);
    }

    /**
     * Returns the address a number of bytes further up.
     *
     * @param bytes the distance, 0 or more
     * @return the address
     * @throws IllegalArgumentException if {@code bytes} is negative or the result passes the end of the 64-bit space
     */
    public GuestAddress plus(long bytes) {
        long result = value + bytes;
        if (bytes < 0 || Long.compareUnsigned(result, value) < 0) {
            throw new IllegalArgumentException(this + " plus " + bytes
                    + " bytes is outside the 64-bit address space (the distance must be 0 or more)");
        }
        return new GuestAddress(result);
    }

    /**
     * Returns the distance from a lower address to this one.
     *
     * @param base the lower address
     * @return the distance in bytes
     * @throws IllegalArgumentException if {@code base} is above this address, or the distance does not fit a long
     */
    public long minus(GuestAddress base) {
        long distance = value - base.value;
        if (Long.compareUnsigned(value, base.value) < 0 || distance < 0) {
            throw new IllegalArgumentException(this + " minus " + base + " is not a distance from 0 to 2^63-1 bytes");
        }
        return distance;
    }

    /**
     * Tells whether this address is a multiple of an alignment.
     *
     * @param alignment a power of two, in bytes
     * @return true if it is
     * @throws IllegalArgumentException if {@code alignment} is not a power of two
     */
    public boolean isAligned(long alignment) {
        return (value & (checkAlignment(alignment) - 1)) == 0;
    }

    /**
     * Returns the lowest multiple of an alignment that is not below this address.
     *
     * @param alignment a power of two, in bytes
     * @return the aligned address
     * @throws IllegalArgumentException if {@code alignment} is not a power of two, or the result passes the end of the
     *     64-bit space
     */
    public GuestAddress alignUp(long alignment) {
        long past = value & (checkAlignment(alignment) - 1);
        return past == 0 ? this : plus(alignment - past);
    }

    private static long checkAlignment(long alignment) {
        if (Long.bitCount(alignment) != 1 || alignment < 0) {
            throw new IllegalArgumentException("alignment " + alignment + " is not a power of two");
        }
        return alignment;
    }

    @Override
    public int compareTo(GuestAddress other) {
        return Long.compareUnsigned(value, other.value);
    }

    /** Returns the address in hexadecimal, such as {@code 0xfee00000}. */
    @Override
    public String toString() {
        return "0x" + Long.toHexString(value);
    }
}
