package io.github.jkvm.virtio.queue;

import static io.github.jkvm.testkit.virtio.Buffer.writable;
import static io.github.jkvm.virtio.queue.TestQueue.BUFFERS;
import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.GuestMemory;
import io.github.jkvm.testkit.virtio.DriverQueue;
import io.github.jkvm.testkit.virtio.SplitDriverQueue;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** Who tells whom about split rings, and when it may be left out. */
class SplitNotificationTest {
    private static final Set<QueueFeature> FLAGS = Set.of();
    private static final Set<QueueFeature> EVENT_INDEX = Set.of(QueueFeature.EVENT_INDEX);

    private final GuestMemory memory = TestQueue.memory();
    private final QueueLayout layout = TestQueue.layout(8);
    private final VirtQueue queue = new VirtQueue(memory, 8);
    private final DescriptorChain chain = new DescriptorChain();

    private SplitDriverQueue start(Set<QueueFeature> features) {
        queue.activate(layout, features);
        return TestQueue.split(memory, layout, features);
    }

    private void completeOne(DriverQueue driver) {
        driver.add(writable(BUFFERS, 4));
        assertThat(queue.pop(chain)).isEqualTo(PopResult.CHAIN);
        assertThat(queue.complete(chain, 0)).isTrue();
        assertThat(driver.takeUsed()).isPresent();
    }

    /** Virtio 1.2, 2.7.7.2: "If flags is 1, the device SHOULD NOT send a notification. If flags is 0, the device MUST". */
    @Test
    void interruptsUnlessTheFlagSaysNo() {
        DriverQueue driver = start(FLAGS);
        completeOne(driver);
        assertThat(queue.interruptNeeded()).isTrue();

        driver.disableInterrupts();
        completeOne(driver);
        assertThat(queue.interruptNeeded()).isFalse();

        driver.enableInterrupts();
        completeOne(driver);
        assertThat(queue.interruptNeeded()).isTrue();
    }

    /** Virtio 1.2, 2.7.7.2: without the feature "the device MUST ignore the used_event value". */
    @Test
    void ignoresTheEventIndexWithoutTheFeature() {
        DriverQueue driver = start(FLAGS);
        memory.writeShort(layout.usedEvent(), (short) 1000);
        completeOne(driver);
        assertThat(queue.interruptNeeded()).isTrue();
    }

    @Test
    void interruptsOnlyForCompletionsThatWereNotAnnounced() {
        DriverQueue driver = start(FLAGS);
        assertThat(queue.interruptNeeded()).isFalse();
        completeOne(driver);
        assertThat(queue.interruptNeeded()).isTrue();
        assertThat(queue.interruptNeeded()).isFalse();
    }

    /** Virtio 1.2, 2.7.7.2: "MUST ignore the lower bit of flags"; it interrupts when the used index "was equal to used_event". */
    @Test
    void interruptsAtTheEventIndexWhateverTheFlag() {
        DriverQueue driver = start(EVENT_INDEX);
        memory.writeShort(layout.availableFlags(), (short) 1);
        memory.writeShort(layout.usedEvent(), (short) 2);

        completeOne(driver);
        assertThat(queue.interruptNeeded()).isFalse();
        completeOne(driver);
        assertThat(queue.interruptNeeded()).isFalse();
        completeOne(driver);
        assertThat(queue.interruptNeeded()).isTrue();
        completeOne(driver);
        assertThat(queue.interruptNeeded()).isFalse();
    }

    @Test
    void interruptsWhenABatchPassesTheEventIndex() {
        DriverQueue driver = start(EVENT_INDEX);
        memory.writeShort(layout.usedEvent(), (short) 1);
        completeOne(driver);
        completeOne(driver);
        completeOne(driver);
        assertThat(queue.interruptNeeded()).isTrue();
    }

    /** Virtio 1.2, 2.7.7.2: with used_event 0 after the first buffer "and again after the 65536th buffer, etc". */
    @Test
    void interruptsOnceInEachRoundOfTheIndices() {
        DriverQueue driver = start(EVENT_INDEX);
        memory.writeShort(layout.usedEvent(), (short) 0);
        int interrupts = 0;
        for (int i = 0; i < 65_537; i++) {
            completeOne(driver);
            interrupts += queue.interruptNeeded() ? 1 : 0;
        }
        assertThat(interrupts).isEqualTo(2);
    }

    @Test
    void interruptsAfterMoreCompletionsThanThereAreIndices() {
        DriverQueue driver = start(EVENT_INDEX);
        memory.writeShort(layout.usedEvent(), (short) 60_000);
        for (int i = 0; i < 65_537; i++) {
            completeOne(driver);
        }
        assertThat(queue.interruptNeeded()).isTrue();
    }

    /** Virtio 1.2, 2.7.10.2: "The device MAY set flags to 1 to advise the driver that notifications are not needed." */
    @Test
    void switchesNotificationsWithTheFlag() {
        DriverQueue driver = start(FLAGS);
        queue.disableNotifications();
        driver.add(writable(BUFFERS, 4));
        assertThat(driver.kickNeeded()).isFalse();
        assertThat(queue.pop(chain)).isEqualTo(PopResult.CHAIN);

        assertThat(queue.enableNotifications()).isFalse();
        driver.add(writable(BUFFERS, 4));
        assertThat(driver.kickNeeded()).isTrue();
    }

    /** Virtio 1.2, 2.7.10.2: with the feature "the device MUST set flags to 0", and "MAY use avail_event". */
    @Test
    void switchesNotificationsWithTheEventIndex() {
        DriverQueue driver = start(EVENT_INDEX);
        driver.add(writable(BUFFERS, 4));
        assertThat(driver.kickNeeded()).isTrue();
        queue.disableNotifications();
        assertThat(memory.readShort(layout.usedFlags())).isZero();
        driver.add(writable(BUFFERS, 4));
        assertThat(driver.kickNeeded()).isFalse();
        assertThat(queue.pop(chain)).isEqualTo(PopResult.CHAIN);
        assertThat(queue.pop(new DescriptorChain())).isEqualTo(PopResult.CHAIN);

        assertThat(queue.enableNotifications()).isFalse();
        assertThat(memory.readShort(layout.availableEvent())).isEqualTo((short) 2);
        driver.add(writable(BUFFERS, 4));
        assertThat(driver.kickNeeded()).isTrue();
    }

    @Test
    void tellsOfChainsThatCameBeforeNotificationsWereEnabled() {
        for (Set<QueueFeature> features : Set.of(FLAGS, EVENT_INDEX)) {
            memory.fill(layout.driver(), 0x2000, (byte) 0);
            DriverQueue driver = start(features);
            queue.disableNotifications();
            driver.add(writable(BUFFERS, 4));
            assertThat(queue.enableNotifications()).isTrue();
            assertThat(queue.pop(new DescriptorChain())).isEqualTo(PopResult.CHAIN);
            assertThat(queue.enableNotifications()).isFalse();
        }
    }

    @Test
    void staysQuietWhenNotInUse() {
        queue.disableNotifications();
        assertThat(queue.enableNotifications()).isFalse();
        assertThat(queue.interruptNeeded()).isFalse();
    }
}
