package io.github.jkvm.virtio.queue;

import static io.github.jkvm.testkit.virtio.Buffer.readable;
import static io.github.jkvm.testkit.virtio.Buffer.writable;
import static io.github.jkvm.virtio.queue.TestQueue.BUFFERS;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.github.jkvm.GuestMemory;
import io.github.jkvm.testkit.virtio.Buffer;
import io.github.jkvm.testkit.virtio.DriverQueue;
import io.github.jkvm.testkit.virtio.Used;
import java.util.Arrays;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.EnumSource;

/** What a queue of either format does for a driver that keeps to the rules, and for a device that does not. */
@ParameterizedClass
@EnumSource(RingFormat.class)
class VirtQueueTest {
    private final GuestMemory memory = TestQueue.memory();
    private final QueueLayout layout = TestQueue.layout(8);
    private final DescriptorChain chain = new DescriptorChain();
    private final RingFormat format;
    private final Set<QueueFeature> features;
    private final DriverQueue driver;
    private final VirtQueue queue;

    VirtQueueTest(RingFormat format) {
        this.format = format;
        features = TestQueue.features(format, QueueFeature.INDIRECT_DESCRIPTORS);
        driver = TestQueue.of(format, memory, layout, features);
        queue = new VirtQueue(memory, 8);
    }

    @BeforeEach
    void activate() {
        assertThat(queue.activate(layout, features)).isEmpty();
    }

    private void clearRings() {
        memory.fill(layout.descriptors(), BUFFERS - layout.descriptors(), (byte) 0);
    }

    @Test
    void popsNothingFromAnEmptyQueue() {
        assertThat(queue.pop(chain)).isEqualTo(PopResult.EMPTY);
        assertThat(chain.reader().remaining()).isZero();
    }

    @Test
    void popsNothingFromAQueueThatIsNotInUse() {
        assertThat(new VirtQueue(memory, 8).pop(chain)).isEqualTo(PopResult.STOPPED);
    }

    @Test
    void popsAChainOfReadableAndWritableBuffers() {
        int head = driver.add(readable(BUFFERS, 16), readable(BUFFERS + 0x100, 100), writable(BUFFERS + 0x200, 513));

        assertThat(queue.pop(chain)).isEqualTo(PopResult.CHAIN);

        assertThat(chain.head()).isEqualTo(head);
        assertThat(chain.readableBytes()).isEqualTo(116);
        assertThat(chain.writableBytes()).isEqualTo(513);
        assertThat(queue.chainsInFlight()).isOne();
    }

    /** Virtio 1.2, 2.7.5.3 and 2.8.7: descriptors of an indirect table are readable and writable ones alike. */
    @Test
    void popsAChainOfAnIndirectTable() {
        int head =
                driver.addIndirect(readable(BUFFERS, 16), writable(BUFFERS + 0x200, 512), writable(BUFFERS + 0x500, 1));

        assertThat(queue.pop(chain)).isEqualTo(PopResult.CHAIN);

        assertThat(chain.readableBytes()).isEqualTo(16);
        assertThat(chain.writableBytes()).isEqualTo(513);
        assertThat(queue.complete(chain, 3)).isTrue();
        assertThat(driver.takeUsed()).contains(new Used(head, 3));
    }

    @Test
    void toleratesBuffersOfNoBytesWhereverTheyPoint() {
        driver.add(readable(-1, 0), readable(BUFFERS, 4), writable(0x7777_0000_0000L, 0));

        assertThat(queue.pop(chain)).isEqualTo(PopResult.CHAIN);
        assertThat(chain.readableBytes()).isEqualTo(4);
        assertThat(chain.writableBytes()).isZero();
    }

    /** Virtio 1.2, 2.7.5: the queue size "is the maximum possible descriptor chain length"; 2.8.5 says the same. */
    @Test
    void popsAChainAsLongAsTheQueue() {
        Buffer one = readable(BUFFERS, 1);
        driver.add(one, one, one, one, one, one, one, one);

        assertThat(queue.pop(chain)).isEqualTo(PopResult.CHAIN);
        assertThat(chain.readableBytes()).isEqualTo(8);
    }

