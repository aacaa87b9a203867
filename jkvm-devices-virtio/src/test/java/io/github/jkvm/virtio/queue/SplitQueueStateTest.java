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
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SplitQueueStateTest {
    private static final Set<QueueFeature> FEATURES =
            Set.of(QueueFeature.EVENT_INDEX, QueueFeature.INDIRECT_DESCRIPTORS);

    private final GuestMemory memory = TestDriver.memory();
    private final QueueLayout layout = TestDriver.layout(8);
    private final TestDriver driver = new TestDriver(memory, layout, FEATURES);
    private final SplitQueue queue = new SplitQueue(memory, 8);
    private final DescriptorChain chain = new DescriptorChain();

    private DeviceState saved() {
        var state = new DeviceState(1);
        queue.save(state, "queue0");
        return DeviceState.decode(state.encode());
    }

    private SplitQueue restored() {
        var other = new SplitQueue(memory, 8);
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

        SplitQueue other = restored();

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

        SplitQueue other = restored();

        assertThat(other.interruptNeeded()).isTrue();
        assertThat(other.interruptNeeded()).isFalse();
    }

    @Test
    void remembersThatItIsNotInUse() {
        SplitQueue other = restored();
        assertThat(other.isActive()).isFalse();
        assertThat(other.fault()).isEmpty();
    }

    @Test
    void remembersWhatStoppedIt() {
        queue.activate(layout, FEATURES);
        driver.makeAvailable(9);
        queue.pop(chain);

        SplitQueue other = restored();

        assertThat(other.pop(chain)).isEqualTo(PopResult.STOPPED);
        assertThat(other.fault().orElseThrow().reason()).isEqualTo(Reason.DESCRIPTOR_INDEX);
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
        "size, 3",
        "size, 16",
        "size, 4294967304",
        "descriptors, 4097",
        "available, 4096",
        "used, -4",
        "feature29, 2",
        "index, 65536",
        "index, -1",
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
    void namesTheEntryThatIsMissing() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> queue.restore(new DeviceState(1), "queue7"))
                .withMessageContaining("queue7.condition");
    }

    @Property(tries = 300)
    void anyNumbersAreRefusedOrGiveAWorkingQueue(
            @ForAll byte condition,
            @ForAll byte size,
            @ForAll long descriptors,
            @ForAll short available,
            @ForAll short used,
            @ForAll short index,
            @ForAll byte fault) {
        var state = new DeviceState(1);
        state.putNumber("q.condition", condition & 3);
        state.putNumber("q.size", size);
        state.putNumber("q.descriptors", descriptors & 0x3_FFF0);
        state.putNumber("q.available", available);
        state.putNumber("q.used", used);
        state.putNumber("q.feature28", fault & 1);
        state.putNumber("q.feature29", fault >> 1 & 1);
        state.putNumber("q.index", index);
        state.putNumber("q.unannounced", 0);
        state.putNumber("q.fault", fault);
        var any = new SplitQueue(memory, 8);
        try {
            any.restore(state, "q");
        } catch (IllegalArgumentException refused) {
            assertThat(any.isActive()).isFalse();
            return;
        }
        any.pop(chain);
        any.interruptNeeded();
    }
}
