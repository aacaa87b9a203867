package io.github.jkvm.sandbox.internal;

import io.github.jkvm.sandbox.Limit;
import io.github.jkvm.sandbox.LimitExceededException;
import io.github.jkvm.sandbox.Limits;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/** Tells when calls have had their time. One thread for all sandboxes of the JVM. */
public final class Watchdog {
    static final ScheduledThreadPoolExecutor CLOCK = clock();

    /** Looking more often than this at the processor time would cost more than it tells. */
    static final long LEAST_PAUSE = TimeUnit.MILLISECONDS.toNanos(1);

    private Watchdog() {}

    private static ScheduledThreadPoolExecutor clock() {
        var clock = new ScheduledThreadPoolExecutor(
                1, Thread.ofPlatform().name("jkvm-sandbox-watchdog").daemon().factory());
        clock.setRemoveOnCancelPolicy(true);
        return clock;
    }

    /**
     * Returns what the caller of a call past its deadline is told.
     *
     * @param limits the call's
     * @return the exception
     */
    public static LimitExceededException tookTooLong(Limits limits) {
        return new LimitExceededException(
                Limit.DEADLINE, "the call took longer than " + limits.deadline() + ", its deadline");
    }

    /**
     * Returns what the caller of a call beyond its processor time is told.
     *
     * @param limits the call's
     * @return the exception
     */
    public static LimitExceededException workedTooLong(Limits limits) {
        return new LimitExceededException(
                Limit.CPU_TIME, "the call used more than " + limits.cpuTime() + " of processor time, its budget");
    }

    /**
     * Watches a call.
     *
     * @param limits what it may use; the output is no concern of this
     * @param processors how many of them can work for it at once, 1 or more
     * @param cpuNanos returns how long they have worked for it in all; called on the watchdog's thread
     * @param onExceeded what to do when it has had its time, at most once, on the watchdog's thread: it must not wait
     * @return what ends the watch
     */
    public static Watch watch(
            Limits limits, int processors, LongSupplier cpuNanos, Consumer<LimitExceededException> onExceeded) {
        var watch = new Watch(limits, processors, cpuNanos, onExceeded);
        watch.begin();
        return watch;
    }

    /** A call that is watched. */
    public static final class Watch implements AutoCloseable {
        private final Limits limits;
        private final int processors;
        private final LongSupplier cpuNanos;
        private final Consumer<LimitExceededException> onExceeded;
        private final long started = System.nanoTime();
        private final long deadline;
        private final long budget;
        private boolean ended;
        private @Nullable ScheduledFuture<?> next;

        private Watch(
                Limits limits, int processors, LongSupplier cpuNanos, Consumer<LimitExceededException> onExceeded) {
            this.limits = limits;
            this.processors = processors;
            this.cpuNanos = cpuNanos;
            this.onExceeded = onExceeded;
            this.deadline = limits.deadline().toNanos();
            this.budget = limits.cpuTime().toNanos();
        }

        private synchronized void begin() {
            again(deadline, budget);
        }

        /** Looks again when one of the limits can be reached at the earliest. */
        private void again(long time, long cpuTime) {
            if (time == Long.MAX_VALUE && cpuTime == Long.MAX_VALUE) {
                return;
            }
            long pause = Math.max(LEAST_PAUSE, Math.min(time, cpuTime / processors));
            next = CLOCK.schedule(this::look, pause, TimeUnit.NANOSECONDS);
        }

        private synchronized void look() {
            if (ended) {
                return;
            }
            long timeLeft = deadline - (System.nanoTime() - started);
            long cpuLeft = budget == Long.MAX_VALUE ? budget : budget - cpuNanos.getAsLong();
            if (timeLeft <= 0) {
                ended = true;
                onExceeded.accept(tookTooLong(limits));
            } else if (cpuLeft <= 0) {
                ended = true;
                onExceeded.accept(workedTooLong(limits));
            } else {
                again(timeLeft, cpuLeft);
            }
        }

        /** Ends the watch. Once this has returned, nothing is done about the call any more, or it has been done. */
        @Override
        public synchronized void close() {
            ended = true;
            if (next != null) {
                next.cancel(false);
            }
        }
    }
}
