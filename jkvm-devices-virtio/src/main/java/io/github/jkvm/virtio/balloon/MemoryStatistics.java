package io.github.jkvm.virtio.balloon;

import java.util.Map;
import java.util.OptionalLong;

/**
 * How a guest uses its memory, as the guest tells it. A guest tells what it likes: take it as a hint.
 *
 * @param values what was told, by tag, 0 to 65535; also tags that {@link Kind} does not know
 */
public record MemoryStatistics(Map<Integer, Long> values) {

    /** Numbers that a guest can tell (virtio 1.2, 5.5.6.4; from tag 10 on: Linux 6.12, include/uapi/linux/virtio_balloon.h). */
    public enum Kind {
        /** Bytes read from swap. */
        SWAP_IN,
        /** Bytes written to swap. */
        SWAP_OUT,
        /** Page faults that had to wait for a disk. */
        MAJOR_FAULTS,
        /** Page faults that had not. */
        MINOR_FAULTS,
        /** Bytes used for nothing. */
        FREE,
        /** Bytes there are. */
        TOTAL,
        /** Bytes that programs could be given without swapping. */
        AVAILABLE,
        /** Bytes that caches of files hold. */
        CACHES,
        /** Huge pages that were given to programs. */
        HUGE_PAGE_ALLOCATIONS,
        /** Huge pages that could not be given. */
        HUGE_PAGE_FAILURES,
        /** Programs that were ended since memory ran out. */
        OUT_OF_MEMORY_KILLS,
        /** Allocations that had to wait for memory. */
        ALLOCATION_STALLS,
        /** Pages looked at in the background to be reclaimed. */
        BACKGROUND_SCANS,
        /** Pages looked at by an allocation to be reclaimed. */
        DIRECT_SCANS,
        /** Pages reclaimed in the background. */
        BACKGROUND_RECLAIMS,
        /** Pages reclaimed by an allocation. */
        DIRECT_RECLAIMS;

        /**
         * Returns the number that stands for it.
         *
         * @return the tag, from 0
         */
        public int tag() {
            // Tags are numbered as they are listed.
            return ordinal();
        }
    }

    /** Copies the values. */
    public MemoryStatistics {
        values = Map.copyOf(values);
    }

    /**
     * Returns one number.
     *
     * @param kind which
     * @return the number, unsigned; empty if the guest does not tell it
     */
    public OptionalLong get(Kind kind) {
        Long value = values.get(kind.tag());
        return value == null ? OptionalLong.empty() : OptionalLong.of(value);
    }
}
