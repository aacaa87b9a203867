package io.github.jkvm.virtio.fs;

import io.github.jkvm.kvm.ffi.Libc;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Files by the numbers that the guest knows them by.
 *
 * <p>A number is a slot and how often the slot was used before, so a guest that uses an old number is told so instead of being given
 * another file. An entry lives as long as the guest has references to it, and beyond that until what has acquired it releases it. How many
 * there can be is bounded. Safe for use by many threads.
 *
 * @param <T> what is kept
 */
abstract class EntryTable<T extends TableEntry> {
    /** In the place of a descriptor: none. */
    static final int NO_DESCRIPTOR = -1;

    private static final int FIRST_CAPACITY = 64;

    /** Slot 0 is not used, so that 0 is no number. */
    private static final int FIRST_SLOT = 1;

    private final int limit;
    private @Nullable TableEntry[] entries = new TableEntry[FIRST_CAPACITY];
    private int[] generations = new int[FIRST_CAPACITY];
    private int[] free = new int[FIRST_CAPACITY];
    private int freeCount;
    private int nextSlot = FIRST_SLOT;
    private int size;

    /** That of slots which were never in use. */
    private int firstGeneration;

    EntryTable(int limit) {
        this.limit = limit;
    }

    /** Returns how many entries there are. */
    final synchronized int size() {
        return size;
    }

    final synchronized boolean isFull() {
        return size >= limit;
    }

    /** Adds an entry with one reference, unless the table is full. Returns its number, or 0. */
    final synchronized long add(T entry) {
        if (size >= limit) {
            return 0;
        }
        int slot = freeCount > 0 ? free[--freeCount] : nextSlot++;
        ensureCapacity(slot);
        entries[slot] = entry;
        entry.id = (long) generations[slot] << Integer.SIZE | slot;
        entry.references = 1;
        size++;
        return entry.id;
    }

    /** Begins a use of an entry; {@link #release} must follow. Null if the number is that of no entry. */
    final synchronized @Nullable T acquire(long id) {
        T entry = find(id);
        if (entry != null) {
            retain(entry);
        }
        return entry;
    }

    /** Begins one more use of an entry that is in use. */
    final synchronized void retain(T entry) {
        if (entry.uses++ == 0) {
            taken(entry);
        }
    }

    /** Ends a use. */
    final void release(T entry) {
        boolean dead;
        int unneeded = NO_DESCRIPTOR;
        synchronized (this) {
            entry.uses--;
            dead = removeIfDead(entry);
            if (!dead && entry.uses == 0) {
                unneeded = left(entry);
            }
        }
        if (dead) {
            dispose(entry);
        }
        close(unneeded);
    }

    /** Closes a descriptor, if it is one. */
    static void close(int fd) {
        if (fd != NO_DESCRIPTOR) {
            Libc.close(fd);
        }
    }

    /** Takes references away, at most as many as there are. */
    final void drop(long id, long count) {
        T entry;
        boolean dead;
        synchronized (this) {
            entry = find(id);
            if (entry == null) {
                return;
            }
            // Unsigned, as the guest's count is.
            entry.references = Long.compareUnsigned(count, entry.references) >= 0 ? 0 : entry.references - count;
            dead = removeIfDead(entry);
        }
        if (dead) {
            dispose(entry);
        }
    }

    /** Takes all references away, but those to one entry. */
    final void dropAllBut(long kept) {
        List<T> dead = new ArrayList<>();
        synchronized (this) {
            for (int slot = FIRST_SLOT; slot < nextSlot; slot++) {
                T entry = at(slot);
                if (entry != null && entry.id != kept) {
                    entry.references = 0;
                    if (removeIfDead(entry)) {
                        dead.add(entry);
                    }
                }
            }
        }
        dead.forEach(this::dispose);
    }

    /** Returns a copy of what is there, in the order of the slots. */
    final synchronized List<T> list() {
        List<T> list = new ArrayList<>(size);
        for (int slot = FIRST_SLOT; slot < nextSlot; slot++) {
            T entry = at(slot);
            if (entry != null) {
                list.add(entry);
            }
        }
        return list;
    }

    /** Returns a generation that no number given so far has. */
    final synchronized int nextGeneration() {
        int last = 0;
        for (int slot = FIRST_SLOT; slot < nextSlot; slot++) {
            last = Math.max(last, generations[slot]);
        }
        return (last + 1) & Integer.MAX_VALUE;
    }

    /**
     * Puts an entry where it was in another table, before any is added. {@link #placed} must follow.
     *
     * @param entry the entry
     * @param id the number that it had
     * @param references how many references there are, above 0
     * @return false if it can't be there: then it is not in the table
     */
    final synchronized boolean place(T entry, long id, long references) {
        int slot = (int) id;
        if (id < 0 || slot < FIRST_SLOT || slot > limit || references <= 0) {
            return false;
        }
        ensureCapacity(slot);
        if (entries[slot] != null) {
            return false;
        }
        entries[slot] = entry;
        generations[slot] = (int) (id >>> Integer.SIZE);
        entry.id = id;
        entry.references = references;
        nextSlot = Math.max(nextSlot, slot + 1);
        size++;
        return true;
    }

    /**
     * Gives out numbers of a generation or later from now on.
     *
     * @param generation one that no number had in the other table
     */
    final synchronized void placed(int generation) {
        freeCount = 0;
        for (int slot = FIRST_SLOT; slot < entries.length; slot++) {
            if (entries[slot] == null) {
                generations[slot] = Math.max(generations[slot], generation);
                if (slot < nextSlot) {
                    free[freeCount++] = slot;
                }
            }
        }
        firstGeneration = generation;
    }

    private void ensureCapacity(int slot) {
        if (slot >= entries.length) {
            int before = entries.length;
            int capacity = Math.max(before * 2, slot + 1);
            entries = Arrays.copyOf(entries, capacity);
            generations = Arrays.copyOf(generations, capacity);
            free = Arrays.copyOf(free, capacity);
            Arrays.fill(generations, before, capacity, firstGeneration);
        }
    }

    /** Called under the lock when the first use of an entry begins. */
    abstract void taken(T entry);

    /** Called under the lock when the last use of an entry that lives on has ended. Returns a descriptor to close, if there is one. */
    abstract int left(T entry);

    /** Called under the lock when an entry is gone. */
    abstract void removed(T entry);

    /** Closes what an entry that is gone had open. Called without the lock: the last close of a deleted file frees its blocks. */
    abstract void dispose(T entry);

    /** Under the lock. */
    final @Nullable T find(long id) {
        int slot = (int) id;
        T entry = slot >= FIRST_SLOT && slot < nextSlot ? at(slot) : null;
        return entry != null && entry.id == id ? entry : null;
    }

    private boolean removeIfDead(T entry) {
        if (entry.references != 0 || entry.uses != 0) {
            return false;
        }
        int slot = (int) entry.id;
        entries[slot] = null;
        // Never negative, so that no number is.
        generations[slot] = generations[slot] + 1 & Integer.MAX_VALUE;
        free[freeCount++] = slot;
        size--;
        removed(entry);
        return true;
    }

    @SuppressWarnings("unchecked") // add() puts nothing else there
    private @Nullable T at(int slot) {
        return (T) entries[slot];
    }
}
