package io.github.jkvm.testkit;

import java.util.ArrayList;
import java.util.List;

/**
 * Counts a guest's exits and remembers the last ones. Takes no memory for an exit, so that a guest may do as many as it likes.
 *
 * <p>Belongs to its {@link MicroGuest}: to be asked while that does not run, or by another thread for numbers that may be a little old.
 */
public final class ExitLog {
    /** How many exits are remembered. */
    public static final int REMEMBERED = 256;

    private static final ExitKind[] KINDS = ExitKind.values();

    private final long[] counts = new long[KINDS.length];
    private final byte[] kinds = new byte[REMEMBERED];
    private final byte[] sizes = new byte[REMEMBERED];
    private final long[] addresses = new long[REMEMBERED];
    private final long[] values = new long[REMEMBERED];
    private long total;

    ExitLog() {}

    @SuppressWarnings("EnumOrdinal") // no more than an index; nothing is kept by it
    void add(ExitKind kind, long address, int size, long value) {
        int slot = (int) (total % REMEMBERED);
        kinds[slot] = (byte) kind.ordinal();
        sizes[slot] = (byte) size;
        addresses[slot] = address;
        values[slot] = value;
        counts[kind.ordinal()]++;
        total++;
    }

    void add(ExitKind kind) {
        add(kind, 0, 0, 0);
    }

    /**
     * Returns how many exits there were.
     *
     * @return the number since the guest was made
     */
    public long total() {
        return total;
    }

    /**
     * Returns how many exits of a kind there were.
     *
     * @param kind the kind
     * @return the number since the guest was made
     */
    @SuppressWarnings("EnumOrdinal")
    public long count(ExitKind kind) {
        return counts[kind.ordinal()];
    }

    /**
     * Returns the exits that are remembered.
     *
     * @return at most the last {@value #REMEMBERED}, oldest first
     */
    public List<GuestExit> last() {
        return last(REMEMBERED);
    }

    /**
     * Returns the last exits.
     *
     * @param most how many at most
     * @return as many as there are and are remembered, oldest first
     */
    public List<GuestExit> last(int most) {
        int known = (int) Math.min(Math.min(total, REMEMBERED), most);
        List<GuestExit> exits = new ArrayList<>(known);
        for (long number = total - known; number < total; number++) {
            int slot = (int) (number % REMEMBERED);
            exits.add(new GuestExit(KINDS[kinds[slot]], addresses[slot], sizes[slot], values[slot]));
        }
        return exits;
    }
}
