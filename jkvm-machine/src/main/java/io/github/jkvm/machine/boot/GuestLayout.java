package io.github.jkvm.machine.boot;

import io.github.jkvm.GuestMemory;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Finds places in RAM for the pieces of a boot, so that none lies on another. Planning comes first and writing last: a boot that does not
 * fit leaves the memory as it was.
 */
final class GuestLayout {
    /** Below it lie the interrupt vectors and the BIOS data area of real mode; address 0 also reads as "none" in boot structures. */
    static final long LOWEST = 0x1000;

    /** Boot structures are named by 32-bit addresses, and 64-bit entries map this much. */
    static final long FOUR_GIB = 1L << 32;

    static final long PAGE = 4096;

    private final List<GuestRange> ram;
    private final List<GuestRange> taken = new ArrayList<>();

    /**
     * Begins with the RAM of a map.
     *
     * @throws IllegalArgumentException if the map calls RAM what is no guest memory
     */
    GuestLayout(GuestMemory memory, MemoryMap map) {
        ram = map.ranges(MemoryMap.Kind.RAM);
        for (GuestRange range : ram) {
            if (!memory.contains(range.start(), range.size())) {
                throw new IllegalArgumentException("the memory map says that " + range
                        + " is RAM, but the guest has memory only at " + memory.regions());
            }
        }
    }

    boolean isRam(GuestRange range) {
        return ram.stream().anyMatch(entry -> entry.contains(range));
    }

    /** Keeps a range from being given out, whatever it is. */
    void take(GuestRange range) {
        taken.add(range);
    }

    /** Gives out the lowest free place below 4 GiB. */
    GuestRange lowest(String what, long size, long alignment) {
        GuestRange place = lowestFrom(LOWEST, size, alignment, FOUR_GIB)
                .orElseThrow(() -> noRoom(what, size, alignment, FOUR_GIB));
        take(place);
        return place;
    }

    /** Looks for the lowest free place at or above an address, without taking it. */
    Optional<GuestRange> lowestFrom(long from, long size, long alignment, long limit) {
        for (GuestRange entry : ram) {
            long start = alignUp(Math.max(entry.start(), from), alignment);
            while (fits(start, size, Math.min(entry.end(), limit))) {
                GuestRange place = new GuestRange(start, size);
                Optional<GuestRange> inTheWay = obstacle(place);
                if (inTheWay.isEmpty()) {
                    return Optional.of(place);
                }
                start = alignUp(inTheWay.get().end(), alignment);
            }
        }
        return Optional.empty();
    }

    /** Gives out the highest free place that ends at or below a limit. */
    GuestRange highest(String what, long size, long alignment, long limit) {
        for (GuestRange entry : ram.reversed()) {
            long lowest = Math.max(entry.start(), LOWEST);
            long start = alignDown(Math.min(entry.end(), limit) - size, alignment);
            while (start >= lowest) {
                GuestRange place = new GuestRange(start, size);
                Optional<GuestRange> inTheWay = obstacle(place);
                if (inTheWay.isEmpty()) {
                    take(place);
                    return place;
                }
                start = alignDown(inTheWay.get().start() - size, alignment);
            }
        }
        throw noRoom(what, size, alignment, limit);
    }

    private Optional<GuestRange> obstacle(GuestRange place) {
        return taken.stream().filter(place::overlaps).findFirst();
    }

    private static boolean fits(long start, long size, long end) {
        return start <= end && size <= end - start;
    }

    private static long alignUp(long address, long alignment) {
        return (address + alignment - 1) & -alignment;
    }

    private static long alignDown(long address, long alignment) {
        return address & -alignment;
    }

    private IllegalArgumentException noRoom(String what, long size, long alignment, long limit) {
        return new IllegalArgumentException("no room for the " + what + " of " + size + " bytes, aligned to "
                + alignment + ", below 0x" + Long.toHexString(limit) + ": RAM is " + ram + ", taken is " + taken
                + "; give the guest more memory");
    }
}
