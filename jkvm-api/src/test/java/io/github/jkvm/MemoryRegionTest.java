package io.github.jkvm;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.Test;

class MemoryRegionTest {
    private static final long PAGE = DirtyPages.PAGE_SIZE;

    @Test
    void refusesSizesTheHeapCantGive() {
        for (long size : new long[] {0, -8, 7, 16L << 30}) {
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> MemoryRegion.onHeap(GuestAddress.ZERO, size))
                    .withMessageContaining("size " + size);
        }
    }

    @Test
    void refusesToPassTheEndOfTheAddressSpace() {
        GuestAddress lastPage = GuestAddress.of(-PAGE);
        assertThat(MemoryRegion.onHeap(lastPage, PAGE).contains(-1, 1)).isTrue();
        assertThatIllegalArgumentException()
                .isThrownBy(() -> MemoryRegion.onHeap(lastPage, 2 * PAGE))
                .withMessageContaining("passes the end");
    }

    @Test
    void refusesSegmentsItCantServeAllThreadsWith() {
        var access = MemoryRegion.Access.READ_WRITE;
        try (Arena confined = Arena.ofConfined()) {
            MemorySegment segment = confined.allocate(PAGE, PAGE);
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> MemoryRegion.of(GuestAddress.ZERO, segment, access))
                    .withMessageContaining("all threads");
        }
        assertThatIllegalArgumentException()
                .isThrownBy(() -> MemoryRegion.of(GuestAddress.ZERO, MemorySegment.ofArray(new byte[8]), access))
                .withMessageContaining("aligned");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> MemoryRegion.of(
                        GuestAddress.ZERO, MemorySegment.ofArray(new long[8]).asReadOnly(), access))
                .withMessageContaining("writable");
    }

    @Test
    void throwsInsteadOfCrashingOnceItsArenaIsClosed() {
        GuestMemory memory;
        try (Arena arena = Arena.ofShared()) {
            memory = GuestMemory.of(
                    MemoryRegion.of(GuestAddress.ZERO, arena.allocate(PAGE, PAGE), MemoryRegion.Access.READ_WRITE));
            memory.writeInt(0, 1);
        }
        assertThatIllegalStateException().isThrownBy(() -> memory.readInt(0));
        assertThatIllegalStateException().isThrownBy(() -> memory.writeShortRelease(0, (short) 1));
        assertThatIllegalStateException().isThrownBy(() -> memory.fill(0, 8, (byte) 1));
    }

    @Test
    void containsOnlyWhatLiesWhollyInside() {
        MemoryRegion region = MemoryRegion.onHeap(GuestAddress.of(PAGE), PAGE);
        assertThat(region.contains(PAGE, PAGE)).isTrue();
        assertThat(region.contains(PAGE, PAGE + 1)).isFalse();
        assertThat(region.contains(PAGE - 1, 1)).isFalse();
        assertThat(region.contains(2 * PAGE - 1, 1)).isTrue();
        assertThat(region.contains(2 * PAGE - 1, 2)).isFalse();
        assertThat(region.contains(PAGE, -1)).isFalse();
        assertThat(region.contains(PAGE + 1, Long.MAX_VALUE)).isFalse();
    }

    @Test
    void recordsThePagesTheHostWrites() {
        MemoryRegion region = MemoryRegion.onHeap(GuestAddress.of(PAGE), 200 * PAGE);
        GuestMemory memory = GuestMemory.of(region);
        memory.writeByte(PAGE, (byte) 1);
        assertThatIllegalStateException().isThrownBy(region::takeHostDirtyPages).withMessageContaining("start it");

        region.startHostDirtyTracking();
        memory.writeByte(PAGE + 3 * PAGE, (byte) 1);
        memory.writeLong(PAGE + 101 * PAGE - 4, -1);
        memory.writeIntRelease(PAGE + 150 * PAGE, 1);
        memory.readLong(PAGE + 50 * PAGE);
        assertThat(region.takeHostDirtyPages().offsets()).containsExactly(3 * PAGE, 100 * PAGE, 101 * PAGE, 150 * PAGE);
        assertThat(region.takeHostDirtyPages().isEmpty()).isTrue();

        memory.fill(PAGE + 63 * PAGE, 2 * PAGE, (byte) 1);
        assertThat(region.takeHostDirtyPages().offsets()).containsExactly(63 * PAGE, 64 * PAGE);
        region.stopHostDirtyTracking();
        assertThatIllegalStateException().isThrownBy(region::takeHostDirtyPages);
    }

    @Test
    void refusesToMarkWhatIsOutside() {
        MemoryRegion region = MemoryRegion.onHeap(GuestAddress.ZERO, PAGE);
        region.startHostDirtyTracking();
        assertThatExceptionOfType(IndexOutOfBoundsException.class).isThrownBy(() -> region.markDirty(PAGE - 1, 2));
        assertThatExceptionOfType(IndexOutOfBoundsException.class).isThrownBy(() -> region.markDirty(-1, 1));
        region.markDirty(PAGE, 0);
        assertThat(region.takeHostDirtyPages().isEmpty()).isTrue();
    }

    @Test
    void discardsByFillingWithZerosWhereMemoryIsNotMadeOfPages() {
        MemoryRegion region = MemoryRegion.onHeap(GuestAddress.of(0x1000), 0x4000);
        region.segment().fill((byte) 7);
        region.startHostDirtyTracking();
        assertThat(region.discard(0x1000, 0x2000)).isEqualTo(0x2000);
        assertThat(region.segment().asSlice(0x1000, 0x2000).toArray(JAVA_BYTE)).containsOnly(0);
        assertThat(region.segment().get(JAVA_BYTE, 0xFFF)).isEqualTo((byte) 7);
        assertThat(region.segment().get(JAVA_BYTE, 0x3000)).isEqualTo((byte) 7);
        assertThat(region.takeHostDirtyPages().offsets()).containsExactly(0x1000L, 0x2000L);
        assertThat(region.remains()).isEqualTo(HostPages.Remains.ZEROS);
        assertThat(region.sharedFile()).isEmpty();
    }

    @Test
    void discardsOnlyWhatIsInside() {
        MemoryRegion region = MemoryRegion.onHeap(GuestAddress.of(0x1000), 0x4000);
        assertThatExceptionOfType(IndexOutOfBoundsException.class).isThrownBy(() -> region.discard(0x3000, 0x1001));
        assertThatExceptionOfType(IndexOutOfBoundsException.class).isThrownBy(() -> region.discard(-1, 1));
        assertThatExceptionOfType(IndexOutOfBoundsException.class)
                .isThrownBy(() -> region.discard(0x1000, Long.MAX_VALUE));
    }
}
