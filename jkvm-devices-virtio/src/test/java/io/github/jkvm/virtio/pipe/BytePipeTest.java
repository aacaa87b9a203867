package io.github.jkvm.virtio.pipe;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.net.SocketTimeoutException;
import java.nio.channels.ClosedChannelException;
import java.time.Duration;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;

final class BytePipeTest {
    private final AtomicInteger wakes = new AtomicInteger();
    private final BytePipe pipe = new BytePipe(8, wakes::incrementAndGet);

    private static MemorySegment bytes(int... values) {
        var bytes = new byte[values.length];
        for (int i = 0; i < values.length; i++) {
            bytes[i] = (byte) values[i];
        }
        return MemorySegment.ofArray(bytes);
    }

    private static MemorySegment room(int size) {
        return MemorySegment.ofArray(new byte[size]);
    }

    private long put(MemorySegment source) {
        return pipe.putWith(part -> {
            long count = Math.min(part.byteSize(), source.byteSize());
            MemorySegment.copy(source, 0, part, 0, count);
            return count;
        });
    }

    @Test
    void takesOnlyWhatFits() throws Exception {
        assertThat(pipe.write(bytes(1, 2, 3, 4, 5, 6, 7, 8, 9), null)).isEqualTo(8);
        assertThat(pipe.free()).isZero();
        assertThatExceptionOfType(SocketTimeoutException.class)
                .isThrownBy(() -> pipe.write(bytes(9), Duration.ofMillis(1)))
                .withMessageContaining("write did not get anywhere in PT0.001S");
        assertThat(pipe.read(room(3), null)).isEqualTo(3);
        assertThat(pipe.write(bytes(9, 10, 11, 12), null)).isEqualTo(3);
        assertThat(pipe.contents()).containsExactly(4, 5, 6, 7, 8, 9, 10, 11);
    }

    @Test
    void wakesTheLoopOnceForDataThatItHasAskedFor() throws Exception {
        pipe.write(bytes(1), null);
        pipe.write(bytes(2), null);
        assertThat(wakes).hasValue(1);
        pipe.drop(2);
        assertThat(pipe.pending()).isZero();
        pipe.write(bytes(3), null);
        assertThat(wakes).hasValue(2);
    }

    @Test
    void wakesTheLoopForRoomWhenHalfOfThePipeIsFree() throws Exception {
        put(bytes(1, 2, 3, 4, 5, 6, 7, 8));
        assertThat(pipe.room()).isZero();
        wakes.set(0);
        pipe.read(room(3), null);
        assertThat(wakes).hasValue(0);
        pipe.read(room(1), null);
        assertThat(wakes).hasValue(1);
        pipe.read(room(4), null);
        assertThat(wakes).hasValue(1);
    }

    @Test
    void endsTheStreamAfterWhatIsInIt() throws Exception {
        pipe.write(bytes(1), null);
        pipe.closeWriter();
        assertThatExceptionOfType(ClosedChannelException.class).isThrownBy(() -> pipe.write(bytes(2), null));
        assertThat(pipe.read(room(4), null)).isEqualTo(1);
        assertThat(pipe.read(room(4), null)).isEqualTo(-1);
    }

    @Test
    void failsAWriterWithoutAReader() throws Exception {
        pipe.write(bytes(1), null);
        pipe.closeReader();
        assertThat(pipe.available()).isZero();
        assertThatExceptionOfType(IOException.class)
                .isThrownBy(() -> pipe.write(bytes(2), null))
                .withMessageContaining("the guest's side is closed");
        assertThatExceptionOfType(ClosedChannelException.class).isThrownBy(() -> pipe.read(room(1), null));
    }

    @Test
    void wakesAReaderThatWaitsWhenAnEndIsClosed() throws Exception {
        var reading = new FutureTask<>(() -> pipe.read(room(1), null));
        Thread.ofPlatform().daemon().start(reading);
        pipe.closeReader();
        assertThatExceptionOfType(ExecutionException.class)
                .isThrownBy(() -> reading.get(20, TimeUnit.SECONDS))
                .withCauseInstanceOf(ClosedChannelException.class);
    }

    @Test
    void replacesItsContents() {
        pipe.setContents(new byte[] {1, 2, 3});
        assertThat(pipe.contents()).containsExactly(1, 2, 3);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> pipe.setContents(new byte[9]))
                .withMessageContaining("9 bytes do not fit a pipe of 8");
    }

    @Property(tries = 100)
    void carriesAllBytesInOrderBetweenTwoThreads(
            @ForAll @IntRange(min = 1, max = 50) int capacity,
            @ForAll @Size(min = 1, max = 40) List<@IntRange(min = 1, max = 200) Integer> sizes,
            @ForAll long seed)
            throws Exception {
        var carrier = new BytePipe(capacity, () -> {});
        int total = sizes.stream().mapToInt(Integer::intValue).sum();
        var sent = new byte[total];
        new Random(seed).nextBytes(sent);
        var writing = new FutureTask<>(() -> {
            int done = 0;
            for (int size : sizes) {
                for (int end = done + size; done < end; ) {
                    done += carrier.write(MemorySegment.ofArray(sent).asSlice(done, end - done), null);
                }
            }
            carrier.closeWriter();
            return done;
        });
        Thread.ofPlatform().daemon().start(writing);
        var seen = new ByteArrayOutputStream();
        var buffer = new byte[64];
        int count = carrier.read(MemorySegment.ofArray(buffer), Duration.ofSeconds(20));
        while (count >= 0) {
            seen.write(buffer, 0, count);
            count = carrier.read(MemorySegment.ofArray(buffer), Duration.ofSeconds(20));
        }
        assertThat(writing.get(20, TimeUnit.SECONDS)).isEqualTo(total);
        assertThat(seen.toByteArray()).isEqualTo(sent);
    }
}
