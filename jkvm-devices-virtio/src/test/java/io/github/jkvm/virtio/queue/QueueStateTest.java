package io.github.jkvm.virtio.queue;

import static io.github.jkvm.virtio.queue.TestDriver.BUFFERS;
import static io.github.jkvm.virtio.queue.TestDriver.Buffer.writable;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.github.jkvm.DeviceState;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.virtio.queue.QueueFault.Reason;
import io.github.jkvm.virtio.queue.TestDriver.Used;
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
    private static final Set<QueueFeature> FEATURES =
            Set.of(QueueFeature.EVENT_INDEX, QueueFeature.INDIRECT_DESCRIPTORS);

    private final GuestMemory memory = TestDriver.memory();
    private final QueueLayout layout = TestDriver.layout(8);
    private final DescriptorChain chain = new DescriptorChain();
    private final RingFormat format;
    private final TestDriver driver;
    private final VirtQueue queue;

    QueueStateTest(RingFormat format) {
        this.format = format;
        driver = TestDriver.of(format, memory, layout, FEATURES);
        queue = format.queue(memory, 8);
    }

    private DeviceState saved() {
        var state = new DeviceState(1);
        queue.save(state, "queue0");
        return DeviceState.decode(state.encode());
    }

    private VirtQueue restored() {
        var other = format.queue(memory, 8);
        other.restore(saved(), "queue0");
        return other;
    }

    @Test
    void goesOnWhereItWasSaved() {
        queue.activate(layout, FEATURES);
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
        queue.activate(layout, FEATURES);
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
        queue.activate(layout, FEATURES);
        driver.add(writable(-4, 8));
        queue.pop(chain);

        VirtQueue other = restored();

        assertThat(other.pop(chain)).isEqualTo(PopResult.STOPPED);
        assertThat(other.fault().orElseThrow().reason()).isEqualTo(Reason.BUFFER_OUTSIDE_MEMORY);
    }

    @Test
    void refusesToBeSavedWithChainsInFlight() {
        queue.activate(layout, FEATURES);
        driver.add(writable(BUFFERS, 4));
        queue.pop(chain);

        assertThatIllegalStateException().isThrownBy(this::saved).withMessageContaining("1 chains of queue0");
    }

    @ParameterizedTest
    @CsvSource({
        "condition, 3",
        "format, 2",
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
        queue.activate(layout, FEATURES);
        DeviceState state = saved();
        state.putNumber("queue0." + entry, value);
        int head = driver.add(writable(BUFFERS, 4));

        assertThatIllegalArgumentException().isThrownBy(() -> queue.restore(state, "queue0"));

        assertThat(queue.pop(chain)).isEqualTo(PopResult.CHAIN);
        assertThat(chain.head()).isEqualTo(head);
    }

    @Test
    void refusesTheStateOfAQueueOfTheOtherFormat() {
        queue.activate(layout, FEATURES);
        DeviceState state = saved();
        RingFormat other = format == RingFormat.SPLIT ? RingFormat.PACKED : RingFormat.SPLIT;

        assertThatIllegalArgumentException()
                .isThrownBy(() -> other.queue(memory, 8).restore(state, "queue0"))
                .withMessageContaining("queue0.format");
    }

    @Test
    void goesOnInAnyPlaceOfTheRings() {
        queue.activate(layout, FEATURES);
        VirtQueue now = queue;
        for (int i = 0; i < 100; i++) {
            int head = driver.add(writable(BUFFERS, 4), writable(BUFFERS, 4), writable(BUFFERS, 4));
            assertThat(now.pop(chain)).isEqualTo(PopResult.CHAIN);
            now.complete(chain, 12);
            assertThat(driver.takeUsed()).contains(new Used(head, 12));
            var state = new DeviceState(1);
            now.save(state, "q");
            now = format.queue(memory, 8);
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
