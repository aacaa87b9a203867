package io.github.jkvm.virtio.queue;

import static io.github.jkvm.testkit.virtio.Buffer.INDIRECT;
import static io.github.jkvm.testkit.virtio.Buffer.NEXT;
import static io.github.jkvm.testkit.virtio.Buffer.WRITE;
import static io.github.jkvm.testkit.virtio.Buffer.readable;
import static io.github.jkvm.testkit.virtio.Buffer.writable;
import static io.github.jkvm.virtio.queue.TestQueue.BUFFERS;
import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.testkit.virtio.Buffer;
import io.github.jkvm.testkit.virtio.SplitDriverQueue;
import io.github.jkvm.virtio.queue.QueueFault.Reason;
import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Each thing a driver may not do with split rings stops the queue, and says which it was. */
class MalformedSplitChainTest {
    private static final Set<QueueFeature> FEATURES = Set.of(QueueFeature.INDIRECT_DESCRIPTORS);
    private static final long TABLE = BUFFERS + 0x1000;

    private final GuestMemory memory = TestQueue.memory();
    private final QueueLayout layout = TestQueue.layout(8);
    private final SplitDriverQueue driver = TestQueue.split(memory, layout, FEATURES);
    private final VirtQueue queue = new VirtQueue(memory, 8);
    private final DescriptorChain chain = new DescriptorChain();

    @BeforeEach
    void activate() {
        queue.activate(layout, FEATURES);
    }

    private void assertStopped(Reason reason) {
        assertThat(queue.pop(chain)).isEqualTo(PopResult.STOPPED);
        assertThat(queue.fault().orElseThrow().reason()).isEqualTo(reason);
        assertThat(queue.isActive()).isFalse();
        assertThat(queue.pop(chain)).isEqualTo(PopResult.STOPPED);
        assertThat(chain.reader().remaining()).isZero();
        assertThat(chain.writer().remaining()).isZero();
        assertThat(memory.readShort(layout.usedIndex())).isZero();
    }

    /** Virtio 1.2, 2.7: "if Queue Size is 4 then at most 4 buffers can be queued at any given time". */
    @Test
    void stopsWhenMoreIsAvailableThanTheQueueHolds() {
        memory.writeShort(layout.availableIndex(), (short) 9);
        assertStopped(Reason.AVAILABLE_INDEX);
    }

    /** Virtio 1.2, 2.7.6.1: "A driver MUST NOT decrement the available idx". */
    @Test
    void stopsWhenTheAvailableIndexGoesBack() {
        memory.writeShort(layout.availableIndex(), (short) -1);
        assertStopped(Reason.AVAILABLE_INDEX);
    }

    @Test
    void countsChainsInFlightAsQueued() {
        driver.add(readable(BUFFERS, 1));
        queue.pop(new DescriptorChain());
        memory.writeShort(layout.availableIndex(), (short) 9);
        assertStopped(Reason.AVAILABLE_INDEX);
    }

    @Test
    void stopsAtAHeadOutsideTheTable() {
        driver.makeAvailable(8);
        assertStopped(Reason.DESCRIPTOR_INDEX);
    }

    @Test
    void stopsAtANextOutsideTheTable() {
        driver.descriptor(0, BUFFERS, 1, NEXT, 8);
        driver.makeAvailable(0);
        assertStopped(Reason.DESCRIPTOR_INDEX);
    }

    @Test
    void stopsAtANextOutsideTheIndirectTable() {
        driver.descriptor(0, TABLE, 16, INDIRECT, 0);
        driver.descriptorAt(TABLE, BUFFERS, 1, NEXT, 1);
        driver.makeAvailable(0);
        assertStopped(Reason.DESCRIPTOR_INDEX);
    }

    @Test
    void stopsAtAHeadThatIsInFlight() {
        driver.add(writable(BUFFERS, 4));
        driver.makeAvailable(0);
        var first = new DescriptorChain();
        assertThat(queue.pop(first)).isEqualTo(PopResult.CHAIN);
        assertStopped(Reason.HEAD_IN_FLIGHT);
        assertThat(queue.complete(first, 4)).isFalse();
        assertThat(memory.readShort(layout.usedIndex())).isZero();
    }

