package io.github.jkvm.virtio.net;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;

class StreamBufferTest {
    private final byte[] target = new byte[Frame.MAX_SIZE];
    private final Frame room = new Frame();

    StreamBufferTest() {
        room.add(MemorySegment.ofArray(target), 0, 1000);
        room.add(MemorySegment.ofArray(target), 1000, target.length - 1000);
    }

    private static byte[] stream(List<byte[]> frames) throws IOException {
        var bytes = new ByteArrayOutputStream();
        var out = new DataOutputStream(bytes);
        for (byte[] frame : frames) {
            out.writeInt(frame.length);
            out.write(frame);
        }
        return bytes.toByteArray();
    }

    /** Puts as much into the buffer as goes, of at most so many bytes. */
    private static int put(StreamBuffer buffer, byte[] bytes, int from, int most) {
        MemorySegment free = buffer.room();
        int count = (int) Math.min(Math.min(most, bytes.length - from), free.byteSize());
        MemorySegment.copy(MemorySegment.ofArray(bytes), from, free, 0, count);
        buffer.added(count);
        return count;
    }

    @Property(tries = 300)
    void findsTheFramesOfAStreamHoweverItIsSplit(
            @ForAll @Size(max = 40) List<@IntRange(min = 14, max = Frame.MAX_SIZE) Integer> sizes,
            @ForAll @Size(min = 1, max = 20) List<@IntRange(min = 1, max = 100_000) Integer> pieces)
            throws IOException {
        List<byte[]> frames = new ArrayList<>();
        for (int size : sizes) {
            frames.add(NetGuest.frame(size));
        }
        byte[] stream = stream(frames);
        var buffer = new StreamBuffer();
        List<byte[]> found = new ArrayList<>();
        int piece = 0;
        for (int at = 0; at < stream.length; ) {
            int count = put(buffer, stream, at, pieces.get(piece++ % pieces.size()));
            assertThat(count).isPositive();
            at += count;
            for (long size = buffer.next(room); size != 0; size = buffer.next(room)) {
                found.add(Arrays.copyOf(target, (int) size));
            }
        }
        assertThat(found).containsExactlyElementsOf(frames);
    }

    @Test
    void passesOverWhatIsTooShortForAFrame() throws IOException {
        var buffer = new StreamBuffer();
        byte[] frame = NetGuest.frame(14);
        byte[] stream = stream(List.of(new byte[0], new byte[13], frame));
        put(buffer, stream, 0, stream.length);
        assertThat(buffer.next(room)).isEqualTo(14);
        assertThat(target).startsWith(frame);
        assertThat(buffer.next(room)).isZero();
    }

    @Test
    void refusesLengthsThatNoFrameHas() {
        var buffer = new StreamBuffer();
        put(buffer, new byte[] {0, 1, 0, 18}, 0, 4);
        assertThat(buffer.next(room)).isEqualTo(StreamBuffer.BROKEN);
        buffer.clear();
        put(buffer, new byte[] {-1, -1, -1, -1}, 0, 4);
        assertThat(buffer.next(room)).isEqualTo(StreamBuffer.BROKEN);
    }
}
