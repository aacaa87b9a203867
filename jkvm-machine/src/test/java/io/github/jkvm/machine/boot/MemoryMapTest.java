package io.github.jkvm.machine.boot;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.MemoryRegion;
import java.util.ArrayList;
import java.util.List;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.junit.jupiter.api.Test;

class MemoryMapTest {
    private static final long MIB = 1L << 20;
    private static final long GIB = 1L << 30;

    @Test
    void describesAPcWithItsHolesBelowOneMebibyte() {
        assertThat(MemoryMap.pc(64 * MIB)).hasToString("""
                        0x0..0x9fbff RAM
                        0x9fc00..0x9ffff RESERVED
                        0xf0000..0xfffff RESERVED
                        0x100000..0x3ffffff RAM""");
    }

    @Test
    void movesRamThatDoesNotFitBelowTheHoleAboveFourGibibytes() {
        assertThat(MemoryMap.pc(5 * GIB).ranges(MemoryMap.Kind.RAM))
                .contains(new GuestRange(MIB, 3 * GIB - MIB), new GuestRange(4 * GIB, 2 * GIB));
        assertThat(MemoryMap.ramOf(5 * GIB))
                .containsExactly(new GuestRange(0, 3 * GIB), new GuestRange(4 * GIB, 2 * GIB));
        assertThat(MemoryMap.ramOf(3 * GIB)).containsExactly(new GuestRange(0, 3 * GIB));
    }

    @Test
    void refusesRamThatIsTooSmallOrNotWholePages() {
        for (long size : new long[] {-4096, 0, MIB, 2 * MIB + 1, Long.MAX_VALUE & -4096}) {
            assertThatThrownBy(() -> MemoryMap.pc(size))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("RAM of " + size + " bytes");
        }
    }

    @Test
    void splitsAnEntryAroundARangeOfAnotherKind() {
        MemoryMap map = MemoryMap.empty()
                .with(new GuestRange(0, 0x4000), MemoryMap.Kind.RAM)
                .with(new GuestRange(0x1000, 0x1000), MemoryMap.Kind.ACPI);
        assertThat(map).hasToString("0x0..0xfff RAM\n0x1000..0x1fff ACPI\n0x2000..0x3fff RAM");
        assertThat(map.with(new GuestRange(0x1000, 0x1000), MemoryMap.Kind.RAM)).hasToString("0x0..0x3fff RAM");
        assertThat(map.with(new GuestRange(0x1000, 0), MemoryMap.Kind.NVS)).isEqualTo(map);
    }

    @Test
    void takesEveryRegionOfAGuestMemoryAsRam() {
        GuestMemory memory = GuestMemory.of(
                MemoryRegion.onHeap(GuestAddress.of(0x8000), 0x1000), MemoryRegion.onHeap(GuestAddress.ZERO, 0x1000));
        assertThat(MemoryMap.of(memory)).hasToString("0x0..0xfff RAM\n0x8000..0x8fff RAM");
    }

    @Test
    void refusesMoreEntriesThanAZeroPageHolds() {
        MemoryMap map = MemoryMap.empty();
        for (int i = 0; i < MemoryMap.MAX_ENTRIES; i++) {
            map = map.with(new GuestRange(i * 0x2000L, 0x1000), MemoryMap.Kind.RAM);
        }
        MemoryMap full = map;
        assertThatThrownBy(() -> full.with(new GuestRange(GIB, 1), MemoryMap.Kind.RAM))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("129 entries");
    }

    @Test
    void numbersTheKindsAsAcpiDoes() {
        // ACPI 6.5, table 15.1: 1 memory, 2 reserved, 3 ACPI reclaim, 4 ACPI NVS.
        assertThat(MemoryMap.Kind.values()).extracting(MemoryMap.Kind::number).containsExactly(1, 2, 3, 4);
    }

    record Change(GuestRange range, MemoryMap.Kind kind) {}

    @Provide
    Arbitrary<List<Change>> changes() {
        return Combinators.combine(
                        Arbitraries.longs().between(0, 60),
                        Arbitraries.longs().between(0, 20),
                        Arbitraries.of(MemoryMap.Kind.class))
                .as((start, size, kind) -> new Change(new GuestRange(start, size), kind))
                .list()
                .ofMaxSize(20);
    }

    @Property
    void saysOfEveryByteWhatWasSaidLast(@ForAll("changes") List<Change> changes) {
        MemoryMap map = MemoryMap.empty();
        MemoryMap.Kind[] expected = new MemoryMap.Kind[80];
        for (Change change : changes) {
            map = map.with(change.range(), change.kind());
            for (long i = change.range().start(); i < change.range().end(); i++) {
                expected[(int) i] = change.kind();
            }
        }
        MemoryMap.Kind[] actual = new MemoryMap.Kind[80];
        List<GuestRange> seen = new ArrayList<>();
        for (MemoryMap.Entry entry : map.entries()) {
            if (!seen.isEmpty()) {
                assertThat(seen.getLast().end())
                        .isLessThanOrEqualTo(entry.range().start());
            }
            seen.add(entry.range());
            for (long i = entry.range().start(); i < entry.range().end(); i++) {
                actual[(int) i] = entry.kind();
            }
        }
        assertThat(actual).isEqualTo(expected);
    }
}