    /** Virtio 1.2, 2.7.5.2: "loops in the descriptor chain are forbidden". */
    @Test
    void stopsAtALoop() {
        driver.descriptor(0, BUFFERS, 1, NEXT, 1);
        driver.descriptor(1, BUFFERS, 1, NEXT, 0);
        driver.makeAvailable(0);
        assertStopped(Reason.CHAIN_TOO_LONG);
    }

    @Test
    void stopsAtALoopOfBuffersOfNoBytes() {
        driver.descriptor(0, 0, 0, NEXT, 0);
        driver.makeAvailable(0);
        assertStopped(Reason.CHAIN_TOO_LONG);
    }

    @Test
    void stopsAtALoopInAnIndirectTable() {
        driver.descriptor(0, TABLE, 16, INDIRECT, 0);
        driver.descriptorAt(TABLE, BUFFERS, 1, NEXT, 0);
        driver.makeAvailable(0);
        assertStopped(Reason.CHAIN_TOO_LONG);
    }

    /** Virtio 1.2, 2.7.5.3.1: "A driver MUST NOT create a descriptor chain longer than the Queue Size of the device." */
    @Test
    void stopsAtAChainThatPassesTheQueueSizeThroughItsIndirectTable() {
        driver.descriptor(0, BUFFERS, 1, NEXT, 1);
        driver.descriptor(1, TABLE, 8 * 16, INDIRECT, 0);
        for (int i = 0; i < 8; i++) {
            driver.descriptorAt(TABLE + 16L * i, BUFFERS, 1, i < 7 ? NEXT : 0, i + 1);
        }
        driver.makeAvailable(0);
        assertStopped(Reason.CHAIN_TOO_LONG);
    }

    /** Virtio 1.2, 2.7.5.3.1, the same clause, for the table itself. */
    @Test
    void stopsAtAnIndirectTableLongerThanTheQueue() {
        driver.descriptor(0, TABLE, 9 * 16, INDIRECT, 0);
        driver.makeAvailable(0);
        assertStopped(Reason.INDIRECT_LENGTH);
    }

    /** Virtio 1.2, 2.7.5.3: the table has len / 16 descriptors. */
    @Test
    void stopsAtAnIndirectTableThatIsNoWholeNumberOfDescriptors() {
        driver.descriptor(0, TABLE, 17, INDIRECT, 0);
        driver.makeAvailable(0);
        assertStopped(Reason.INDIRECT_LENGTH);
    }

    @Test
    void stopsAtAnEmptyIndirectTable() {
        driver.descriptor(0, TABLE, 0, INDIRECT, 0);
        driver.makeAvailable(0);
        assertStopped(Reason.INDIRECT_LENGTH);
    }

    @Test
    void stopsAtAnIndirectTableOutsideMemory() {
        driver.descriptor(0, TestQueue.MEMORY_BYTES - 8, 16, INDIRECT, 0);
        driver.makeAvailable(0);
        assertStopped(Reason.BUFFER_OUTSIDE_MEMORY);
    }

    /** Virtio 1.2, 2.7.5.3.1: "only one table per descriptor". */
    @Test
    void stopsAtAnIndirectDescriptorInAnIndirectTable() {
        driver.descriptor(0, TABLE, 16, INDIRECT, 0);
        driver.descriptorAt(TABLE, TABLE, 16, INDIRECT, 0);
        driver.makeAvailable(0);
        assertStopped(Reason.INDIRECT_NESTED);
    }

    /** Virtio 1.2, 2.7.5.3.1: "A driver MUST NOT set both VIRTQ_DESC_F_INDIRECT and VIRTQ_DESC_F_NEXT in flags." */
    @Test
    void stopsAtAnIndirectDescriptorWithANext() {
        driver.descriptor(0, TABLE, 16, INDIRECT | NEXT, 1);
        driver.makeAvailable(0);
        assertStopped(Reason.INDIRECT_WITH_NEXT);
    }

