package io.github.jkvm.virtio.queue;

import static io.github.jkvm.testkit.virtio.Buffer.writable;
import static io.github.jkvm.testkit.virtio.PackedDriverQueue.AT_DESCRIPTOR;
import static io.github.jkvm.testkit.virtio.PackedDriverQueue.DISABLE;
import static io.github.jkvm.testkit.virtio.PackedDriverQueue.EVENT_FLAGS_OFFSET;
import static io.github.jkvm.virtio.queue.TestQueue.BUFFERS;
import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.GuestMemory;
import io.github.jkvm.testkit.virtio.Buffer;
import io.github.jkvm.testkit.virtio.DriverQueue;
import io.github.jkvm.testkit.virtio.PackedDriverQueue;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Who tells whom about a packed ring, and when it may be left out (virtio 1.2, 2.8.10). */
class PackedNotificationTest {
    private static final Set<QueueFeature> FLAGS = Set.of(QueueFeature.PACKED_RING);
    private static final Set<QueueFeature> EVENT_INDEX = Set.of(QueueFeature.PACKED_RING, QueueFeature.EVENT_INDEX);

    /** The wrap counter beside an offset in the ring: 1 in the first lap (virtio 1.2, 2.8.14). */
    private static final int FIRST_LAP = 0x8000;

    private final GuestMemory memory = TestQueue.memory();
    private final QueueLayout layout = TestQueue.layout(5);
    private final VirtQueue queue = new VirtQueue(memory, 8);
    private final DescriptorChain chain = new DescriptorChain();

    private PackedDriverQueue start(Set<QueueFeature> features) {
        assertThat(queue.activate(layout, features)).isEmpty();
        return TestQueue.packed(memory, layout, features);
    }

    /** Lets a chain of so many descriptors come and go. */
    private void complete(DriverQueue driver, int descriptors) {
        Buffer[] buffers = new Buffer[descriptors];
        Arrays.fill(buffers, writable(BUFFERS, 4));
        driver.add(buffers);
        assertThat(queue.pop(chain)).isEqualTo(PopResult.CHAIN);
        assertThat(queue.complete(chain, 0)).isTrue();
        assertThat(driver.takeUsed()).isPresent();
    }

    private void askForInterrupt(int flags, int offset) {
        memory.writeShort(layout.driver(), (short) offset);
        memory.writeShort(layout.driver() + EVENT_FLAGS_OFFSET, (short) flags);
    }

    @Test
    void interruptsUnlessTheFlagsSayNo() {
        for (Set<QueueFeature> features : List.of(FLAGS, EVENT_INDEX)) {
            memory.fill(layout.descriptors(), BUFFERS - layout.descriptors(), (byte) 0);
            DriverQueue driver = start(features);
            complete(driver, 1);
            assertThat(queue.interruptNeeded()).isTrue();

            driver.disableInterrupts();
            complete(driver, 1);
            assertThat(queue.interruptNeeded()).isFalse();

            driver.enableInterrupts();
            complete(driver, 1);
            assertThat(queue.interruptNeeded()).isTrue();
            assertThat(queue.interruptNeeded()).isFalse();
        }
    }

    /** Virtio 1.2, 2.8.10: "Event will only trigger when this descriptor is made used", in the lap of its wrap counter. */
    @Test
    void interruptsAtTheDescriptorAndInTheLapThatTheDriverNames() {
        DriverQueue driver = start(EVENT_INDEX);
        askForInterrupt(AT_DESCRIPTOR, 2);
        for (int slot = 0; slot < 5; slot++) {
            complete(driver, 1);
            assertThat(queue.interruptNeeded()).isFalse();
        }
        for (int slot = 0; slot < 5; slot++) {
            complete(driver, 1);
            assertThat(queue.interruptNeeded()).isEqualTo(slot == 2);
        }
        askForInterrupt(AT_DESCRIPTOR, 2 | FIRST_LAP);
        for (int slot = 0; slot < 10; slot++) {
            complete(driver, 1);
            assertThat(queue.interruptNeeded()).isEqualTo(slot == 2);
        }
    }

