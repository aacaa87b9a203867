package io.github.jkvm.virtio.block;

import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.atomic.AtomicReferenceArray;

/** A set of a disk's sectors that only grows. Takes memory only where there are members. Safe for use by many threads. */
final class SectorMap {
    private static final int WORDS_PER_CHUNK = 1024;
    private static final int SECTORS_PER_CHUNK = WORDS_PER_CHUNK * Long.SIZE;

    private final AtomicReferenceArray<AtomicLongArray> chunks;

    SectorMap(long sectors) {
        chunks = new AtomicReferenceArray<>(Math.toIntExact(Math.ceilDiv(sectors, (long) SECTORS_PER_CHUNK)));
    }

    /** Adds the sectors from one up to and not including another. What the calling thread wrote before is seen by who finds them here. */
    void add(long from, long to) {
        for (long sector = from; sector < to; ) {
            int bit = (int) (sector % Long.SIZE);
            long count = Math.min(to - sector, Long.SIZE - bit);
            long mask = (count == Long.SIZE ? -1L : (1L << count) - 1) << bit;
            chunk(sector).getAndUpdate(word(sector), old -> old | mask);
            sector += count;
        }
    }

    boolean contains(long sector) {
        return (bits(sector) & (1L << (sector % Long.SIZE))) != 0;
    }

    /** Returns where the run that {@code from} is part of ends: the first sector that is in the set if it is not, or not if it is; {@code to} at most. */
    long runEnd(long from, long to) {
        boolean member = contains(from);
        for (long sector = from; sector < to; ) {
            int bit = (int) (sector % Long.SIZE);
            long different = (member ? ~bits(sector) : bits(sector)) >>> bit;
            if (different != 0) {
                return Math.min(to, sector + Long.numberOfTrailingZeros(different));
            }
            sector += Long.SIZE - bit;
        }
        return to;
    }

    private long bits(long sector) {
        AtomicLongArray chunk = chunks.get((int) (sector / SECTORS_PER_CHUNK));
        return chunk == null ? 0 : chunk.get(word(sector));
    }

    private AtomicLongArray chunk(long sector) {
        int index = (int) (sector / SECTORS_PER_CHUNK);
        AtomicLongArray chunk = chunks.get(index);
        if (chunk != null) {
            return chunk;
        }
        AtomicLongArray fresh = new AtomicLongArray(WORDS_PER_CHUNK);
        AtomicLongArray other = chunks.compareAndExchange(index, null, fresh);
        return other == null ? fresh : other;
    }

    private static int word(long sector) {
        return (int) (sector % SECTORS_PER_CHUNK / Long.SIZE);
    }
}