    /** Virtio 1.2, 2.7.5.3.1: no such flag "unless the VIRTIO_F_INDIRECT_DESC feature was negotiated". */
    @Test
    void stopsAtAnIndirectDescriptorThatWasNotNegotiated() {
        queue.activate(layout, Set.of(QueueFeature.EVENT_INDEX));
        driver.addIndirect(readable(BUFFERS, 1));
        assertStopped(Reason.INDIRECT_NOT_NEGOTIATED);
    }

    /** Virtio 1.2, 2.7.4.2: "any device-writable descriptor elements after any device-readable descriptor elements". */
    @Test
    void stopsAtAReadableBufferAfterAWritableOne() {
        driver.add(writable(BUFFERS, 1), readable(BUFFERS, 1));
        assertStopped(Reason.READABLE_AFTER_WRITABLE);
    }

    @Test
    void stopsAtAReadableBufferAfterAWritableOneOfNoBytes() {
        driver.add(writable(BUFFERS, 0), readable(BUFFERS, 1));
        assertStopped(Reason.READABLE_AFTER_WRITABLE);
    }

    /** Virtio 1.2, 2.7.5.2: not "longer than 2^32 bytes in total"; 2.7.8: a used length has 32 bits. */
    @Test
    void stopsAtAChainWhoseLengthsDoNotFitAUsedLength() {
        // 256 times the same 16 MiB.
        long at = 1L << 40;
        int size = 16 << 20;
        memory.add(MemoryRegion.onHeap(GuestAddress.of(at), size));
        QueueLayout large = TestQueue.layout(256);
        var longChains = TestQueue.split(memory, large, FEATURES);
        var buffers = new Buffer[256];
        Arrays.fill(buffers, writable(at, size));
        buffers[255] = writable(at, size - 1);
        longChains.add(buffers);
        var largeQueue = new VirtQueue(memory, 256);
        largeQueue.activate(large, FEATURES);
        assertThat(largeQueue.pop(chain)).isEqualTo(PopResult.CHAIN);
        assertThat(chain.writableBytes()).isEqualTo(0xFFFF_FFFFL);

        longChains.descriptor(255, at, size, WRITE, 0);
        largeQueue.activate(large, FEATURES);
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
        driver.add(writable(-4, 8));
        assertStopped(Reason.BUFFER_OUTSIDE_MEMORY);
    }

    @Test
    void stopsAtAWritableBufferInMemoryThatTheGuestMayNotWrite() {
        try (Arena arena = Arena.ofShared()) {
            long rom = TestQueue.MEMORY_BYTES;
            memory.add(MemoryRegion.of(GuestAddress.of(rom), arena.allocate(0x1000, 8), MemoryRegion.Access.READ_ONLY));
            driver.add(readable(rom - 4, 8));
            assertThat(queue.pop(new DescriptorChain())).isEqualTo(PopResult.CHAIN);
            driver.add(writable(rom - 4, 8));
            assertStopped(Reason.BUFFER_READ_ONLY);
        }
    }

    @Test
    void stopsWhenTheMemoryOfItsRingsIsTakenAway() {
        memory.remove(memory.regions().getFirst());

        assertThat(queue.pop(chain)).isEqualTo(PopResult.STOPPED);
        assertThat(queue.fault().orElseThrow().reason()).isEqualTo(Reason.RING_OUTSIDE_MEMORY);
        assertThat(queue.enableNotifications()).isFalse();
        assertThat(queue.interruptNeeded()).isFalse();
    }

    @Test
    void namesTheValuesInAFault() {
        driver.add(readable(TestQueue.MEMORY_BYTES - 4, 5));
        queue.pop(chain);

        assertThat(queue.fault().orElseThrow())
                .hasToString("BUFFER_OUTSIDE_MEMORY: chain 0 has a buffer of 5 bytes at 0x3fffc");
    }

    @Test
    void worksAgainAfterAReset() {
        driver.makeAvailable(8);
        assertStopped(Reason.DESCRIPTOR_INDEX);
        queue.reset();
        assertThat(queue.fault()).isEmpty();
        memory.fill(layout.driver(), 0x100, (byte) 0);
        TestQueue.split(memory, layout, FEATURES).add(readable(BUFFERS, 1));
        queue.activate(layout, FEATURES);

        assertThat(queue.pop(chain)).isEqualTo(PopResult.CHAIN);
    }
}
