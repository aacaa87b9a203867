package io.github.jkvm;

/**
 * A range of guest-physical addresses that places are taken from, lowest first. The same places taken in the same order are the same
 * addresses. Safe for use by many threads.
 */
public final class AddressWindow {
    private final GuestAddress base;
    private final long size;
    private long used;

    /**
     * Creates a window with nothing taken.
     *
     * @param base its first address
     * @param size its size in bytes, 1 or more
     * @throws IllegalArgumentException if the size is below 1, or the window passes 2<sup>63</sup>
     */
    public AddressWindow(GuestAddress base, long size) {
        if (size < 1 || base.value() < 0 || size > Long.MAX_VALUE - base.value()) {
            throw new IllegalArgumentException(
                    "window of " + size + " bytes at " + base + " needs a size of 1 or more and an end below 2^63");
        }
        this.base = base;
        this.size = size;
    }

    /**
     * Takes the next free place.
     *
     * @param length its length in bytes, 1 or more
     * @param alignment what its address is a multiple of, in bytes: a power of two
     * @return its first address
     * @throws IllegalArgumentException if the length or alignment is not such a number
     * @throws IllegalStateException if there is not enough room left
     */
    public synchronized GuestAddress take(long length, long alignment) {
        if (length < 1 || Long.bitCount(alignment) != 1 || alignment < 1) {
            throw new IllegalArgumentException("place of " + length + " bytes with alignment " + alignment
                    + " needs a length of 1 or more and an alignment that is a power of two");
        }
        long skipped = -(base.value() + used) & (alignment - 1);
        long left = size - used;
        if (skipped > left || length > left - skipped) {
            throw new IllegalStateException("no place for " + length + " bytes with alignment " + alignment + ": "
                    + left + " of " + this + " are left; use fewer or smaller ones");
        }
        long start = used + skipped;
        used = start + length;
        return GuestAddress.of(base.value() + start);
    }

    /** Returns where it is and how large. */
    @Override
    public String toString() {
        return size + " bytes at " + base;
    }
}