    @Test
    void popsChainsInTheOrderTheyWereMadeAvailable() {
        int first = driver.add(readable(BUFFERS, 1));
        int second = driver.add(readable(BUFFERS, 1));

        assertThat(queue.pop(chain)).isEqualTo(PopResult.CHAIN);
        assertThat(chain.head()).isEqualTo(first);
        var other = new DescriptorChain();
        assertThat(queue.pop(other)).isEqualTo(PopResult.CHAIN);
        assertThat(other.head()).isEqualTo(second);
        assertThat(queue.pop(new DescriptorChain())).isEqualTo(PopResult.EMPTY);
    }

    /** Virtio 1.2, 2.7.8: "id indicates the head entry of the descriptor chain", "len the total of bytes written into the buffer". Packed: 2.8.4. */
    @Test
    void publishesHeadAndWrittenLengthInAnyOrder() {
        int first = driver.add(writable(BUFFERS, 100));
        int second = driver.add(writable(BUFFERS + 0x100, 100));
        var other = new DescriptorChain();
        queue.pop(chain);
        queue.pop(other);

        assertThat(queue.complete(other, 100)).isTrue();
        assertThat(driver.takeUsed()).contains(new Used(second, 100));
        assertThat(driver.takeUsed()).isEmpty();
        assertThat(queue.complete(chain, 7)).isTrue();
        assertThat(driver.takeUsed()).contains(new Used(first, 7));
        assertThat(queue.chainsInFlight()).isZero();
    }

    @Test
    void leavesACompletedChainEmpty() {
        driver.add(readable(BUFFERS, 4), writable(BUFFERS + 8, 4));
        queue.pop(chain);
        queue.complete(chain, 0);

        assertThat(chain.reader().remaining()).isZero();
        assertThat(chain.writer().remaining()).isZero();
    }

    @Test
    void refusesToCompleteAChainTwice() {
        driver.add(writable(BUFFERS, 4));
        queue.pop(chain);
        queue.complete(chain, 0);

        assertThatIllegalArgumentException()
                .isThrownBy(() -> queue.complete(chain, 0))
                .withMessageContaining("completed before");
    }

    @Test
    void refusesToCompleteAChainOfAnotherQueue() {
        driver.add(writable(BUFFERS, 4));
        queue.pop(chain);

        assertThatIllegalArgumentException()
                .isThrownBy(() -> new VirtQueue(memory, 8).complete(chain, 0))
                .withMessageContaining("not popped from this queue");
    }

    @Test
    void refusesAWrittenCountThatTheChainHasNoRoomFor() {
        driver.add(writable(BUFFERS, 4));
        queue.pop(chain);

        assertThatIllegalArgumentException()
                .isThrownBy(() -> queue.complete(chain, 5))
                .withMessageContaining("5")
                .withMessageContaining("4");
        assertThatIllegalArgumentException().isThrownBy(() -> queue.complete(chain, -1));
        assertThat(queue.complete(chain, 4)).isTrue();
    }

    @Test
    void refusesToPopIntoAChainInFlight() {
        driver.add(writable(BUFFERS, 4));
        driver.add(writable(BUFFERS, 4));
        queue.pop(chain);

        assertThatIllegalStateException().isThrownBy(() -> queue.pop(chain)).withMessageContaining("in flight");
        assertThat(chain.writableBytes()).isEqualTo(4);
    }

    @Test
    void popsAChainAgainThatWasPutBack() {
        int first = driver.add(readable(BUFFERS, 4));
        int second = driver.add(writable(BUFFERS, 4));
        var other = new DescriptorChain();
        queue.pop(chain);
        queue.pop(other);

        queue.putBack(other);
        queue.putBack(chain);

        assertThat(queue.chainsInFlight()).isZero();
        assertThat(chain.reader().remaining()).isZero();
        assertThat(driver.takeUsed()).isEmpty();
        assertThat(queue.pop(chain)).isEqualTo(PopResult.CHAIN);
        assertThat(chain.head()).isEqualTo(first);
        assertThat(queue.pop(other)).isEqualTo(PopResult.CHAIN);
        assertThat(queue.complete(other, 4)).isTrue();
        assertThat(driver.takeUsed()).contains(new Used(second, 4));
    }

