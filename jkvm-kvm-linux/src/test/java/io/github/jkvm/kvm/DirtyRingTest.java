package io.github.jkvm.kvm;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.MemoryRegion;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class DirtyRingTest {
    private static final int ENTRIES = 256;
    private static final long ENTRY_SIZE = 16;
    private static final int DIRTY = 1;
    private static final int RESET = 2;

    private final MemorySegment memory = Arena.ofAuto().allocate(ENTRIES * ENTRY_SIZE, Long.BYTES);
    private final MemoryRegion region = MemoryRegion.onHeap(GuestAddress.ZERO, 0x10_0000);
    private final DirtyRing ring = new DirtyRing(memory, slot -> slot == 3 ? region : null);
    private final List<Long> dirty = new ArrayList<>();

    /** What the kernel does when a page becomes dirty. */
    private void push(int index, int slot, long page) {
        long at = (index % ENTRIES) * ENTRY_SIZE;
        memory.set(JAVA_INT, at + 4, slot);
        memory.set(JAVA_LONG, at + 8, page);
        memory.set(JAVA_INT, at, DIRTY);
    }

    private int flags(int index) {
        return memory.get(JAVA_INT, (index % ENTRIES) * ENTRY_SIZE);
    }

    private void note(MemoryRegion of, long offset) {
        assertThat(of).isSameAs(region);
        dirty.add(offset);
    }

    @Test
    void handsOverPagesInOrderAndMarksThemForReset() {
        push(0, 3, 7);
        push(1, 3, 0);

        assertThat(ring.harvest(this::note)).isEqualTo(2);
        assertThat(dirty).containsExactly(0x7000L, 0L);
        // api.rst, KVM_CAP_DIRTY_LOG_RING: "it must ... mark the flags ... set bit 1 of the flags, clear bit 0"
        assertThat(flags(0)).isEqualTo(RESET);
        assertThat(flags(1)).isEqualTo(RESET);
        assertThat(ring.harvest(this::note)).isZero();
    }

    /** What the kernel does at {@code KVM_RESET_DIRTY_RINGS}; returns where it stopped. */
    private int reset(int from) {
        int index = from;
        while (flags(index) == RESET) {
            memory.set(JAVA_INT, (index++ % ENTRIES) * ENTRY_SIZE, 0);
        }
        return index;
    }

    @Test
    void goesRoundTheRingManyTimes() {
        int kernel = 0;
        for (int i = 0; i < 3 * ENTRIES; i++) {
            push(i, 3, i % 256);
            assertThat(ring.harvest(this::note)).isEqualTo(1);
            kernel = reset(kernel);
        }
        assertThat(dirty).hasSize(3 * ENTRIES);
        assertThat(kernel).isEqualTo(3 * ENTRIES);
    }

    @Test
    void tellsThatTheKernelWentPastTheEndOfTheRingAndFindsItAgain() {
        int kernel = 0;
        for (; kernel < ENTRIES + 30; kernel++) {
            push(kernel, 3, kernel % 256);
        }
        assertThatThrownBy(() -> ring.harvest(this::note))
                .isInstanceOf(DirtyRingOverrunException.class)
                .hasMessageContaining("more pages than its ring of 256 entries holds; take every page for written");
        assertThat(dirty).hasSize(ENTRIES);
        assertThat(reset(0)).isEqualTo(ENTRIES);
        assertThat(ring.harvest(this::note)).isZero();

        dirty.clear();
        push(kernel, 3, 5);
        push(kernel + 1, 3, 6);
        assertThat(ring.harvest(this::note)).isEqualTo(2);
        assertThat(dirty).containsExactly(0x5000L, 0x6000L);
        assertThat(reset(ENTRIES)).isEqualTo(kernel + 2);
    }

    @Test
    void skipsPagesOfRegionsThatAreGoneAndPagesPastTheEnd() {
        push(0, 4, 1);
        push(1, 3, 0x100);
        push(2, 3, -1);
        push(3, 3 | 1 << 16, 1);
        push(4, 3, 0xFF);

        assertThat(ring.harvest(this::note)).isEqualTo(5);
        assertThat(dirty).containsExactly(0xF_F000L);
    }

    @Test
    void handsOverAPageAgainWhoseHandlerThrew() {
        push(0, 3, 1);
        push(1, 3, 2);

        assertThatThrownBy(() -> ring.harvest((of, offset) -> {
                    throw new ArithmeticException("thrown by a test");
                }))
                .isInstanceOf(ArithmeticException.class);
        assertThat(ring.harvest(this::note)).isEqualTo(2);
        assertThat(dirty).containsExactly(0x1000L, 0x2000L);
    }
}
