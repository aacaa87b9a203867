package io.github.jkvm.testkit.asm;

import io.github.jkvm.GuestMemory;
import java.util.Map;

/** An assembled program: its bytes, where they belong, and where its labels are. Immutable. */
public final class GuestCode {
    private final long origin;
    private final byte[] bytes;
    private final Map<Label, Long> addresses;
    private final String listing;

    /** Keeps the array, which nobody else has. */
    GuestCode(long origin, byte[] bytes, Map<Label, Long> addresses, String listing) {
        this.origin = origin;
        this.bytes = bytes;
        this.addresses = Map.copyOf(addresses);
        this.listing = listing;
    }

    /**
     * Where the program belongs.
     *
     * @return address of its first byte
     */
    public long origin() {
        return origin;
    }

    /**
     * Its length.
     *
     * @return in bytes
     */
    public int size() {
        return bytes.length;
    }

    /**
     * The machine code.
     *
     * @return a copy
     */
    public byte[] bytes() {
        return bytes.clone();
    }

    /**
     * Where a label is.
     *
     * @param label a label of the program
     * @return its address, counted from the origin's zero
     * @throws IllegalArgumentException if the label was not bound in this program
     */
    public long address(Label label) {
        Long address = addresses.get(label);
        if (address == null) {
            throw new IllegalArgumentException(
                    "label " + label + " has no place in this program; bind it before assemble()");
        }
        return address;
    }

    /**
     * Puts the program where it belongs in a guest's memory.
     *
     * @param memory where guest-physical addresses are the program's addresses
     * @throws io.github.jkvm.GuestMemoryException if the memory does not reach that far
     */
    public void load(GuestMemory memory) {
        memory.write(origin, bytes);
    }

    /**
     * The program for people: each line an address, the bytes and the instruction, labels on lines of their own.
     *
     * @return the text, each line ended by a line feed
     */
    public String listing() {
        return listing;
    }

    /** The listing, so that a failed assertion shows the program. */
    @Override
    public String toString() {
        return listing;
    }
}
