package io.github.jkvm.virtio;

import java.time.Duration;
import java.util.Objects;
import java.util.function.LongSupplier;

/**
 * Keeps a device's requests below a number of bytes and of operations a second, with room for bursts.
 *
 * <p>Two token buckets, either of which may be left out. A bucket starts full with one burst and fills at its rate. A request
 * goes ahead when each bucket holds its cost; one that costs more than a whole burst goes ahead when the bucket is full and leaves a
 * debt behind, so that the rate holds in the long run whatever the requests' sizes are.
 *
 * <pre>{@code
 * RateLimiter limiter = RateLimiter.builder()
 *         .bytesPerSecond(100 << 20, 10 << 20)
 *         .operationsPerSecond(5_000, 500)
 *         .build();
 * }</pre>
 *
 * <p>A limiter has a state, so each device gets one of its own. Its methods are called on the event loop of that device.
 */
public final class RateLimiter {
    private static final double NANOS_PER_SECOND = Duration.ofSeconds(1).toNanos();

    private final LongSupplier clock;
    private final Bucket bytes;
    private final Bucket operations;

    private RateLimiter(Builder builder) {
        clock = builder.clock;
        long now = clock.getAsLong();
        bytes = new Bucket(builder.bytesPerSecond, builder.burstBytes, now);
        operations = new Bucket(builder.operationsPerSecond, builder.burstOperations, now);
    }

    /**
     * Returns a limiter that lets everything through.
     *
     * @return a new one
     */
    public static RateLimiter unlimited() {
        return builder().build();
    }

    /**
     * Begins a limiter.
     *
     * @return a builder without limits
     */
    public static Builder builder() {
        return new Builder();
    }

    /**
     * Lets one operation through, if it may go now.
     *
     * @param size bytes that it moves, 0 or more
     * @return 0 if its cost was taken and it goes ahead; otherwise how long to wait before the next try in nanoseconds, and nothing was taken
     * @throws IllegalArgumentException if the size is negative
     */
    public long tryTake(long size) {
        if (size < 0) {
            throw new IllegalArgumentException("size " + size + " must be 0 or more bytes");
        }
        if (bytes.unlimited() && operations.unlimited()) {
            return 0;
        }
        long now = clock.getAsLong();
        bytes.fill(now);
        operations.fill(now);
        long wait = Math.max(bytes.nanosUntil(size), operations.nanosUntil(1));
        if (wait == 0) {
            bytes.take(size);
            operations.take(1);
        }
        return wait;
    }

    /** Collects the limits. */
    public static final class Builder {
        private LongSupplier clock = System::nanoTime;
        private long bytesPerSecond;
        private long burstBytes;
        private long operationsPerSecond;
        private long burstOperations;

        private Builder() {}

        /**
         * Limits bytes.
         *
         * @param rate bytes a second in the long run, at least 1
         * @param burst bytes that may pass at once after a pause, at least 1
         * @return this
         * @throws IllegalArgumentException if either is below 1
         */
        public Builder bytesPerSecond(long rate, long burst) {
            bytesPerSecond = positive("rate", rate);
            burstBytes = positive("burst", burst);
            return this;
        }

        /**
         * Limits operations: requests of a disk, packets of a network.
         *
         * @param rate operations a second in the long run, at least 1
         * @param burst operations that may pass at once after a pause, at least 1
         * @return this
         * @throws IllegalArgumentException if either is below 1
         */
        public Builder operationsPerSecond(long rate, long burst) {
            operationsPerSecond = positive("rate", rate);
            burstOperations = positive("burst", burst);
            return this;
        }

        /**
         * Takes the time from elsewhere than {@link System#nanoTime}.
         *
         * @param nanoTime the time in nanoseconds from any origin; never goes back
         * @return this
         */
        public Builder clock(LongSupplier nanoTime) {
            clock = Objects.requireNonNull(nanoTime, "nanoTime");
            return this;
        }

        /**
         * Makes the limiter; its buckets are full.
         *
         * @return a new limiter
         */
        public RateLimiter build() {
            return new RateLimiter(this);
        }

        private static long positive(String name, long value) {
            if (value < 1) {
                throw new IllegalArgumentException(
                        name + " " + value + " must be at least 1; leave it out for no limit");
            }
            return value;
        }
    }

    /** One bucket; a rate of 0 is no limit. */
    private static final class Bucket {
        private final double perNano;
        private final double burst;

        /** What may be taken; below zero after a request that was larger than a burst. */
        private double tokens;

        private long filledAt;

        Bucket(long rate, long burst, long now) {
            this.perNano = rate / NANOS_PER_SECOND;
            this.burst = burst;
            this.tokens = burst;
            this.filledAt = now;
        }

        boolean unlimited() {
            return perNano == 0;
        }

        void fill(long now) {
            tokens = Math.min(burst, tokens + (now - filledAt) * perNano);
            filledAt = now;
        }

        /** Returns 0 only if the cost may be taken. */
        long nanosUntil(long cost) {
            double missing = Math.min((double) cost, burst) - tokens;
            return unlimited() || missing <= 0 ? 0 : Math.max(1, (long) Math.ceil(missing / perNano));
        }

        void take(long cost) {
            if (!unlimited()) {
                tokens -= cost;
            }
        }
    }
}
