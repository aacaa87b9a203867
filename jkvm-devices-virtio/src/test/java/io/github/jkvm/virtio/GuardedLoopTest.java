package io.github.jkvm.virtio;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.EventSource;
import io.github.jkvm.testkit.virtio.VirtioDriver;
import io.github.jkvm.virtio.queue.RingFormat;
import java.time.Duration;
import org.junit.jupiter.api.Test;

/** Code of a device that throws on the loop is that device's failure, however it came to the loop. */
class GuardedLoopTest {
    private final EchoDevice device = new EchoDevice(8);
    private final VirtioDriver guest = Guests.start(device, RingFormat.SPLIT);

    private static void fail() {
        throw new IllegalStateException("as the test wants it");
    }

    private void assertFailsWith(Runnable event) {
        assertThat(guest.needsReset()).isFalse();
        event.run();
        assertThat(guest.needsReset()).isTrue();
        assertThat(device.counters()).containsEntry("failures", 1L);
    }

    @Test
    void guardsCodeThatIsRunNext() {
        device.loop().execute(GuardedLoopTest::fail);
        assertFailsWith(guest::run);
    }

    @Test
    void guardsCodeThatIsRunLater() {
        device.loop().schedule(Duration.ofMillis(1), GuardedLoopTest::fail);
        assertFailsWith(() -> guest.loop().advance(Duration.ofMillis(1)));
    }

    @Test
    void guardsCodeThatWaitsForASource() {
        var source = new EventSource() {};
        device.loop().onReady(source, ready -> fail());
        assertFailsWith(() -> guest.loop().ready(source, EventSource.WRITABLE));
    }

    @Test
    void guardsCodeOfOtherThreads() {
        device.runOnLoop(GuardedLoopTest::fail);
        assertFailsWith(guest::run);
    }
}
