package io.github.jkvm.machine.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayDeque;
import java.util.List;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;

class ByteQueueTest {
    @Property(tries = 200)
    void behavesAsAListOfBoundedLength(
            @ForAll @IntRange(min = 1, max = 9) int capacity,
            @ForAll @Size(max = 200) List<@IntRange(min = -3, max = 6) Integer> steps) {
        var queue = new ByteQueue(capacity);
        var model = new ArrayDeque<Integer>();
        int next = 0;
        for (int step : steps) {
            if (step < 0) {
                for (int i = step; i < 0 && !model.isEmpty(); i++) {
                    assertThat(queue.remove()).isEqualTo(model.remove());
                }
            } else {
                byte[] data = new byte[step + 2];
                for (int i = 0; i < step; i++) {
                    data[i + 1] = (byte) (next + i);
                }
                int taken = queue.add(data, 1, step);
                assertThat(taken).isEqualTo(Math.min(step, capacity - model.size()));
                for (int i = 0; i < taken; i++) {
                    model.add((next + i) & 0xFF);
                }
                next += step;
            }
            assertThat(queue.size()).isEqualTo(model.size());
            assertThat(queue.isEmpty()).isEqualTo(model.isEmpty());
            assertThat(queue.isFull()).isEqualTo(model.size() == capacity);
            assertThat(queue.toArray()).hasSize(model.size());
        }
    }

    @Test
    void refusesOneByteTooMany() {
        var queue = new ByteQueue(1);
        queue.add(1);
        assertThatThrownBy(() -> queue.add(2)).hasMessageContaining("holds its 1 bytes");
        queue.clear();
        assertThatThrownBy(queue::remove).hasMessageContaining("empty");
    }
}
