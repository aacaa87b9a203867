package io.github.jkvm.machine.boot;

import static org.assertj.core.api.Assertions.assertThat;

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

class GuestLayoutTest {
    private static final long RAM = 2L << 20;
    private static final GuestMemory MEMORY = GuestMemory.of(MemoryRegion.onHeap(GuestAddress.ZERO, RAM));

    /** Something to find room for. */
    record Wish(long size, int alignmentBits, boolean high, long limit) {}

    @Provide
    Arbitrary<List<Wish>> wishes() {
        return Combinators.combine(
                        Arbitraries.longs().between(1, 200_000),
                        Arbitraries.integers().between(0, 16),
                        Arbitraries.of(true, false),
                        Arbitraries.longs().between(0, RAM + 100_000))
                .as(Wish::new)
                .list()
                .ofMaxSize(30);
    }

    @Property
    void placesThingsInRamAndApart(@ForAll("wishes") List<Wish> wishes) {
        GuestLayout layout = new GuestLayout(MEMORY, MemoryMap.pc(RAM));
        List<GuestRange> places = new ArrayList<>();
        for (Wish wish : wishes) {
            long alignment = 1L << wish.alignmentBits();
            try {
                GuestRange place = wish.high()
                        ? layout.highest("thing", wish.size(), alignment, wish.limit())
                        : layout.lowest("thing", wish.size(), alignment);
                assertThat(layout.isRam(place)).isTrue();
                assertThat(place.start() % alignment).isZero();
                assertThat(place.start()).isGreaterThanOrEqualTo(GuestLayout.LOWEST);
                assertThat(place.size()).isEqualTo(wish.size());
                assertThat(places).noneMatch(place::overlaps);
                if (wish.high()) {
                    assertThat(place.end()).isLessThanOrEqualTo(wish.limit());
                }
                places.add(place);
            } catch (IllegalArgumentException e) {
                assertThat(e).hasMessageContaining("no room for the thing");
            }
        }
    }

    @Test
    void fillsRamFromBothEnds() {
        GuestLayout layout = new GuestLayout(MEMORY, MemoryMap.pc(RAM));
        assertThat(layout.lowest("first", 100, 8)).isEqualTo(new GuestRange(0x1000, 100));
        assertThat(layout.lowest("second", 100, 4096)).isEqualTo(new GuestRange(0x2000, 100));
        assertThat(layout.lowest("small enough for the gap", 8, 8)).isEqualTo(new GuestRange(0x1068, 8));
        assertThat(layout.highest("last", 100, 4096, RAM)).isEqualTo(new GuestRange(RAM - 4096, 100));
        assertThat(layout.highest("before it", 100, 4096, RAM)).isEqualTo(new GuestRange(RAM - 8192, 100));
        assertThat(layout.lowest("too large for low memory", 700_000, 8)).isEqualTo(new GuestRange(0x10_0000, 700_000));
    }
}
