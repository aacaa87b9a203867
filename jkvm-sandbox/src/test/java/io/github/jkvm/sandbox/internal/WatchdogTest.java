package io.github.jkvm.sandbox.internal;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.sandbox.Limit;
import io.github.jkvm.sandbox.LimitExceededException;
import io.github.jkvm.sandbox.Limits;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class WatchdogTest {
    private static final Limits NONE = new Limits(Limits.UNLIMITED, Limits.UNLIMITED, 0);

    private static Limit first(Limits limits, int processors, AtomicLong cpuNanos) throws Exception {
        var told = new CompletableFuture<LimitExceededException>();
        try (var watch = Watchdog.watch(limits, processors, () -> cpuNanos.addAndGet(1_000_000), told::complete)) {
            assertThat(watch).isNotNull();
            return told.get(1, TimeUnit.MINUTES).limit();
        }
    }

    @Test
    void tellsOfTheDeadline() throws Exception {
        long before = System.nanoTime();
        assertThat(first(NONE.withDeadline(Duration.ofMillis(20)), 1, new AtomicLong()))
                .isEqualTo(Limit.DEADLINE);
        assertThat(System.nanoTime() - before).isGreaterThanOrEqualTo(20_000_000);
    }

    @Test
    void looksAtTheProcessorTimeUntilItIsUsedUp() throws Exception {
        var cpuNanos = new AtomicLong();
        assertThat(first(NONE.withCpuTime(Duration.ofMillis(4)), 2, cpuNanos)).isEqualTo(Limit.CPU_TIME);
        assertThat(cpuNanos.get()).isEqualTo(4_000_000);
    }

    @Test
    void looksNoMoreAfterItsEnd() throws Exception {
        var looks = new AtomicLong();
        var looked = new CompletableFuture<Void>();
        try (var watch = Watchdog.watch(
                NONE.withCpuTime(Duration.ofMillis(1)),
                1,
                () -> {
                    looks.incrementAndGet();
                    looked.complete(null);
                    return 0;
                },
                exceeded -> looked.completeExceptionally(exceeded))) {
            assertThat(watch).isNotNull();
            looked.get(1, TimeUnit.MINUTES);
        }
        long before = looks.get();
        first(NONE.withDeadline(Duration.ofMillis(20)), 1, new AtomicLong());
        assertThat(looks).hasValue(before);
    }
}
