package io.github.jkvm.virtio.queue;

import static io.github.jkvm.testkit.virtio.Buffer.INDIRECT;
import static io.github.jkvm.testkit.virtio.Buffer.NEXT;
import static io.github.jkvm.testkit.virtio.Buffer.WRITE;
import static io.github.jkvm.testkit.virtio.Buffer.readable;
import static io.github.jkvm.testkit.virtio.Buffer.writable;
import static io.github.jkvm.testkit.virtio.PackedDriverQueue.AVAILABLE;
import static io.github.jkvm.virtio.queue.TestQueue.BUFFERS;
import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.testkit.virtio.Buffer;
import io.github.jkvm.testkit.virtio.PackedDriverQueue;
import io.github.jkvm.virtio.queue.QueueFault.Reason;
import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Each thing a driver may not do with a packed ring stops the queue, and says which it was. */
class MalformedPackedChainTest {
    private static final Set<QueueFeature> FEATURES =
            Set.of(QueueFeature.PACKED_RING, QueueFeature.INDIRECT_DESCRIPTORS);
    private static final long TABLE = BUFFERS + 0x1000;

    private final GuestMemory memory = TestQueue.memory();
    private final QueueLayout layout = TestQueue.layout(8);
    private final PackedDriverQueue driver = TestQueue.packed(memory, layout, FEATURES);
    private final VirtQueue queue = new VirtQueue(memory, 8);
    private final DescriptorChain chain = new DescriptorChain();

    @BeforeEach
    void activate() {
        queue.activate(layout, FEATURES);
    }

    private void assertStopped(Reason reason) {
        byte[] ring = memory.read(layout.descriptors(), 8 * 16);
        assertThat(queue.pop(chain)).isEqualTo(PopResult.STOPPED);
        assertThat(queue.fault().orElseThrow().reason()).isEqualTo(reason);
        assertThat(queue.isActive()).isFalse();
        assertThat(queue.pop(chain)).isEqualTo(PopResult.STOPPED);
        assertThat(chain.reader().remaining()).isZero();
        assertThat(chain.writer().remaining()).isZero();
        assertThat(memory.read(layout.descriptors(), 8 * 16)).isEqualTo(ring);
    }

    /** Writes a descriptor of the first lap, available. */
    private void offer(int slot, long address, long length, int id, int flags) {
        driver.descriptor(slot, address, length, id);
        driver.flags(slot, AVAILABLE | flags);
    }

    /** Virtio 1.2, 2.8.10.1: "if Queue Size is 4 then at most 4 buffers can be queued at any given time". */
    @Test
    void stopsAtADescriptorThatIsAvailableWhileAllAreInFlight() {
        for (int i = 0; i < 8; i++) {
            driver.add(readable(BUFFERS, 1));
            assertThat(queue.pop(new DescriptorChain())).isEqualTo(PopResult.CHAIN);
        }
        assertThat(queue.pop(chain)).isEqualTo(PopResult.EMPTY);
        // Available in the second lap.
        driver.flags(0, PackedDriverQueue.USED);
        assertStopped(Reason.AVAILABLE_INDEX);
    }

    /** Virtio 1.2, 2.8.17: "This implies that loops in the descriptor list are forbidden!" */
    @Test
    void stopsAtAListThatGoesOnAroundTheRing() {
        for (int i = 0; i < 8; i++) {
            offer(i, BUFFERS, 1, i, NEXT);
        }
        assertStopped(Reason.CHAIN_TOO_LONG);
    }

    @Test
    void stopsAtAListThatGoesOnIntoOneInFlight() {
        driver.add(readable(BUFFERS, 1), readable(BUFFERS, 1));
        assertThat(queue.pop(new DescriptorChain())).isEqualTo(PopResult.CHAIN);
        for (int i = 2; i < 8; i++) {
            offer(i, BUFFERS, 0, i, NEXT);
        }
        assertStopped(Reason.CHAIN_TOO_LONG);
        assertThat(queue.fault().orElseThrow())
                .hasToString("CHAIN_TOO_LONG: chain 2 goes on after the 6 descriptors that are not in flight");
    }

    @Test
    void stopsAtABufferIdThatIsInFlight() {
        offer(0, BUFFERS, 4, 5, WRITE);
        offer(1, BUFFERS, 4, 5, WRITE);
        var first = new DescriptorChain();
        assertThat(queue.pop(first)).isEqualTo(PopResult.CHAIN);
        assertStopped(Reason.HEAD_IN_FLIGHT);
        assertThat(queue.complete(first, 4)).isFalse();
        assertThat(memory.readShort(layout.descriptor(0) + 14)).isEqualTo((short) (AVAILABLE | WRITE));
    }

    /** The specification leaves a driver free to choose among all ids of 16 bits (virtio 1.2, 2.8.13). */
    @Test
    void takesAnyBufferId() {
        offer(0, BUFFERS, 4, 0xFFFF, WRITE);
        assertThat(queue.pop(chain)).isEqualTo(PopResult.CHAIN);
        assertThat(chain.head()).isEqualTo(0xFFFF);
        assertThat(queue.complete(chain, 4)).isTrue();
        assertThat(memory.readShort(layout.descriptor(0) + 12)).isEqualTo((short) 0xFFFF);
    }

    /** Virtio 1.2, 2.8.17: "A driver MUST NOT create a descriptor list longer than the Queue Size." */
    @Test
    void stopsAtAnIndirectTableLongerThanTheQueue() {
        offer(0, TABLE, 9 * 16, 0, INDIRECT);
        assertStopped(Reason.INDIRECT_LENGTH);
    }

