package io.github.jkvm.virtio.queue;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.virtio.queue.QueueFault.Reason;
import java.lang.foreign.Arena;
import java.util.Set;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class QueueLayoutTest {
    private static final Set<QueueFeature> PACKED = Set.of(QueueFeature.PACKED_RING);

    private final GuestMemory memory = TestQueue.memory();
    private final VirtQueue queue = new VirtQueue(memory, 256);

    private Reason refused(QueueLayout layout) {
        QueueFault fault = queue.activate(layout, Set.of()).orElseThrow();
        assertThat(queue.isActive()).isFalse();
        assertThat(queue.fault()).contains(fault);
        assertThat(queue.pop(new DescriptorChain())).isEqualTo(PopResult.STOPPED);
        return fault.reason();
    }

    /** Virtio 1.2, 2.7: "Queue Size value is always a power of 2. The maximum Queue Size value is 32768." */
    @ParameterizedTest
    @ValueSource(ints = {0, -1, 3, 255, 512, 32_768, 65_536, Integer.MIN_VALUE})
    void refusesSizesThatAreNoPowerOfTwoOrAboveTheLimit(int size) {
        assertThat(refused(new QueueLayout(size, 0x1000, 0x3000, 0x4000))).isEqualTo(Reason.QUEUE_SIZE);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 64, 256})
    void acceptsPowersOfTwoUpToTheLimit(int size) {
        assertThat(queue.activate(TestQueue.layout(size), Set.of())).isEmpty();
        assertThat(queue.isActive()).isTrue();
    }

    @Test
    void acceptsTheGreatestSizeOfTheSpecification() {
        GuestMemory large = GuestMemory.of(MemoryRegion.onHeap(GuestAddress.ZERO, 1 << 20));
        var greatest = new VirtQueue(large, QueueLayout.MAX_SIZE);

        assertThat(greatest.activate(new QueueLayout(32_768, 0, 0x8_0000, 0xA_0000), Set.of()))
                .isEmpty();
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 3, -4, 65_536})
    void refusesToBeMadeWithALimitThatIsNoQueueSize(int maxSize) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new VirtQueue(memory, maxSize))
                .withMessageContaining(String.valueOf(maxSize))
                .withMessageContaining("32768");
    }

    /** Virtio 1.2, 2.7.1: the first byte of each part "is a multiple of the specified alignment value": 16, 2 and 4. */
    @Test
    void refusesPartsThatAreNotAligned() {
        assertThat(refused(new QueueLayout(8, 0x1008, 0x3000, 0x4000))).isEqualTo(Reason.RING_ALIGNMENT);
        assertThat(refused(new QueueLayout(8, 0x1000, 0x3001, 0x4000))).isEqualTo(Reason.RING_ALIGNMENT);
        assertThat(refused(new QueueLayout(8, 0x1000, 0x3000, 0x4002))).isEqualTo(Reason.RING_ALIGNMENT);
        assertThat(queue.activate(new QueueLayout(8, 0x1010, 0x3002, 0x4004), Set.of()))
                .isEmpty();
    }

    /** Virtio 1.2, 2.7: the parts are 16, 2 and 8 bytes for each descriptor, and 6 more for each ring. */
    @Test
    void refusesPartsThatEndOneByteOutsideMemory() {
        long end = TestQueue.MEMORY_BYTES;
        assertThat(refused(new QueueLayout(8, end - 8 * 16 + 16, 0x3000, 0x4000)))
                .isEqualTo(Reason.RING_OUTSIDE_MEMORY);
        assertThat(refused(new QueueLayout(8, 0x1000, end - 20, 0x4000))).isEqualTo(Reason.RING_OUTSIDE_MEMORY);
        assertThat(refused(new QueueLayout(8, 0x1000, 0x3000, end - 68))).isEqualTo(Reason.RING_OUTSIDE_MEMORY);
        assertThat(queue.activate(new QueueLayout(8, end - 8 * 16, 0x3000, 0x4000), Set.of()))
                .isEmpty();
        assertThat(queue.activate(new QueueLayout(8, 0x1000, end - 22, 0x4000), Set.of()))
                .isEmpty();
        assertThat(queue.activate(new QueueLayout(8, 0x1000, 0x3000, end - 72), Set.of()))
                .isEmpty();
    }

    @Test
    void refusesPartsThatPassTheEndOfTheAddressSpace() {
        assertThat(refused(new QueueLayout(256, -16, 0x3000, 0x4000))).isEqualTo(Reason.RING_OUTSIDE_MEMORY);
        assertThat(refused(new QueueLayout(256, 0x1000, -2, 0x4000))).isEqualTo(Reason.RING_OUTSIDE_MEMORY);
        assertThat(refused(new QueueLayout(256, 0x1000, 0x3000, -4))).isEqualTo(Reason.RING_OUTSIDE_MEMORY);
    }

    /** Virtio 1.2, 2.7: "each part is write-able by either the driver or the device, but not both". */
    @Test
    void refusesPartsThatShareBytes() {
        assertThat(refused(new QueueLayout(8, 0x1000, 0x1000 + 126, 0x4000))).isEqualTo(Reason.RINGS_OVERLAP);
        assertThat(refused(new QueueLayout(8, 0x1000, 0x3000, 0x1000 + 124))).isEqualTo(Reason.RINGS_OVERLAP);
        assertThat(refused(new QueueLayout(8, 0x1000, 0x3000, 0x3000 + 20))).isEqualTo(Reason.RINGS_OVERLAP);
        assertThat(refused(new QueueLayout(8, 0x1000, 0x3000 + 68, 0x3000))).isEqualTo(Reason.RINGS_OVERLAP);
        assertThat(refused(new QueueLayout(8, 0x3000, 0x3000, 0x3000))).isEqualTo(Reason.RINGS_OVERLAP);
        assertThat(queue.activate(new QueueLayout(8, 0x1000, 0x1000 + 128, 0x1000 + 152), Set.of()))
                .isEmpty();
    }

    @Test
    void refusesAUsedRingInMemoryThatTheGuestMayNotWrite() {
        try (Arena arena = Arena.ofShared()) {
            memory.add(MemoryRegion.of(
                    GuestAddress.of(0x10_0000), arena.allocate(0x1000, 8), MemoryRegion.Access.READ_ONLY));

            assertThat(refused(new QueueLayout(8, 0x1000, 0x3000, 0x10_0000))).isEqualTo(Reason.RING_OUTSIDE_MEMORY);
            assertThat(queue.activate(new QueueLayout(8, 0x10_0000, 0x10_0800, 0x4000), Set.of()))
                    .isEmpty();
        }
    }

    private Reason refusedPacked(QueueLayout layout) {
        QueueFault fault = queue.activate(layout, PACKED).orElseThrow();
        assertThat(queue.isActive()).isFalse();
        return fault.reason();
    }

    /** Virtio 1.2, 2.8.10.1: "The Queue Size value does not have to be a power of 2". */
    @ParameterizedTest
    @ValueSource(ints = {1, 3, 100, 255, 256})
    void acceptsAnySizeOfAPackedRingUpToTheLimit(int size) {
        assertThat(queue.activate(TestQueue.layout(size), PACKED)).isEmpty();
        assertThat(queue.isActive()).isTrue();
    }

    @ParameterizedTest
    @ValueSource(ints = {0, -1, 257, 65_536, Integer.MIN_VALUE})
    void refusesSizesOfAPackedRingAboveTheLimit(int size) {
        assertThat(refusedPacked(new QueueLayout(size, 0x1000, 0x3000, 0x4000))).isEqualTo(Reason.QUEUE_SIZE);
    }

    /** Virtio 1.2, 2.8.10.1: 16 bytes for each descriptor, aligned to 16; 4 for each other part, aligned to 4. */
    @Test
    void refusesPartsOfAPackedQueueThatAreNotWhereTheyMustBe() {
        long end = TestQueue.MEMORY_BYTES;
        assertThat(refusedPacked(new QueueLayout(8, 0x1008, 0x3000, 0x4000))).isEqualTo(Reason.RING_ALIGNMENT);
        assertThat(refusedPacked(new QueueLayout(8, 0x1000, 0x3002, 0x4000))).isEqualTo(Reason.RING_ALIGNMENT);
        assertThat(refusedPacked(new QueueLayout(8, 0x1000, 0x3000, 0x4002))).isEqualTo(Reason.RING_ALIGNMENT);
        assertThat(refusedPacked(new QueueLayout(8, end - 112, 0x3000, 0x4000))).isEqualTo(Reason.RING_OUTSIDE_MEMORY);
        assertThat(refusedPacked(new QueueLayout(8, 0x1000, end, 0x4000))).isEqualTo(Reason.RING_OUTSIDE_MEMORY);
        assertThat(refusedPacked(new QueueLayout(8, 0x1000, 0x3000, -4))).isEqualTo(Reason.RING_OUTSIDE_MEMORY);
        assertThat(refusedPacked(new QueueLayout(8, 0x1000, 0x1000 + 124, 0x4000)))
                .isEqualTo(Reason.RINGS_OVERLAP);
        assertThat(refusedPacked(new QueueLayout(8, 0x1000, 0x3000, 0x1000))).isEqualTo(Reason.RINGS_OVERLAP);
        assertThat(refusedPacked(new QueueLayout(8, 0x1000, 0x3000, 0x3000))).isEqualTo(Reason.RINGS_OVERLAP);
        assertThat(queue.activate(new QueueLayout(8, end - 128, 0x3000, 0x3004), PACKED))
                .isEmpty();
        assertThat(queue.activate(new QueueLayout(8, 0x1000, end - 4, end - 8), PACKED))
                .isEmpty();
    }

    /** The device writes the ring too: virtio 1.2, 2.8. */
    @Test
    void refusesAPackedRingInMemoryThatTheGuestMayNotWrite() {
        try (Arena arena = Arena.ofShared()) {
            memory.add(MemoryRegion.of(
                    GuestAddress.of(0x10_0000), arena.allocate(0x1000, 8), MemoryRegion.Access.READ_ONLY));

            assertThat(refusedPacked(new QueueLayout(8, 0x10_0000, 0x3000, 0x4000)))
                    .isEqualTo(Reason.RING_OUTSIDE_MEMORY);
            assertThat(refusedPacked(new QueueLayout(8, 0x1000, 0x3000, 0x10_0000)))
                    .isEqualTo(Reason.RING_OUTSIDE_MEMORY);
            assertThat(queue.activate(new QueueLayout(8, 0x1000, 0x10_0000, 0x4000), PACKED))
                    .isEmpty();
        }
    }

    @Property(tries = 500)
    void noLayoutThrows(
            @ForAll RingFormat format,
            @ForAll int size,
            @ForAll long descriptors,
            @ForAll long driver,
            @ForAll long device,
            @ForAll byte log) {
        Set<QueueFeature> features = TestQueue.features(format);
        queue.activate(new QueueLayout(size, descriptors, driver, device), features);
        queue.activate(new QueueLayout(1 << (log & 7), descriptors & ~15, driver & ~3, device & ~3), features);
        assertThat(queue.fault().isPresent()).isNotEqualTo(queue.isActive());
    }
}
