package io.github.jkvm.machine.snapshot;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.DirtyPages;
import io.github.jkvm.Hypervisor;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.Vm;
import io.github.jkvm.machine.Fakes;
import io.github.jkvm.machine.boot.GuestRange;
import io.github.jkvm.machine.state.Pages;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.function.Supplier;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;

class MemoryRecordTest {
    private static final int PAGES = 500;
    private static final long SIZE = (long) PAGES * Pages.SIZE;
    private static final List<GuestRange> RAM =
            List.of(new GuestRange(0, 200L * Pages.SIZE), new GuestRange(0x1_0000_0000L, SIZE - 200L * Pages.SIZE));

    /** A machine's memory, which begins as zeros or as a snapshot. */
    private static final class Guest {
        private final List<MemoryRegion> regions = new ArrayList<>();
        private final List<MemorySegment> beginnings = new ArrayList<>();
        private final Vm vm;
        private final MemoryRecord record;

        Guest(GuestContents origin, boolean hostKnowsChanges) {
            for (GuestRange range : RAM) {
                MemorySegment begins = origin == null
                        ? MemorySegment.ofArray(new byte[(int) range.size()])
                        : TestMemory.asRestored(origin, GuestContents.offsetOf(RAM, range), range.size());
                int number = regions.size();
                Supplier<Optional<DirtyPages>> changed =
                        hostKnowsChanges ? () -> Optional.of(changed(number)) : Optional::empty;
                beginnings.add(begins);
                regions.add(TestMemory.region(range.start(), begins, changed));
            }
            vm = TestMemory.vm(regions);
            record = new MemoryRecord(vm, RAM, origin == null ? null : origin.layer());
        }

        private DirtyPages changed(int region) {
            MemorySegment now = regions.get(region).segment();
            var changed = new BitSet();
            for (long at = 0; at < now.byteSize(); at += Pages.SIZE) {
                changed.set((int) (at / Pages.SIZE), !Pages.same(now, at, beginnings.get(region), at));
            }
            return DirtyPages.ofBits(changed.toLongArray());
        }

        /** Writes here and there: something, and now and then zeros. */
        void write(Random random, int count) {
            for (int i = 0; i < count; i++) {
                GuestRange range = RAM.get(random.nextInt(RAM.size()));
                long at = range.start() + random.nextLong(range.size() / Long.BYTES) * Long.BYTES;
                if (random.nextInt(4) == 0) {
                    vm.memory().fill(at & -Pages.SIZE, Pages.SIZE, (byte) 0);
                } else {
                    vm.memory().writeLong(at, random.nextLong());
                }
            }
        }

        MemorySegment now() {
            var all = MemorySegment.ofArray(new byte[(int) SIZE]);
            for (int i = 0; i < RAM.size(); i++) {
                all.asSlice(GuestContents.offsetOf(RAM, RAM.get(i)), RAM.get(i).size())
                        .copyFrom(regions.get(i).segment());
            }
            return all;
        }

        GuestContents snapshot(GuestContents base) {
            return new GuestContents(record.copy(TestMemory.HYPERVISOR, base == null ? null : base.layer()));
        }
    }

    private static void assertSame(GuestContents contents, MemorySegment expected) {
        assertThat(TestMemory.asRestored(contents).mismatch(expected)).isEqualTo(-1);
    }

