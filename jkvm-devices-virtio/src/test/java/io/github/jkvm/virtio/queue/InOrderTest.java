package io.github.jkvm.virtio.queue;

import static io.github.jkvm.testkit.virtio.Buffer.writable;
import static io.github.jkvm.virtio.queue.TestQueue.BUFFERS;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.github.jkvm.DeviceState;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.testkit.virtio.DriverQueue;
import io.github.jkvm.testkit.virtio.Used;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.EnumSource;

/** Drivers that expect chains in the order they made them available, whatever the device does (virtio 1.2, 2.7.9 and 2.8.8). */
@ParameterizedClass
@EnumSource(RingFormat.class)
class InOrderTest {
    private final GuestMemory memory = TestQueue.memory();
    private final QueueLayout layout = TestQueue.layout(8);
    private final Set<QueueFeature> features;
    private final DriverQueue driver;
    private final VirtQueue queue = new VirtQueue(memory, 8);
    private final DescriptorChain a = new DescriptorChain();
    private final DescriptorChain b = new DescriptorChain();
    private final DescriptorChain c = new DescriptorChain();

    InOrderTest(RingFormat format) {
        features = TestQueue.features(format, QueueFeature.IN_ORDER);
        driver = TestQueue.of(format, memory, layout, features);
    }

    @BeforeEach
    void activate() {
        assertThat(queue.activate(layout, features)).isEmpty();
    }

    private int addAndPop(DescriptorChain chain) {
        int head = driver.add(writable(BUFFERS, 8), writable(BUFFERS + 8, 8));
        assertThat(queue.pop(chain)).isEqualTo(PopResult.CHAIN);
        return head;
    }

    @Test
    void holdsACompletionUntilTheChainsBeforeItAreCompleted() {
        int first = addAndPop(a);
        int second = addAndPop(b);
        int third = addAndPop(c);

        assertThat(queue.complete(c, 3)).isTrue();
        assertThat(queue.complete(b, 2)).isTrue();
        assertThat(driver.takeUsed()).isEmpty();
        assertThat(queue.interruptNeeded()).isFalse();
        assertThat(queue.chainsInFlight()).isOne();

        assertThat(queue.complete(a, 1)).isTrue();
        assertThat(queue.chainsInFlight()).isZero();
        assertThat(queue.interruptNeeded()).isTrue();
        assertThat(driver.takeUsed()).contains(new Used(first, 1));
        assertThat(driver.takeUsed()).contains(new Used(second, 2));
        assertThat(driver.takeUsed()).contains(new Used(third, 3));
    }

    @Test
    void refusesToBeSavedWhileACompletionIsHeld() {
        addAndPop(a);
        addAndPop(b);
        queue.complete(b, 0);

        assertThatIllegalStateException()
                .isThrownBy(() -> queue.save(new DeviceState(1), "q"))
                .withMessageContaining("1 chains of q");
        queue.complete(a, 0);
        queue.save(new DeviceState(1), "q");
    }

    @Test
    void putsTheLastChainBackWhileOthersAreHeld() {
        int first = addAndPop(a);
        int second = addAndPop(b);
        int third = addAndPop(c);
        queue.complete(b, 2);

        queue.putBack(c);
        assertThat(queue.pop(c)).isEqualTo(PopResult.CHAIN);
        queue.complete(c, 3);
        assertThat(driver.takeUsed()).isEmpty();
        queue.complete(a, 1);

        assertThat(driver.takeUsed()).contains(new Used(first, 1));
        assertThat(driver.takeUsed()).contains(new Used(second, 2));
        assertThat(driver.takeUsed()).contains(new Used(third, 3));
    }

    @Test
    void forgetsHeldCompletionsAtAReset() {
        addAndPop(a);
        addAndPop(b);
        queue.complete(b, 0);
        queue.reset();
        memory.fill(layout.descriptors(), BUFFERS - layout.descriptors(), (byte) 0);
        queue.activate(layout, features);
        var newDriver = TestQueue.of(RingFormat.of(features), memory, layout, features);

        assertThat(queue.complete(a, 0)).isFalse();
        int head = newDriver.add(writable(BUFFERS, 4));
        assertThat(queue.pop(a)).isEqualTo(PopResult.CHAIN);
        assertThat(queue.complete(a, 4)).isTrue();
        assertThat(newDriver.takeUsed()).contains(new Used(head, 4));
        assertThat(newDriver.takeUsed()).isEmpty();
    }

    @Test
    void keepsTheOrderAroundTheRingsManyTimes() {
        for (int i = 0; i < 10_000; i++) {
            int first = addAndPop(a);
            int second = addAndPop(b);
            queue.complete(b, i % 7);
            queue.complete(a, i % 5);
            assertThat(driver.takeUsed()).contains(new Used(first, i % 5));
            assertThat(driver.takeUsed()).contains(new Used(second, i % 7));
        }
    }
}
