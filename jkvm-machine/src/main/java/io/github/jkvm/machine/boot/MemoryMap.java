package io.github.jkvm.machine.boot;

import io.github.jkvm.GuestMemory;
import io.github.jkvm.MemoryRegion;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.stream.Collectors;

/**
 * What a guest is told about its physical memory: the list that firmware returns from INT 15h, function E820h.
 *
 * <p>Entries are sorted, never empty, never overlap, and neighbours of one kind are merged. What no entry covers is no memory: the guest may
 * put devices there. Immutable.
 *
 * <p>{@snippet lang = java :
 * MemoryMap map = MemoryMap.pc(512L << 20).with(new GuestRange(0xE0000, 0x10000), MemoryMap.Kind.RESERVED);
 * }
 */
public final class MemoryMap {
    /** Where the hole for devices below 4 GiB begins on a PC board: RAM that would lie from here up goes above 4 GiB. */
    public static final long HOLE_START = 0xC000_0000L;

    /** Where RAM goes on above the hole: 4 GiB. */
    public static final long HOLE_END = 1L << 32;

    /**
     * Where conventional memory ends on a PC board: the last KiB below 640 KiB is the extended BIOS data area (EBDA), where firmware and
     * kernels look for tables.
     */
    public static final long CONVENTIONAL_END = 0x9FC00;

    /** Where memory goes on above the video memory and option ROMs of a PC: 1 MiB. */
    public static final long HIGH_START = 0x10_0000;

    /** The most entries that the zero page of Linux holds (E820_MAX_ENTRIES_ZEROPAGE). */
    public static final int MAX_ENTRIES = 128;

    private static final long PAGE = 4096;

    private final List<Entry> entries;

    /** What a range is for; the numbers are those of ACPI 6.5, table 15.1, "Address Range Types". */
    public enum Kind {
        /** Memory that the guest may use. */
        RAM(1),
        /** Not to be touched. */
        RESERVED(2),
        /** ACPI tables: RAM once the guest has read them. */
        ACPI(3),
        /** Memory that ACPI keeps across sleep. */
        NVS(4);

        private final int number;

        Kind(int number) {
            this.number = number;
        }

        /**
         * Returns the number that stands for the kind in the guest's table.
         *
         * @return the number, from 1
         */
        public int number() {
            return number;
        }
    }

    /**
     * One range of the map.
     *
     * @param range where it lies; not empty
     * @param kind what it is for
     */
    public record Entry(GuestRange range, Kind kind) {
        /**
         * Checks the entry.
         *
         * @throws IllegalArgumentException if the range is empty
         */
        public Entry {
            Objects.requireNonNull(kind, "kind");
            if (range.size() == 0) {
                throw new IllegalArgumentException("a memory map entry at " + range + " needs a size above 0");
            }
        }
    }

    private MemoryMap(List<Entry> entries) {
        if (entries.size() > MAX_ENTRIES) {
            throw new IllegalArgumentException(
                    "memory map has " + entries.size() + " entries; the guest takes up to " + MAX_ENTRIES);
        }
        this.entries = List.copyOf(entries);
    }

    /**
     * Returns a map without entries.
     *
     * @return the map
     */
    public static MemoryMap empty() {
        return new MemoryMap(List.of());
    }

    /**
     * Returns the map of a PC with the given RAM: conventional memory below the EBDA, the EBDA and the firmware area below 1 MiB reserved,
     * RAM from 1 MiB to at most {@link #HOLE_START}, and the rest from {@link #HOLE_END} up. The video memory between 640 KiB and 960 KiB is
     * in no entry, as on a PC.
     *
     * @param ramSize size of the guest's RAM in bytes, a multiple of 4096, from 2 MiB; {@link #ramOf} tells which regions that is
     * @return the map
     * @throws IllegalArgumentException if the size is out of range
     */
    public static MemoryMap pc(long ramSize) {
        MemoryMap map = empty().with(GuestRange.between(0, CONVENTIONAL_END), Kind.RAM)
                .with(GuestRange.between(CONVENTIONAL_END, 0xA_0000), Kind.RESERVED)
                .with(GuestRange.between(0xF_0000, HIGH_START), Kind.RESERVED);
        for (GuestRange ram : ramOf(ramSize)) {
            map = map.with(GuestRange.between(Math.max(ram.start(), HIGH_START), ram.end()), Kind.RAM);
        }
        return map;
    }