    /** Increments on any earlier snapshot, of machines that were restored in between, are as good as whole snapshots. */
    @Property(tries = 60)
    void anyChainOfIncrementsHoldsTheWholeMemory(
            @ForAll long seed, @ForAll @IntRange(min = 2, max = 8) int generations, @ForAll boolean hostKnowsChanges) {
        var random = new Random(seed);
        var guest = new Guest(null, hostKnowsChanges);
        List<GuestContents> taken = new ArrayList<>();
        List<MemorySegment> expected = new ArrayList<>();
        for (int i = 0; i < generations; i++) {
            guest.write(random, random.nextInt(i == 0 ? 400 : 120));
            boolean whole = taken.isEmpty() || random.nextInt(6) == 0;
            GuestContents base =
                    whole ? null : taken.get(random.nextBoolean() ? taken.size() - 1 : random.nextInt(taken.size()));
            taken.add(guest.snapshot(base));
            expected.add(guest.now());
            if (random.nextInt(3) == 0) {
                int origin = random.nextInt(taken.size());
                guest = new Guest(taken.get(origin), hostKnowsChanges);
                assertThat(guest.now().mismatch(expected.get(origin))).isEqualTo(-1);
            }
        }
        for (int i = 0; i < taken.size(); i++) {
            assertSame(taken.get(i), expected.get(i));
        }
        // Each stays whole when others are closed.
        while (!taken.isEmpty()) {
            int closed = random.nextInt(taken.size());
            taken.remove(closed).close();
            expected.remove(closed);
            for (int i = 0; i < taken.size(); i++) {
                assertSame(taken.get(i), expected.get(i));
            }
        }
    }

    @Test
    void onlyWhatWasWrittenIsCopiedOnceThereIsARecord() {
        var guest = new Guest(null, false);
        guest.write(new Random(1), 300);
        try (GuestContents whole = guest.snapshot(null);
                GuestContents first = guest.snapshot(whole)) {
            assertThat(first.layer().ownBytes()).isZero();
            guest.vm.memory().writeLong(0x5000, 1);
            guest.vm.memory().writeLong(0x1_0000_0008L, 1);
            try (GuestContents second = guest.snapshot(first)) {
                assertThat(second.layer().ownBytes()).isEqualTo(2 * Pages.SIZE);
                assertThat(second.layer().depth()).isEqualTo(2);
                guest.vm.memory().writeLong(0x8000, 1);
                try (GuestContents besides = guest.snapshot(whole)) {
                    assertThat(besides.layer().pages().cardinality()).isEqualTo(3);
                    assertSame(besides, guest.now());
                }
            }
        }
    }

    @Test
    void aCloneKnowsWhatItWroteWithoutARecord() {
        var guest = new Guest(null, true);
        guest.write(new Random(1), 300);
        try (GuestContents whole = guest.snapshot(null)) {
            var clone = new Guest(whole, true);
            clone.vm.memory().writeLong(0x5000, 77);
            try (GuestContents increment = clone.snapshot(whole)) {
                assertThat(increment.layer().ownBytes()).isEqualTo(Pages.SIZE);
                assertSame(increment, clone.now());
            }
        }
    }

    /** What was taken from the record is lost then: the next one compares. */
    @Test
    void aSnapshotThatFailsLosesNothing() {
        var guest = new Guest(null, false);
        guest.write(new Random(1), 300);
        try (GuestContents whole = guest.snapshot(null);
                GuestContents first = guest.snapshot(whole)) {
            guest.vm.memory().writeLong(0x5000, 1);
            var noRoom = Fakes.of(Hypervisor.class, Map.of());
            assertThatThrownBy(() -> guest.record.copy(noRoom, first.layer()))
                    .isInstanceOf(UnsupportedOperationException.class);
            try (GuestContents second = guest.snapshot(first)) {
                assertThat(second.layer().ownBytes()).isEqualTo(Pages.SIZE);
                assertSame(second, guest.now());
            }
        }
    }

    @Test
    void pagesThatLieScatteredAreGatheredInAFewPieces() {
        var guest = new Guest(null, false);
        guest.write(new Random(1), 2000);
        try (GuestContents whole = guest.snapshot(null)) {
            for (long at = 0; at < RAM.getFirst().size(); at += 2 * Pages.SIZE) {
                guest.vm.memory().writeLong(at, at + 1);
            }
            try (GuestContents increment = guest.snapshot(whole)) {
                LayerStack stack = LayerStack.of(increment.layer(), TestMemory.HYPERVISOR);
                assertThat(stack.pieces()).hasSize(64);
                assertThat(stack.gathered()).isNotNull();
                assertSame(increment, guest.now());
            }
        }
    }
}