    /** Only the first descriptor of a list is marked used: the others are passed over (virtio 1.2, 2.8.6). */
    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2})
    void interruptsForAnyDescriptorOfAList(int event) {
        DriverQueue driver = start(EVENT_INDEX);
        askForInterrupt(AT_DESCRIPTOR, event | FIRST_LAP);
        complete(driver, 3);
        assertThat(queue.interruptNeeded()).isTrue();
        complete(driver, 3);
        assertThat(queue.interruptNeeded()).isFalse();
    }

    @Test
    void interruptsWhenABatchPassesTheDescriptor() {
        DriverQueue driver = start(EVENT_INDEX);
        askForInterrupt(AT_DESCRIPTOR, 1);
        complete(driver, 3);
        complete(driver, 3);
        complete(driver, 3);
        assertThat(queue.interruptNeeded()).isTrue();
    }

    @Test
    void interruptsAfterMoreCompletionsThanThereArePlaces() {
        DriverQueue driver = start(EVENT_INDEX);
        askForInterrupt(AT_DESCRIPTOR, 4);
        for (int i = 0; i < 70_000; i++) {
            complete(driver, 1);
        }
        assertThat(queue.interruptNeeded()).isTrue();
    }

    /** What makes no sense gets an interrupt, which does no harm: "The value 0x3 is reserved"; no such descriptor. */
    @Test
    void interruptsWhenTheDriverAsksForNonsense() {
        DriverQueue driver = start(EVENT_INDEX);
        askForInterrupt(3, 0);
        complete(driver, 1);
        assertThat(queue.interruptNeeded()).isTrue();
        askForInterrupt(AT_DESCRIPTOR, 5);
        complete(driver, 1);
        assertThat(queue.interruptNeeded()).isTrue();
        askForInterrupt(AT_DESCRIPTOR, 0xFFFF);
        complete(driver, 1);
        assertThat(queue.interruptNeeded()).isTrue();
    }

    /** Virtio 1.2, 2.8.14: the other 14 bits beside the flags are reserved. */
    @Test
    void ignoresReservedBits() {
        DriverQueue driver = start(EVENT_INDEX);
        askForInterrupt(0xFFFC | DISABLE, 0);
        complete(driver, 1);
        assertThat(queue.interruptNeeded()).isFalse();
    }

    /** Virtio 1.2, 2.8.10: a specific descriptor is "only valid if VIRTIO_F_RING_EVENT_IDX has been negotiated". */
    @Test
    void ignoresTheDescriptorWithoutTheFeature() {
        DriverQueue driver = start(FLAGS);
        askForInterrupt(AT_DESCRIPTOR, 4);
        complete(driver, 1);
        assertThat(queue.interruptNeeded()).isTrue();
    }

    @Test
    void switchesNotificationsWithTheFlags() {
        DriverQueue driver = start(FLAGS);
        queue.disableNotifications();
        driver.add(writable(BUFFERS, 4));
        assertThat(driver.kickNeeded()).isFalse();
        assertThat(queue.pop(chain)).isEqualTo(PopResult.CHAIN);

        assertThat(queue.enableNotifications()).isFalse();
        driver.add(writable(BUFFERS, 4));
        assertThat(driver.kickNeeded()).isTrue();
    }

    @Test
    void switchesNotificationsWithTheDescriptor() {
        PackedDriverQueue driver = start(EVENT_INDEX);
        for (int i = 0; i < 12; i++) {
            assertThat(queue.enableNotifications()).isFalse();
            assertThat(driver.kickNeeded()).isFalse();
            driver.add(writable(BUFFERS, 4), writable(BUFFERS, 4));
            assertThat(driver.kickNeeded()).isTrue();
            driver.add(writable(BUFFERS, 4));
            // The descriptor is passed already.
            assertThat(driver.kickNeeded()).isFalse();
            queue.disableNotifications();
            assertThat(queue.pop(chain)).isEqualTo(PopResult.CHAIN);
            queue.complete(chain, 0);
            assertThat(queue.pop(chain)).isEqualTo(PopResult.CHAIN);
            queue.complete(chain, 0);
            assertThat(driver.takeUsed()).isPresent();
            assertThat(driver.takeUsed()).isPresent();
            driver.add(writable(BUFFERS, 4));
            assertThat(driver.kickNeeded()).isFalse();
            assertThat(queue.enableNotifications()).isTrue();
            assertThat(queue.pop(chain)).isEqualTo(PopResult.CHAIN);
            queue.complete(chain, 0);
            assertThat(driver.takeUsed()).isPresent();
        }
    }

    @Test
    void tellsOfChainsThatCameBeforeNotificationsWereEnabled() {
        for (Set<QueueFeature> features : List.of(FLAGS, EVENT_INDEX)) {
            memory.fill(layout.descriptors(), BUFFERS - layout.descriptors(), (byte) 0);
            DriverQueue driver = start(features);
            queue.disableNotifications();
            driver.add(writable(BUFFERS, 4));
            assertThat(queue.enableNotifications()).isTrue();
            assertThat(queue.pop(new DescriptorChain())).isEqualTo(PopResult.CHAIN);
            assertThat(queue.enableNotifications()).isFalse();
        }
    }
}
