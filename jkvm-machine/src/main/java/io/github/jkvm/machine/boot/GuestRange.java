package io.github.jkvm.machine.boot;

import io.github.jkvm.GuestAddress;

/**
 * A range of guest-physical addresses.
 *
 * <p>An x86 physical address has at most 52 bits (Intel SDM volume 3, 4.1.4), and a range stays inside them: sums of its parts never
 * overflow.
 *
 * @param start first address, in bytes
 * @param size length in bytes, 0 or more
 */
public record GuestRange(long start, long size) implements Comparable<GuestRange> {

    /** The end of the physical address space of x86: 2^52 bytes. */
    public static final long ADDRESS_SPACE = 1L << 52;

    /**
     * Checks the range.
     *
     * @throws IllegalArgumentException if a part is negative or the range passes 2^52
     */
    public GuestRange {
        if (start < 0 || size < 0 || start > ADDRESS_SPACE || size > ADDRESS_SPACE - start) {
            throw new IllegalArgumentException("range of " + size + " bytes at 0x" + Long.toHexString(start)
                    + " is not inside the 2^52 bytes of x86 physical addresses");
        }
    }

    /**
     * Returns the range between two addresses.
     *
     * @param start first address
     * @param end the address after the last
     * @return the range
     * @throws IllegalArgumentException if {@code end} is below {@code start}, or the range passes 2^52
     */
    public static GuestRange between(long start, long end) {
        return new GuestRange(start, end - start);
    }

    /**
     * Returns the address after the last.
     *
     * @return the exclusive end
     */
    public long end() {
        return start + size;
    }

    /**
     * Returns the first address as the API's type.
     *
     * @return the address
     */
    public GuestAddress address() {
        return GuestAddress.of(start);
    }

    /**
     * Tells whether two ranges share a byte.
     *
     * @param other the other
     * @return true if they do; never true for an empty one
     */
    public boolean overlaps(GuestRange other) {
        return size > 0 && other.size > 0 && start < other.end() && other.start < end();
    }

    /**
     * Tells whether another range lies inside this one.
     *
     * @param other the other
     * @return true if all of it does
     */
    public boolean contains(GuestRange other) {
        return start <= other.start && other.end() <= end();
    }

    /** Orders by start, then by size. */
    @Override
    public int compareTo(GuestRange other) {
        int byStart = Long.compare(start, other.start);
        return byStart != 0 ? byStart : Long.compare(size, other.size);
    }

    /** Returns both ends in hexadecimal, the second inclusive, such as {@code 0x1000..0x1fff}. */
    @Override
    public String toString() {
        return size == 0
                ? "0x" + Long.toHexString(start) + " (empty)"
                : "0x" + Long.toHexString(start) + "..0x" + Long.toHexString(end() - 1);
    }
}
