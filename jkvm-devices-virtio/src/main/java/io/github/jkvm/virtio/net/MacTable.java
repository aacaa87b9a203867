package io.github.jkvm.virtio.net;

import org.jspecify.annotations.Nullable;

/**
 * Behind which port of a switch a station is, as its frames have told. Bounded, in all and for each port: a guest that makes up addresses
 * pushes nobody else out. Safe for use by many threads; allocates nothing.
 */
final class MacTable {
    /** Addresses that share a place in the table; one of these is given up for another. */
    private static final int WAYS = 4;

    private final long[] addresses;
    private final @Nullable SwitchPort[] ports;
    private final long[] seen;
    private final long maxAge;
    private final int perPort;

    /** Creates an empty table; {@code capacity} is a power of two, from 4. */
    MacTable(int capacity, int perPort, long maxAgeNanos) {
        this.addresses = new long[capacity];
        this.ports = new SwitchPort[capacity];
        this.seen = new long[capacity];
        this.perPort = perPort;
        this.maxAge = maxAgeNanos;
    }

    /** Takes note of a station. */
    synchronized void learn(long address, SwitchPort port, long now) {
        int start = start(address);
        int free = -1;
        for (int i = start; i < start + WAYS; i++) {
            SwitchPort known = ports[i];
            if (known != null && addresses[i] == address) {
                if (!known.equals(port) && port.learned < perPort) {
                    known.learned--;
                    port.learned++;
                    ports[i] = port;
                }
                if (port.equals(ports[i])) {
                    seen[i] = now;
                }
                return;
            }
            if (known == null || now - seen[i] > maxAge) {
                free = i;
            }
        }
        if (free >= 0) {
            put(free, address, port, now);
        } else {
            replaceOwn(start, address, port, now);
        }
    }

    /** All places are taken by stations that are there: a port gives up its own oldest one, and no other port's. */
    private void replaceOwn(int start, long address, SwitchPort port, long now) {
        int oldest = -1;
        for (int i = start; i < start + WAYS; i++) {
            if (port.equals(ports[i]) && (oldest < 0 || seen[i] - seen[oldest] < 0)) {
                oldest = i;
            }
        }
        if (oldest >= 0) {
            put(oldest, address, port, now);
        }
    }

    private void put(int place, long address, SwitchPort port, long now) {
        SwitchPort before = ports[place];
        if (before != null) {
            before.learned--;
            ports[place] = null;
        }
        if (port.learned < perPort) {
            port.learned++;
            addresses[place] = address;
            ports[place] = port;
            seen[place] = now;
        }
    }

    /** Returns where a station is, or null if that is not known, or not any more. */
    synchronized @Nullable SwitchPort find(long address, long now) {
        int start = start(address);
        for (int i = start; i < start + WAYS; i++) {
            if (addresses[i] == address && ports[i] != null && now - seen[i] <= maxAge) {
                return ports[i];
            }
        }
        return null;
    }

    /** Forgets all stations behind a port. */
    synchronized void forget(SwitchPort port) {
        for (int i = 0; i < ports.length; i++) {
            if (port.equals(ports[i])) {
                ports[i] = null;
            }
        }
        port.learned = 0;
    }

    private int start(long address) {
        long mixed = address * 0x9E37_79B9_7F4A_7C15L;
        return (int) (mixed >>> Integer.SIZE) & (addresses.length - 1) & -WAYS;
    }
}