    @Test
    void refusesToPutAChainBackBeforeOneThatWasPoppedLater() {
        driver.add(readable(BUFFERS, 4));
        driver.add(writable(BUFFERS, 4));
        var other = new DescriptorChain();
        queue.pop(chain);
        queue.pop(other);

        assertThatIllegalStateException()
                .isThrownBy(() -> queue.putBack(chain))
                .withMessageContaining("1 were popped after it");
        assertThat(queue.complete(other, 4)).isTrue();
        assertThatIllegalStateException().isThrownBy(() -> queue.putBack(chain));
        assertThat(queue.complete(chain, 0)).isTrue();
        assertThatIllegalArgumentException().isThrownBy(() -> queue.putBack(chain));
    }

    @Test
    void dropsAChainThatIsPutBackAfterAReset() {
        driver.add(readable(BUFFERS, 4));
        queue.pop(chain);
        queue.reset();
        queue.activate(layout, features);

        queue.putBack(chain);

        assertThat(chain.reader().remaining()).isZero();
        assertThat(queue.pop(chain)).isEqualTo(PopResult.CHAIN);
    }

    @Test
    void dropsChainsThatAreCompletedAfterAReset() {
        driver.add(writable(BUFFERS, 4));
        queue.pop(chain);
        queue.reset();
        clearRings();
        var newDriver = TestQueue.of(format, memory, layout, features);
        queue.activate(layout, features);

        assertThat(queue.complete(chain, 4)).isFalse();
        assertThat(newDriver.takeUsed()).isEmpty();
        assertThat(queue.pop(chain)).isEqualTo(PopResult.EMPTY);
    }

    @Test
    void startsAtTheFirstIndexAfterAReset() {
        driver.add(writable(BUFFERS, 4));
        queue.pop(chain);
        queue.complete(chain, 0);
        queue.reset();
        assertThat(queue.isActive()).isFalse();

        clearRings();
        var newDriver = TestQueue.of(format, memory, layout, features);
        int head = newDriver.add(writable(BUFFERS, 4));
        queue.activate(layout, features);
        queue.pop(chain);
        queue.complete(chain, 3);

        assertThat(newDriver.takeUsed()).contains(new Used(head, 3));
    }

    /** Virtio 1.2, 2.7.13.3: the index "always increments, and wraps naturally at 65536". Packed: 2.8.1. */
    @Test
    void servesChainsAroundTheRingsManyTimes() {
        var other = new DescriptorChain();
        for (int i = 0; i < 70_000; i++) {
            // Every length from 1 to 3, so that chains of a packed ring begin and end everywhere; the second is back
            // first.
            Buffer[] buffers = new Buffer[1 + i % 3];
            Arrays.fill(buffers, writable(BUFFERS, 4));
            int first = driver.add(buffers);
            int second = driver.addIndirect(buffers);
            assertThat(queue.pop(chain)).isEqualTo(PopResult.CHAIN);
            assertThat(queue.pop(other)).isEqualTo(PopResult.CHAIN);
            assertThat(queue.complete(other, 4)).isTrue();
            assertThat(queue.complete(chain, 0)).isTrue();
            assertThat(driver.takeUsed()).contains(new Used(second, 4));
            assertThat(driver.takeUsed()).contains(new Used(first, 0));
        }
        assertThat(queue.chainsInFlight()).isZero();
        assertThat(driver.freeDescriptors()).isEqualTo(8);
    }

    @Test
    void putsBackChainsOnBothSidesOfTheRingsEnd() {
        for (int i = 0; i < 100; i++) {
            driver.add(readable(BUFFERS, 1), writable(BUFFERS, 1), writable(BUFFERS, 1));
            assertThat(queue.pop(chain)).isEqualTo(PopResult.CHAIN);
            int head = chain.head();
            queue.putBack(chain);
            assertThat(queue.pop(chain)).isEqualTo(PopResult.CHAIN);
            assertThat(chain.head()).isEqualTo(head);
            assertThat(queue.complete(chain, 2)).isTrue();
            assertThat(driver.takeUsed()).contains(new Used(head, 2));
        }
    }
}
