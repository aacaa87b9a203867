package io.github.jkvm.virtio.block;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.kvm.ffi.ThreadUsage;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

final class StallMeterTest {
    private static final long LONG = Duration.ofSeconds(1).toNanos();

    @Test
    void countsAWait() throws InterruptedException {
        StallMeter meter = StallMeter.start();
        long start = System.nanoTime();
        assertThat(new CountDownLatch(1).await(1, TimeUnit.MILLISECONDS)).isFalse();
        assertThat(meter.stalled(System.nanoTime() - start)).isTrue();
    }

    @Test
    void countsLongWork() {
        StallMeter meter = StallMeter.start();
        long start = System.nanoTime();
        long end = ThreadUsage.ofThisThread().cpuNanos() + Duration.ofMillis(2).toNanos();
        while (ThreadUsage.ofThisThread().cpuNanos() < end) {
            Thread.onSpinWait();
        }
        assertThat(meter.stalled(System.nanoTime() - start)).isTrue();
    }

    @Test
    void doesNotCountTimeThatOthersHadTheProcessor() {
        // To the clock it took long; the thread neither waited nor computed, but for a garbage collection that it may
        // meet.
        assertThat(IntStream.range(0, 10).filter(i -> !StallMeter.start().stalled(LONG)))
                .isNotEmpty();
    }

    @Test
    void doesNotCountAShortWait() throws InterruptedException {
        StallMeter meter = StallMeter.start();
        assertThat(new CountDownLatch(1).await(1, TimeUnit.MICROSECONDS)).isFalse();
        assertThat(meter.stalled(Duration.ofNanos(10_000).toNanos())).isFalse();
    }
}
