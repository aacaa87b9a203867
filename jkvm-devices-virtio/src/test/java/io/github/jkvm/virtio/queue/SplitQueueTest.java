package io.github.jkvm.virtio.queue;

import static io.github.jkvm.testkit.virtio.Buffer.writable;
import static io.github.jkvm.virtio.queue.TestQueue.BUFFERS;
import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.GuestMemory;
import io.github.jkvm.testkit.virtio.Buffer;
import io.github.jkvm.testkit.virtio.SplitDriverQueue;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What only split rings have. */
class SplitQueueTest {
    private static final Set<QueueFeature> FEATURES = Set.of(QueueFeature.INDIRECT_DESCRIPTORS);

    private final GuestMemory memory = TestQueue.memory();
    private final QueueLayout layout = TestQueue.layout(8);
    private final SplitDriverQueue driver = TestQueue.split(memory, layout, FEATURES);
    private final VirtQueue queue = new VirtQueue(memory, 8);
    private final DescriptorChain chain = new DescriptorChain();

    @BeforeEach
    void activate() {
        assertThat(queue.activate(layout, FEATURES)).isEmpty();
    }

    /**
     * Virtio 1.2, 2.7.5.3.2: "The device MUST handle the case of zero or more normal chained descriptors followed by a single descriptor
     * with flags&VIRTQ_DESC_F_INDIRECT", and "MUST ignore the write-only flag" in that descriptor.
     */
    @Test
    void popsNormalDescriptorsFollowedByAnIndirectOneWhoseWriteFlagIsIgnored() {
        long table = BUFFERS + 0x1000;
        driver.descriptor(0, BUFFERS, 10, Buffer.NEXT, 1);
        driver.descriptor(1, table, 32, Buffer.INDIRECT | Buffer.WRITE, 0);
        driver.descriptorAt(table, BUFFERS + 16, 20, Buffer.NEXT, 1);
        driver.descriptorAt(table + 16, BUFFERS + 64, 30, Buffer.WRITE, 0);
        driver.makeAvailable(0);

        assertThat(queue.pop(chain)).isEqualTo(PopResult.CHAIN);

        assertThat(chain.readableBytes()).isEqualTo(30);
        assertThat(chain.writableBytes()).isEqualTo(30);
    }

    /** Virtio 1.2, 2.7.13.3: the index "always increments, and wraps naturally at 65536". */
    @Test
    void servesChainsAcrossTheWrapOfTheIndices() {
        for (int i = 0; i < 70_000; i++) {
            int head = driver.add(writable(BUFFERS, 4));
            assertThat(queue.pop(chain)).isEqualTo(PopResult.CHAIN);
            assertThat(queue.complete(chain, 4)).isTrue();
            assertThat(driver.takeUsed().orElseThrow().id()).isEqualTo(head);
        }
        assertThat(memory.readShort(layout.usedIndex())).isEqualTo((short) 70_000);
    }
}
