package io.github.jkvm.virtio.net;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;

/** A frame's parts, which are laid out once and then only shortened at the front and lengthened at the end. */
class FrameTest {
    private static MemorySegment counted(MemorySegment memory) {
        for (int i = 0; i < memory.byteSize(); i++) {
            memory.set(ValueLayout.JAVA_BYTE, i, (byte) i);
        }
        return memory;
    }

    private static byte[] bytes(Frame frame) {
        byte[] bytes = new byte[(int) frame.size()];
        frame.copyTo(0, MemorySegment.ofArray(bytes), 0, bytes.length);
        return bytes;
    }

    /** Whatever is left out and added, the bytes are those of one long run from some place on. */
    @Property(tries = 200)
    void slidesOverARunOfParts(
            @ForAll @Size(min = 1, max = 40) List<@IntRange(min = 1, max = 30) Integer> lengths, @ForAll long seed) {
        var random = new SplittableRandom(seed);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment run =
                    counted(random.nextBoolean() ? arena.allocate(2000) : MemorySegment.ofArray(new byte[2000]));
            byte[] all = run.toArray(ValueLayout.JAVA_BYTE);
            var frame = new Frame();
            int start = 0;
            int end = 0;
            for (int length : lengths) {
                frame.add(run, end, length);
                end += length;
                int out = random.nextInt(40);
                frame.leaveOut(out);
                start += out;
                int from = Math.min(start, end);
                assertThat(bytes(frame)).isEqualTo(Arrays.copyOfRange(all, from, end));
                if (frame.isNative()) {
                    assertThat(frame.vectors().count()).isEqualTo(1 + frame.partCount());
                    assertThat(frame.vectors().bytes()).isEqualTo(OffloadHeader.SIZE + frame.size());
                }
            }
        }
    }

    @Test
    void forgetsTheLastParts() {
        var frame = new Frame();
        MemorySegment run = counted(Arena.ofAuto().allocate(30));
        frame.add(run, 0, 10);
        frame.add(run, 10, 5);
        frame.add(run, 15, 15);
        frame.keepParts(1);
        assertThat(bytes(frame)).containsExactly(0, 1, 2, 3, 4, 5, 6, 7, 8, 9);
        assertThat(frame.vectors().count()).isEqualTo(2);
        frame.add(run, 20, 1);
        assertThat(bytes(frame)).endsWith(9, 20).hasSize(11);
    }

    @Test
    void showsTheKernelNoFrameOnTheHeap() {
        var frame = new Frame();
        frame.add(Arena.ofAuto().allocate(10), 0, 10);
        assertThat(frame.vectors().bytes()).isEqualTo(OffloadHeader.SIZE + 10);
        frame.add(MemorySegment.ofArray(new byte[10]), 0, 10);
        assertThatThrownBy(frame::vectors)
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("native guest memory");
        frame.leaveOut(20);
        frame.add(Arena.ofAuto().allocate(7), 0, 7);
        assertThat(frame.vectors().bytes()).isEqualTo(OffloadHeader.SIZE + 7);
    }

    @Test
    void takesNoMorePartsThanOneCallOfTheKernel() {
        var frame = new Frame();
        MemorySegment run = Arena.ofAuto().allocate(2 * Frame.MAX_PARTS);
        for (int i = 0; i <= Frame.MAX_PARTS; i++) {
            assertThat(frame.hasTooManyParts()).isFalse();
            frame.add(run, i, 1);
        }
        assertThat(frame.hasTooManyParts()).isTrue();
        assertThat(frame.size()).isEqualTo(Frame.MAX_PARTS);
    }
}
