package io.github.jkvm.virtio;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.List;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.LongRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;

final class RateLimiterTest {
    private static final long SECOND = 1_000_000_000L;
    private static final long MILLI = 1_000_000L;

    private long now = 17;

    private RateLimiter.Builder limiter() {
        return RateLimiter.builder().clock(() -> now);
    }

    @Test
    void letsABurstThroughAndThenAsksToWaitForTheMissingBytes() {
        RateLimiter limiter = limiter().bytesPerSecond(1000, 100).build();

        assertThat(limiter.tryTake(60)).isZero();
        assertThat(limiter.tryTake(40)).isZero();
        assertThat(limiter.tryTake(10)).isEqualTo(10 * MILLI);
        now += 10 * MILLI;
        assertThat(limiter.tryTake(10)).isZero();
    }

    @Test
    void takesNothingForARequestThatHasToWait() {
        RateLimiter limiter = limiter().bytesPerSecond(1000, 100).build();

        assertThat(limiter.tryTake(90)).isZero();
        assertThat(limiter.tryTake(20)).isEqualTo(10 * MILLI);
        assertThat(limiter.tryTake(20)).isEqualTo(10 * MILLI);
        assertThat(limiter.tryTake(10)).isZero();
    }

    @Test
    void waitsForTheSlowerOfBothBuckets() {
        RateLimiter limiter =
                limiter().bytesPerSecond(1000, 100).operationsPerSecond(10, 2).build();

        assertThat(limiter.tryTake(1)).isZero();
        assertThat(limiter.tryTake(1)).isZero();
        assertThat(limiter.tryTake(1)).isEqualTo(100 * MILLI);
        now += 100 * MILLI;
        assertThat(limiter.tryTake(100)).isZero();
        assertThat(limiter.tryTake(50)).isEqualTo(100 * MILLI);
    }

    @Test
    void servesARequestLargerThanABurstFromAFullBucketAndCollectsTheDebt() {
        RateLimiter limiter = limiter().bytesPerSecond(1000, 100).build();

        assertThat(limiter.tryTake(1100)).isZero();
        assertThat(limiter.tryTake(1)).isEqualTo(SECOND + MILLI);
        now += SECOND + MILLI;
        assertThat(limiter.tryTake(1)).isZero();
    }

    @Test
    void savesNoMoreThanOneBurstDuringAPause() {
        RateLimiter limiter = limiter().operationsPerSecond(1000, 3).build();
        now += 3600 * SECOND;

        assertThat(limiter.tryTake(0)).isZero();
        assertThat(limiter.tryTake(0)).isZero();
        assertThat(limiter.tryTake(0)).isZero();
        assertThat(limiter.tryTake(0)).isEqualTo(MILLI);
    }

    @Test
    void letsEverythingThroughWithoutLimits() {
        RateLimiter limiter = RateLimiter.unlimited();

        assertThat(limiter.tryTake(Long.MAX_VALUE)).isZero();
        assertThat(limiter.tryTake(Long.MAX_VALUE)).isZero();
    }

    @Test
    void rejectsWhatIsOutOfRange() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> RateLimiter.builder().bytesPerSecond(0, 1))
                .withMessage("rate 0 must be at least 1; leave it out for no limit");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> RateLimiter.builder().operationsPerSecond(1, -1))
                .withMessageContaining("burst -1");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> RateLimiter.unlimited().tryTake(-1))
                .withMessageContaining("size -1");
    }

    @Property(tries = 200)
    void keepsToTheRateInTheLongRun(
            @ForAll @LongRange(min = 1, max = 20_000_000_000L) long rate,
            @ForAll @LongRange(min = 1, max = 1 << 26) long burst,
            @ForAll @Size(min = 1, max = 50) List<@LongRange(min = 1, max = 1 << 22) Long> sizes,
            @ForAll @IntRange(max = 1000) int extraWait) {
        now = 0;
        RateLimiter limiter = limiter().bytesPerSecond(rate, burst).build();
        double taken = 0;
        for (long size : sizes) {
            int tries = 1;
            for (long wait = limiter.tryTake(size); wait != 0; wait = limiter.tryTake(size)) {
                now += wait + extraWait;
                tries++;
            }
            // One wait is enough; a second one, of a nanosecond, may come from rounding.
            assertThat(tries).isLessThanOrEqualTo(3);
            taken += size;
        }
        // All but the last request had to be paid from one burst and what came in since.
        long last = sizes.getLast();
        assertThat(taken - last).isLessThanOrEqualTo(burst + (double) now / SECOND * rate + 1);
    }
}
