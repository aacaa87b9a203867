package io.github.jkvm.testkit.virtio;

import java.util.EnumSet;
import java.util.Set;

/**
 * Something a driver must not do with a chain, and a device can always see. It can't serve such a chain: it should ask for a reset (virtio 1.2, 2.1.2), and must not
 * crash, hang or use the chain.
 */
public enum ChainDefect {
    /** The last buffer is where no memory is. */
    BUFFER_OUTSIDE_MEMORY,

    /** The last buffer passes the end of the address space. */
    BUFFER_WRAPS,

    /** A readable buffer follows a writable one (2.7.4.2: "any device-writable ... after any device-readable"; 2.8.17). */
    READABLE_AFTER_WRITABLE,

    /** The chain says that it goes on, and comes back to its beginning (2.7.5.2), or goes all around a packed ring (2.8.17). */
    ENDLESS,

    /** The chain begins at an index that the descriptor table has not (2.7.6). Split queues only. */
    HEAD_OUTSIDE_TABLE,

    /** A descriptor's {@code next} is an index that the table has not (2.7.5). Split queues only. */
    NEXT_OUTSIDE_TABLE,

    /** More chains are available than the queue has descriptors (2.7.13.3). Split queues only. */
    INDEX_TOO_FAR,

    /** An indirect table has no bytes. Needs {@link RingFeatures#INDIRECT_DESC}, as all that follow. */
    INDIRECT_TABLE_EMPTY,

    /** An indirect table has a length that is no multiple of a descriptor's (2.7.5.3.2). */
    INDIRECT_TABLE_CUT,

    /** An indirect table is where no memory is. */
    INDIRECT_TABLE_OUTSIDE_MEMORY,

    /** An indirect descriptor has a next one (2.7.5.3.1: "A driver MUST NOT set both"; 2.8.19). */
    INDIRECT_WITH_NEXT,

    /** An indirect table refers to another one (2.7.5.3.1). Split queues only: in packed tables the flag means nothing (2.8.7). */
    INDIRECT_NESTED;

    /**
     * Returns what a driver can do wrong with the features that were negotiated.
     *
     * @param features the features, of which {@link RingFeatures#RING_PACKED} and {@link RingFeatures#INDIRECT_DESC} count
     * @return the defects
     */
    public static Set<ChainDefect> possibleWith(long features) {
        Set<ChainDefect> defects = EnumSet.allOf(ChainDefect.class);
        defects.removeIf(each -> !each.isPossibleWith(features));
        return defects;
    }

    private boolean isPossibleWith(long features) {
        boolean split = (features & RingFeatures.RING_PACKED) == 0;
        boolean indirect = (features & RingFeatures.INDIRECT_DESC) != 0;
        return switch (this) {
            case BUFFER_OUTSIDE_MEMORY, BUFFER_WRAPS, READABLE_AFTER_WRITABLE, ENDLESS -> true;
            case HEAD_OUTSIDE_TABLE, NEXT_OUTSIDE_TABLE, INDEX_TOO_FAR -> split;
            case INDIRECT_TABLE_EMPTY, INDIRECT_TABLE_CUT, INDIRECT_TABLE_OUTSIDE_MEMORY, INDIRECT_WITH_NEXT ->
                indirect;
            case INDIRECT_NESTED -> split && indirect;
        };
    }
}
