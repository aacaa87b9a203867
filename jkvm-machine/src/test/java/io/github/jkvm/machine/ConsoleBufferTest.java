package io.github.jkvm.machine;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.InputStream;
import java.io.InterruptedIOException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

class ConsoleBufferTest {
    private static void print(ConsoleBuffer buffer, String text) {
        for (byte b : text.getBytes(US_ASCII)) {
            buffer.write(b);
        }
    }

    @Test
    void givesWhatWasPrintedThenTheEnd() throws IOException {
        var buffer = new ConsoleBuffer(100_000);
        String text = "0123456789".repeat(2000);
        print(buffer, text);
        buffer.end();
        assertThat(buffer.reader().readAllBytes()).asString(US_ASCII).isEqualTo(text);
        assertThat(buffer.reader().read()).isEqualTo(-1);
        assertThat(buffer.dropped()).isZero();
    }

    @Test
    void keepsTheNewestAndCountsTheRest() throws IOException {
        var buffer = new ConsoleBuffer(10);
        print(buffer, "0123456789abcde");
        buffer.end();
        assertThat(buffer.reader().readAllBytes()).asString(US_ASCII).isEqualTo("56789abcde");
        assertThat(buffer.dropped()).isEqualTo(5);
    }

    @Test
    @Timeout(20)
    void readerWaitsForOutput() throws Exception {
        var buffer = new ConsoleBuffer(10);
        InputStream reader = buffer.reader();
        assertThat(reader.available()).isZero();
        var first = CompletableFuture.supplyAsync(() -> {
            try {
                return reader.read();
            } catch (IOException e) {
                throw new AssertionError(e);
            }
        });
        buffer.write('x');
        assertThat(first.get(10, TimeUnit.SECONDS)).isEqualTo('x');
    }

    @Test
    void readerCanBeInterrupted() {
        var buffer = new ConsoleBuffer(10);
        Thread.currentThread().interrupt();
        assertThatThrownBy(() -> buffer.reader().read()).isInstanceOf(InterruptedIOException.class);
        assertThat(Thread.interrupted()).as("the interrupt is kept").isTrue();
    }

    @Property(tries = 200)
    void readsAreTheLastOfTheWrites(
            @ForAll @IntRange(min = 1, max = 50) int capacity, @ForAll @Size(max = 200) byte[] written)
            throws IOException {
        var buffer = new ConsoleBuffer(capacity);
        for (byte b : written) {
            buffer.write(b);
        }
        buffer.end();
        byte[] read = buffer.reader().readAllBytes();
        assertThat(read).hasSize(Math.min(capacity, written.length));
        assertThat(written).endsWith(read);
        assertThat(buffer.dropped()).isEqualTo(written.length - read.length);
    }
}
