package io.github.jkvm.samples.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.atomic.AtomicInteger;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.CharRange;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;

class GuestOutputTest {
    private static final String READY = "<ab>";

    private final ByteArrayOutputStream before = new ByteArrayOutputStream();
    private final ByteArrayOutputStream after = new ByteArrayOutputStream();
    private final AtomicInteger calls = new AtomicInteger();

    @Property
    void splitsAtTheFirstReadyWordHoweverTheBytesArrive(
            @ForAll @CharRange(from = 'a', to = 'b') String kernel,
            @ForAll String command,
            @ForAll @IntRange(min = 1, max = 9) int chunk)
            throws IOException {
        before.reset();
        after.reset();
        calls.set(0);
        // '<' and a part of the word before it come again without the rest.
        String messages = kernel + "<a<<" + kernel;
        var output = new GuestOutput(READY, before, after, calls::incrementAndGet);
        byte[] all = (messages + READY + command + READY).getBytes(StandardCharsets.UTF_8);
        for (int at = 0; at < all.length; at += chunk) {
            output.write(all, at, Math.min(chunk, all.length - at));
        }
        assertThat(before.toString(StandardCharsets.UTF_8)).isEqualTo(messages);
        assertThat(after.toByteArray()).isEqualTo((command + READY).getBytes(StandardCharsets.UTF_8));
        assertThat(calls).hasValue(1);
        assertThat(output.isReady()).isTrue();
    }

    @Test
    void takesAllForTheCommandsOutputIfThereIsNoWord() throws IOException {
        var output = new GuestOutput("", before, after, calls::incrementAndGet);
        assertThat(calls).hasValue(1);
        output.write('x');
        assertThat(after.toString(StandardCharsets.UTF_8)).isEqualTo("x");
        assertThat(before.size()).isZero();
    }

    @Test
    void remembersTheEnd() throws IOException {
        var output = new GuestOutput(READY, before, after, calls::incrementAndGet);
        assertThat(output.tail()).isEmpty();
        output.write("0123456789".repeat(2000).getBytes(StandardCharsets.UTF_8));
        output.write("panic".getBytes(StandardCharsets.UTF_8));
        assertThat(output.tail()).hasSize(16 * 1024).endsWith("789panic");
        assertThat(output.isReady()).isFalse();
    }

    @Test
    void refusesAWordWhoseFirstCharacterComesAgain() {
        assertThatThrownBy(() -> new GuestOutput("aba", before, after, () -> {}))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("'aba'");
    }
}
