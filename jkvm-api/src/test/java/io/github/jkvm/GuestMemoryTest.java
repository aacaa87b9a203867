package io.github.jkvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;

class GuestMemoryTest {
    /** Two regions that touch, a hole, and one more. */
    private static final int FIRST = 64;

    private static final int SECOND = 128;
    private static final int END = 192;
    private static final int THIRD = 256;
    private static final int THIRD_END = 320;

    private final GuestMemory memory = GuestMemory.of(
            MemoryRegion.onHeap(GuestAddress.of(THIRD), THIRD_END - THIRD),
            MemoryRegion.onHeap(GuestAddress.of(FIRST), SECOND - FIRST),
            MemoryRegion.onHeap(GuestAddress.of(SECOND), END - SECOND));

    @Test
    void readsNumbersLittleEndian() {
        memory.write(FIRST, new byte[] {1, 2, 3, 4, 5, 6, 7, 8});
        assertThat(memory.readByte(FIRST)).isEqualTo((byte) 1);
        assertThat(memory.readShort(FIRST + 1)).isEqualTo((short) 0x0302);
        assertThat(memory.readInt(FIRST)).isEqualTo(0x04030201);
        assertThat(memory.readLong(FIRST)).isEqualTo(0x0807060504030201L);
        assertThat(memory.readLongAcquire(FIRST)).isEqualTo(0x0807060504030201L);
    }

    @Test
    void refusesToTouchAHoleAndLeavesTheRestAlone() {
        byte[] bytes = new byte[16];
        Arrays.fill(bytes, (byte) 7);
        assertThatExceptionOfType(GuestMemoryException.class)
                .isThrownBy(() -> memory.write(END - 8, bytes))
                .withMessageContaining("16 bytes at 0xb8")
                .satisfies(e -> assertThat(e.length()).isEqualTo(16));
        assertThat(memory.read(END - 8, 8)).containsOnly(0);
        assertThatExceptionOfType(GuestMemoryException.class).isThrownBy(() -> memory.writeInt(END - 2, -1));
        assertThat(memory.readShort(END - 2)).isZero();
        assertThatExceptionOfType(GuestMemoryException.class).isThrownBy(() -> memory.readByte(-1));
        assertThatExceptionOfType(GuestMemoryException.class).isThrownBy(() -> memory.fill(THIRD, -1, (byte) 0));
    }

    @Test
    void tellsWhatTheGuestMayWrite() {
        var readOnly = MemoryRegion.of(
                GuestAddress.of(END), MemorySegment.ofArray(new long[1]), MemoryRegion.Access.READ_ONLY);
        memory.add(readOnly);
        assertThat(memory.isWritable(FIRST, END - FIRST))
                .as("across two regions")
                .isTrue();
        assertThat(memory.isWritable(END, 0)).isTrue();
        assertThat(memory.isWritable(END, 1)).as("memory that can only be read").isFalse();
        assertThat(memory.isWritable(END - 1, 2)).isFalse();
        assertThat(memory.contains(END - 1, 2)).isTrue();
        assertThat(memory.isWritable(THIRD_END - 8, 9)).as("beyond the end").isFalse();
        assertThat(memory.isWritable(FIRST, -1)).isFalse();
        assertThat(memory.isWritable(-8, 16))
                .as("around the end of the address space")
                .isFalse();
    }

    @Test
    void refusesALengthFromTheGuestBeforeAllocatingForIt() {
        assertThatExceptionOfType(GuestMemoryException.class).isThrownBy(() -> memory.read(FIRST, Integer.MAX_VALUE));
        assertThatExceptionOfType(GuestMemoryException.class).isThrownBy(() -> memory.read(FIRST, -1));
    }

    @Test
    void readsAndWritesAcrossRegionsThatTouch() {
        memory.writeLong(SECOND - 3, 0x1122334455667788L);
        assertThat(memory.readLong(SECOND - 3)).isEqualTo(0x1122334455667788L);
        memory.writeInt(SECOND - 1, 0xCAFEBABE);
        assertThat(memory.readInt(SECOND - 1)).isEqualTo(0xCAFEBABE);
        memory.writeShort(SECOND - 1, (short) 0x1234);
        assertThat(memory.readShort(SECOND - 1)).isEqualTo((short) 0x1234);
        assertThat(memory.slices(FIRST, END - FIRST))
                .extracting(MemorySegment::byteSize)
                .containsExactly(64L, 64L);
        assertThatExceptionOfType(GuestMemoryException.class).isThrownBy(() -> memory.slice(FIRST, END - FIRST));
    }

