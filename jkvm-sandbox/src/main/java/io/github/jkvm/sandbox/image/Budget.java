package io.github.jkvm.sandbox.image;

import java.io.IOException;

/** Counts what goes into a root, and stops it at its limits. */
final class Budget {
    private final int maxEntries;
    private final long maxBytes;
    private int entries;
    private long bytes;

    Budget(int maxEntries, long maxBytes) {
        this.maxEntries = maxEntries;
        this.maxBytes = maxBytes;
    }

    /** Counts one more file, folder or link. */
    void addEntry() throws IOException {
        if (entries == maxEntries) {
            throw new IOException(
                    "has more than " + maxEntries + " entries, the limit; give more with withLimits if that is right");
        }
        entries++;
    }

    /** Counts bytes that were read. */
    void addBytes(long count) throws IOException {
        if (count > maxBytes - bytes) {
            throw new IOException(
                    "has more than " + maxBytes + " bytes, the limit; give more with withLimits if that is right");
        }
        bytes += count;
    }
}
