package io.github.jkvm.virtio.queue;

import static io.github.jkvm.testkit.virtio.Buffer.writable;
import static io.github.jkvm.virtio.queue.TestQueue.BUFFERS;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.github.jkvm.DeviceState;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.testkit.virtio.DriverQueue;
import io.github.jkvm.testkit.virtio.Used;
import io.github.jkvm.virtio.queue.QueueFault.Reason;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** What a queue of either format writes down, and that it takes over nothing else. */
@ParameterizedClass
@EnumSource(RingFormat.class)
class QueueStateTest {
    private final GuestMemory memory = TestQueue.memory();
    private final QueueLayout layout = TestQueue.layout(8);
    private final DescriptorChain chain = new DescriptorChain();
    private final RingFormat format;
    private final Set<QueueFeature> features;
    private final DriverQueue driver;
    private final VirtQueue queue;

    QueueStateTest(RingFormat format) {
        this.format = format;
        features = TestQueue.features(format, QueueFeature.EVENT_INDEX, QueueFeature.INDIRECT_DESCRIPTORS);
        driver = TestQueue.of(format, memory, layout, features);
        queue = new VirtQueue(memory, 8);
    }

    private DeviceState saved() {
        var state = new DeviceState(1);
        queue.save(state, "queue0");
        return DeviceState.decode(state.encode());
    }

    private VirtQueue restored() {
        var other = new VirtQueue(memory, 8);
        other.restore(saved(), "queue0");
        return other;
    }

    @Test
    void goesOnWhereItWasSaved() {
        queue.activate(layout, features);
        for (int i = 0; i < 3; i++) {
            driver.add(writable(BUFFERS, 4));
            queue.pop(chain);
            queue.complete(chain, 1);
            driver.takeUsed();
        }
        int head = driver.addIndirect(writable(BUFFERS, 4));

        VirtQueue other = restored();

        assertThat(other.pop(chain)).isEqualTo(PopResult.CHAIN);
        assertThat(chain.head()).isEqualTo(head);
        assertThat(other.complete(chain, 2)).isTrue();
        assertThat(driver.takeUsed()).contains(new Used(head, 2));
    }

    @Test
    void remembersCompletionsThatWereNotAnnounced() {
        queue.activate(layout, features);
        driver.add(writable(BUFFERS, 4));
        queue.pop(chain);
        queue.complete(chain, 1);

        VirtQueue other = restored();

        assertThat(other.interruptNeeded()).isTrue();
        assertThat(other.interruptNeeded()).isFalse();
    }

    @Test
    void remembersThatItIsNotInUse() {
        VirtQueue other = restored();
        assertThat(other.isActive()).isFalse();
        assertThat(other.fault()).isEmpty();
    }

    @Test
    void remembersWhatStoppedIt() {
        queue.activate(layout, features);
        driver.add(writable(-4, 8));
        queue.pop(chain);

        VirtQueue other = restored();

        assertThat(other.pop(chain)).isEqualTo(PopResult.STOPPED);
        assertThat(other.fault().orElseThrow().reason()).isEqualTo(Reason.BUFFER_OUTSIDE_MEMORY);
    }

    @Test
    void refusesToBeSavedWithChainsInFlight() {
        queue.activate(layout, features);
        driver.add(writable(BUFFERS, 4));
        queue.pop(chain);

        assertThatIllegalStateException().isThrownBy(this::saved).withMessageContaining("1 chains of queue0");
    }

    @ParameterizedTest
    @CsvSource({
        "condition, 3",
        "feature34, 2",
        "size, 0",
        "size, 16",
        "size, 4294967304",
        "descriptors, 4097",
        "driver, 4098",
        "device, -4",
        "feature29, 2",
        "position, 65536",
        "position, -1",
        "unannounced, 65537"
    })
    void refusesStatesThatCannotBeAndStaysAsItWas(String entry, long value) {
        queue.activate(layout, features);
        DeviceState state = saved();
        state.putNumber("queue0." + entry, value);
        int head = driver.add(writable(BUFFERS, 4));

        assertThatIllegalArgumentException().isThrownBy(() -> queue.restore(state, "queue0"));

        assertThat(queue.pop(chain)).isEqualTo(PopResult.CHAIN);
        assertThat(chain.head()).isEqualTo(head);
    }

    /** A place in a packed ring that there is not; split rings stand at any index. */
    @Test
    void refusesAPlaceOutsideThePackedRing() {
        queue.activate(layout, features);
        DeviceState state = saved();
        state.putNumber("queue0.position", 0x8008);
        if (format == RingFormat.SPLIT) {
            queue.restore(state, "queue0");
            return;
        }

        assertThatIllegalArgumentException()
                .isThrownBy(() -> queue.restore(state, "queue0"))
                .withMessageContaining("queue0.position")
                .withMessageContaining("8 descriptors");
    }

    @Test
    void goesOnInAnyPlaceOfTheRings() {
        queue.activate(layout, features);
        VirtQueue now = queue;
        for (int i = 0; i < 100; i++) {
            int head = driver.add(writable(BUFFERS, 4), writable(BUFFERS, 4), writable(BUFFERS, 4));
            assertThat(now.pop(chain)).isEqualTo(PopResult.CHAIN);
            now.complete(chain, 12);
            assertThat(driver.takeUsed()).contains(new Used(head, 12));
            var state = new DeviceState(1);
            now.save(state, "q");
            now = new VirtQueue(memory, 8);
            now.restore(state, "q");
        }
    }

    @Test
    void namesTheEntryThatIsMissing() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> queue.restore(new DeviceState(1), "queue7"))
                .withMessageContaining("queue7.condition");
    }
}