    @Test
    void acceptsAnEmptyRangeWhereNothingIsReadOrWritten() {
        memory.write(FIRST, new byte[0]);
        memory.fill(END, 0, (byte) 1);
        assertThat(memory.read(0, 0)).isEmpty();
        assertThat(memory.contains(0, 0)).isTrue();
    }

    @Test
    void refusesOrderedAccessThatIsNotAligned() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> memory.readShortAcquire(FIRST + 1))
                .withMessageContaining("multiple of 2");
        assertThatIllegalArgumentException().isThrownBy(() -> memory.writeLongRelease(FIRST + 4, 1));
    }

    @Test
    void findsTheRegionThatHoldsAllOfARange() {
        assertThat(memory.find(FIRST, 1)).isSameAs(memory.region(FIRST, 1));
        assertThat(memory.find(FIRST, SECOND - FIRST)).isSameAs(memory.region(FIRST, 1));
        assertThat(memory.find(SECOND - 1, 2)).isNull();
        assertThat(memory.find(END, 1)).isNull();
        assertThat(memory.find(FIRST, -1)).isNull();
    }

    @Test
    void refusesRegionsThatOverlap() {
        for (long base : new long[] {FIRST - 8, FIRST, SECOND - 8, FIRST + 8}) {
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> memory.add(MemoryRegion.onHeap(GuestAddress.of(base), 16)))
                    .withMessageContaining("overlaps");
        }
        assertThatIllegalArgumentException()
                .isThrownBy(() -> memory.add(MemoryRegion.onHeap(GuestAddress.ZERO, 4096)))
                .withMessageContaining("overlaps");
        assertThat(memory.regions()).hasSize(3);
    }

    @Test
    void handlesTheLastPageOfTheAddressSpace() {
        GuestMemory last = GuestMemory.of(MemoryRegion.onHeap(GuestAddress.of(-4096), 4096));
        last.writeLong(-8, 42);
        assertThat(last.readLong(-8)).isEqualTo(42);
        assertThat(last.contains(-8, 8)).isTrue();
        assertThat(last.contains(-8, 9)).isFalse();
        GuestMemory wrapping = GuestMemory.of(
                MemoryRegion.onHeap(GuestAddress.of(-4096), 4096), MemoryRegion.onHeap(GuestAddress.ZERO, 4096));
        assertThat(wrapping.contains(-8, 16)).isFalse();
        assertThatExceptionOfType(GuestMemoryException.class).isThrownBy(() -> wrapping.readLong(-4));
    }

    @Test
    void forgetsARegionThatIsRemoved() {
        MemoryRegion region = memory.region(THIRD, 1);
        memory.remove(region);
        assertThat(memory.contains(THIRD, 1)).isFalse();
        assertThatIllegalArgumentException()
                .isThrownBy(() -> memory.remove(region))
                .withMessageContaining("not part");
    }

    @Test
    void staysReadableWhileRegionsComeAndGo() throws Exception {
        var done = new CountDownLatch(1);
        Thread changer = Thread.ofPlatform().start(() -> {
            for (int i = 0; i < 20_000; i++) {
                MemoryRegion region = MemoryRegion.onHeap(GuestAddress.of(0), 8);
                memory.add(region);
                memory.remove(region);
            }
            done.countDown();
        });
        while (done.getCount() > 0) {
            assertThat(memory.readLong(THIRD)).isZero();
        }
        changer.join();
    }

    @Property
    void behavesAsAnArrayWithHoles(
            @ForAll @IntRange(min = 0, max = 340) int address,
            @ForAll @IntRange(min = 0, max = 200) int length,
            @ForAll long seed) {
        byte[] bytes = new byte[length];
        new Random(seed).nextBytes(bytes);
        boolean inside = (address >= FIRST && address + length <= END)
                || (address >= THIRD && address + length <= THIRD_END)
                || length == 0;
        assertThat(memory.contains(address, length)).isEqualTo(inside);
        if (inside) {
            memory.write(address, bytes);
            assertThat(memory.read(address, length)).isEqualTo(bytes);
            for (int i = 0; i < length; i++) {
                assertThat(memory.readByte(address + i)).isEqualTo(bytes[i]);
            }
        } else {
            assertThatExceptionOfType(GuestMemoryException.class).isThrownBy(() -> memory.write(address, bytes));
            assertThatExceptionOfType(GuestMemoryException.class).isThrownBy(() -> memory.read(address, length));
        }
    }
}
