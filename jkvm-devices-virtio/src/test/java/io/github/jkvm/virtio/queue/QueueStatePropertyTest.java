package io.github.jkvm.virtio.queue;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.DeviceState;
import io.github.jkvm.GuestMemory;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;

/** Saved state is not trusted. */
class QueueStatePropertyTest {
    @Property(tries = 1000)
    void anyNumbersAreRefusedOrGiveAWorkingQueue(
            @ForAll RingFormat format,
            @ForAll byte condition,
            @ForAll byte size,
            @ForAll long descriptors,
            @ForAll short available,
            @ForAll short used,
            @ForAll short index,
            @ForAll byte fault) {
        GuestMemory memory = TestQueue.memory();
        var state = new DeviceState(1);
        state.putNumber("q.condition", condition & 3);
        state.putNumber("q.feature34", format.ordinal());
        state.putNumber("q.size", size);
        state.putNumber("q.descriptors", descriptors & 0x3_FFF0);
        state.putNumber("q.driver", available);
        state.putNumber("q.device", used);
        state.putNumber("q.feature28", fault & 1);
        state.putNumber("q.feature29", fault >> 1 & 1);
        state.putNumber("q.feature35", fault >> 2 & 1);
        state.putNumber("q.position", index & 0xFFFF);
        state.putNumber("q.unannounced", 0);
        state.putNumber("q.fault", fault);
        var any = new VirtQueue(memory, 8);
        try {
            any.restore(state, "q");
        } catch (IllegalArgumentException refused) {
            assertThat(any.isActive()).isFalse();
            return;
        }
        any.pop(new DescriptorChain());
        any.interruptNeeded();
    }
}