    @Test
    void stopsAtAnIndirectTableThatIsNoWholeNumberOfDescriptors() {
        offer(0, TABLE, 17, 0, INDIRECT);
        assertStopped(Reason.INDIRECT_LENGTH);
    }

    @Test
    void stopsAtAnEmptyIndirectTable() {
        offer(0, TABLE, 0, 0, INDIRECT);
        assertStopped(Reason.INDIRECT_LENGTH);
    }

    @Test
    void stopsAtAnIndirectTableOutsideMemory() {
        offer(0, TestQueue.MEMORY_BYTES - 8, 16, 0, INDIRECT);
        assertStopped(Reason.BUFFER_OUTSIDE_MEMORY);
    }

    /** Virtio 1.2, 2.8.19: no "DESC_F_INDIRECT set in a scatter-gather list linked by VIRTQ_DESC_F_NEXT". */
    @Test
    void stopsAtAnIndirectDescriptorWithANext() {
        offer(1, BUFFERS, 1, 0, 0);
        offer(0, TABLE, 16, 0, INDIRECT | NEXT);
        assertStopped(Reason.INDIRECT_WITH_NEXT);
    }

    /** Virtio 1.2, 2.8.19, the same clause; 2.8.5: "each list only contains descriptors of a given type". */
    @Test
    void stopsAtAnIndirectDescriptorAfterOthers() {
        offer(1, TABLE, 16, 0, INDIRECT);
        offer(0, BUFFERS, 1, 0, NEXT);
        assertStopped(Reason.INDIRECT_IN_LIST);
    }

    /** Virtio 1.2, 2.8.19: no such flag "unless the VIRTIO_F_INDIRECT_DESC feature was negotiated". */
    @Test
    void stopsAtAnIndirectDescriptorThatWasNotNegotiated() {
        queue.activate(layout, Set.of(QueueFeature.PACKED_RING));
        driver.addIndirect(readable(BUFFERS, 1));
        assertStopped(Reason.INDIRECT_NOT_NEGOTIATED);
    }

    /** Virtio 1.2, 2.8.17: "any device-writable descriptor elements after any device-readable descriptor elements". */
    @Test
    void stopsAtAReadableBufferAfterAWritableOne() {
        driver.add(writable(BUFFERS, 1), readable(BUFFERS, 1));
        assertStopped(Reason.READABLE_AFTER_WRITABLE);
    }

    @Test
    void stopsAtAReadableBufferAfterAWritableOneInATable() {
        driver.addIndirect(writable(BUFFERS, 1), readable(BUFFERS, 1));
        assertStopped(Reason.READABLE_AFTER_WRITABLE);
    }

    @Test
    void stopsAtAChainWhoseLengthsDoNotFitAUsedLength() {
        // 256 times the same 16 MiB.
        long at = 1L << 40;
        int size = 16 << 20;
        memory.add(MemoryRegion.onHeap(GuestAddress.of(at), size));
        QueueLayout large = TestQueue.layout(256);
        var longChains = TestQueue.packed(memory, large, FEATURES);
        var buffers = new Buffer[256];
        Arrays.fill(buffers, writable(at, size));
        buffers[255] = writable(at, size - 1);
        var largeQueue = new VirtQueue(memory, 256);
        largeQueue.activate(large, FEATURES);
        longChains.add(buffers);
        assertThat(largeQueue.pop(chain)).isEqualTo(PopResult.CHAIN);
        assertThat(chain.writableBytes()).isEqualTo(0xFFFF_FFFFL);
        assertThat(largeQueue.complete(chain, 0xFFFF_FFFFL)).isTrue();
        assertThat(longChains.takeUsed().orElseThrow().length()).isEqualTo(0xFFFF_FFFFL);

        buffers[255] = writable(at, size);
        longChains.add(buffers);
        assertThat(largeQueue.pop(chain)).isEqualTo(PopResult.STOPPED);
        assertThat(largeQueue.fault().orElseThrow().reason()).isEqualTo(Reason.CHAIN_TOO_LARGE);
    }

    @Test
    void stopsAtABufferThatEndsOutsideMemory() {
        driver.add(readable(TestQueue.MEMORY_BYTES - 4, 5));
        assertStopped(Reason.BUFFER_OUTSIDE_MEMORY);
    }

    @Test
    void stopsAtABufferThatPassesTheEndOfTheAddressSpace() {
        driver.addIndirect(writable(-4, 8));
        assertStopped(Reason.BUFFER_OUTSIDE_MEMORY);
    }

    @Test
    void stopsAtAWritableBufferInMemoryThatTheGuestMayNotWrite() {
        try (Arena arena = Arena.ofShared()) {
            long rom = TestQueue.MEMORY_BYTES;
            memory.add(MemoryRegion.of(GuestAddress.of(rom), arena.allocate(0x1000, 8), MemoryRegion.Access.READ_ONLY));
            driver.add(writable(rom - 4, 8));
            assertStopped(Reason.BUFFER_READ_ONLY);
        }
    }

    @Test
    void stopsWhenTheMemoryOfItsRingIsTakenAway() {
        memory.remove(memory.regions().getFirst());

        assertThat(queue.pop(chain)).isEqualTo(PopResult.STOPPED);
        assertThat(queue.fault().orElseThrow().reason()).isEqualTo(Reason.RING_OUTSIDE_MEMORY);
        assertThat(queue.enableNotifications()).isFalse();
        assertThat(queue.interruptNeeded()).isFalse();
    }
}
