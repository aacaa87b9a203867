package io.github.jkvm.virtio.vsock;

import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** The connections of a device by their ports. A fixed hash table, so that finding one allocates nothing. On the loop. */
final class ConnectionTable {
    private final @Nullable Connection[] entries;
    private final int mask;
    private int count;

    /** A table for so many connections, which the device sees to. */
    ConnectionTable(int capacity) {
        int size = Integer.highestOneBit(Math.max(1, capacity)) << 2;
        entries = new Connection[size];
        mask = size - 1;
    }

    static long key(int hostPort, int guestPort) {
        return (long) hostPort << Integer.SIZE | (guestPort & 0xFFFF_FFFFL);
    }

    static int hostPort(long key) {
        return (int) (key >>> Integer.SIZE);
    }

    static int guestPort(long key) {
        return (int) key;
    }

    int count() {
        return count;
    }

    @Nullable
    Connection find(int hostPort, int guestPort) {
        long key = key(hostPort, guestPort);
        for (int i = index(key); ; i = (i + 1) & mask) {
            Connection entry = entries[i];
            if (entry == null || entry.key() == key) {
                return entry;
            }
        }
    }

    /** Adds a connection whose ports no other one has. */
    void add(Connection connection) {
        int i = index(connection.key());
        while (entries[i] != null) {
            i = (i + 1) & mask;
        }
        entries[i] = connection;
        count++;
    }

    /** Takes a connection out; false if it is not in. */
    boolean remove(Connection connection) {
        int i = index(connection.key());
        while (entries[i] != connection) {
            if (entries[i] == null) {
                return false;
            }
            i = (i + 1) & mask;
        }
        entries[i] = null;
        count--;
        // What comes behind may have been pushed on from here, and must be found without the gap.
        for (int next = (i + 1) & mask; ; next = (next + 1) & mask) {
            Connection moved = entries[next];
            if (moved == null) {
                return true;
            }
            entries[next] = null;
            count--;
            add(moved);
        }
    }

    void forEach(Consumer<Connection> each) {
        for (Connection connection : entries) {
            if (connection != null) {
                each.accept(connection);
            }
        }
    }

    void clear(Consumer<Connection> each) {
        for (int i = 0; i < entries.length; i++) {
            Connection connection = entries[i];
            entries[i] = null;
            if (connection != null) {
                each.accept(connection);
            }
        }
        count = 0;
    }

    private int index(long key) {
        long mixed = key * 0x9E37_79B9_7F4A_7C15L;
        return (int) (mixed >>> (Long.SIZE - Integer.numberOfTrailingZeros(entries.length))) & mask;
    }
}
