package io.github.jkvm.virtio.queue;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.GuestMemory;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class HeldCompletionsTest {
    @ParameterizedTest
    @EnumSource
    void driverSeesHeldCompletionsAllAtOnce(RingFormat format) {
        GuestMemory memory = TestQueue.memory();
        QueueLayout layout = TestQueue.layout(8);
        var driver = TestQueue.of(format, memory, layout, TestQueue.features(format));
        var queue = new VirtQueue(memory, 8);
        queue.activate(layout, TestQueue.features(format));
        var buffers = TestQueue.buffers(memory);
        // Three rounds, so that the rings go around.
        for (int round = 0; round < 3; round++) {
            List<DescriptorChain> chains = new ArrayList<>();
            for (int i = 0; i < 5; i++) {
                driver.add(buffers.writable(16));
                var chain = new DescriptorChain();
                assertThat(queue.pop(chain)).isEqualTo(PopResult.CHAIN);
                chains.add(chain);
            }
            queue.holdCompletions();
            for (DescriptorChain chain : chains) {
                assertThat(queue.complete(chain, 16)).isTrue();
                assertThat(driver.takeUsed()).isEmpty();
            }
            queue.showCompletions();
            for (int i = 0; i < 5; i++) {
                assertThat(driver.takeUsed()).isPresent();
            }
            assertThat(driver.takeUsed()).isEmpty();
        }
    }

    @ParameterizedTest
    @EnumSource
    void showingNothingTellsTheDriverNothing(RingFormat format) {
        GuestMemory memory = TestQueue.memory();
        QueueLayout layout = TestQueue.layout(8);
        var driver = TestQueue.of(format, memory, layout, TestQueue.features(format));
        var queue = new VirtQueue(memory, 8);
        queue.showCompletions();
        queue.activate(layout, TestQueue.features(format));
        queue.holdCompletions();
        queue.showCompletions();
        assertThat(driver.takeUsed()).isEmpty();
        assertThat(queue.interruptNeeded()).isFalse();
    }
}