    /**
     * Returns where the RAM of a PC board lies: one range from 0, and one from {@link #HOLE_END} if it does not fit below
     * {@link #HOLE_START}.
     *
     * @param ramSize size of the guest's RAM in bytes, a multiple of 4096, from 2 MiB
     * @return one or two ranges, lowest first
     * @throws IllegalArgumentException if the size is out of range
     */
    public static List<GuestRange> ramOf(long ramSize) {
        if (ramSize < 2 * HIGH_START || ramSize % PAGE != 0 || ramSize > GuestRange.ADDRESS_SPACE - HOLE_END) {
            throw new IllegalArgumentException(
                    "RAM of " + ramSize + " bytes must be a multiple of 4096, from 2 MiB, and fit 52 bits of address");
        }
        long low = Math.min(ramSize, HOLE_START);
        return ramSize == low
                ? List.of(new GuestRange(0, low))
                : List.of(new GuestRange(0, low), new GuestRange(HOLE_END, ramSize - low));
    }

    /**
     * Returns a map in which every region of a guest memory is RAM: enough for guests that know no PC.
     *
     * @param memory the memory
     * @return the map
     * @throws IllegalArgumentException if a region passes 2^52, or there are too many
     */
    public static MemoryMap of(GuestMemory memory) {
        MemoryMap map = empty();
        for (MemoryRegion region : memory.regions()) {
            map = map.with(new GuestRange(region.base().value(), region.size()), Kind.RAM);
        }
        return map;
    }

    /**
     * Returns this map with one range given a kind, whatever it was before.
     *
     * @param range the range; an empty one changes nothing
     * @param kind its kind
     * @return the new map
     * @throws IllegalArgumentException if the result has more than {@link #MAX_ENTRIES} entries
     */
    public MemoryMap with(GuestRange range, Kind kind) {
        if (range.size() == 0) {
            return this;
        }
        List<Entry> next = new ArrayList<>(entries.size() + 2);
        Entry wanted = new Entry(range, kind);
        boolean placed = false;
        for (Entry entry : entries) {
            GuestRange old = entry.range();
            if (old.start() < range.start()) {
                append(next, GuestRange.between(old.start(), Math.min(old.end(), range.start())), entry.kind());
            }
            if (!placed && old.end() > range.start()) {
                append(next, wanted.range(), wanted.kind());
                placed = true;
            }
            if (old.end() > range.end()) {
                append(next, GuestRange.between(Math.max(old.start(), range.end()), old.end()), entry.kind());
            }
        }
        if (!placed) {
            append(next, wanted.range(), wanted.kind());
        }
        return new MemoryMap(next);
    }

    private static void append(List<Entry> list, GuestRange range, Kind kind) {
        if (!list.isEmpty()) {
            Entry last = list.getLast();
            if (last.kind() == kind && last.range().end() == range.start()) {
                list.set(
                        list.size() - 1,
                        new Entry(GuestRange.between(last.range().start(), range.end()), kind));
                return;
            }
        }
        list.add(new Entry(range, kind));
    }

    /**
     * Returns the entries, lowest first.
     *
     * @return an immutable list
     */
    public List<Entry> entries() {
        return entries;
    }

    /**
     * Returns the ranges of one kind, lowest first.
     *
     * @param kind the kind
     * @return an immutable list
     */
    public List<GuestRange> ranges(Kind kind) {
        return entries.stream()
                .filter(entry -> entry.kind() == kind)
                .map(Entry::range)
                .toList();
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof MemoryMap that && entries.equals(that.entries);
    }

    @Override
    public int hashCode() {
        return entries.hashCode();
    }

    /** Returns one entry a line, such as {@code 0x0..0x9fbff RAM}. */
    @Override
    public String toString() {
        return entries.stream().map(entry -> entry.range() + " " + entry.kind()).collect(Collectors.joining("\n"));
    }
}
