package io.github.jkvm.virtio.block;

import io.github.jkvm.kvm.ffi.ThreadUsage;
import java.time.Duration;

/**
 * Tells whether something held up the thread that did it: since it waited or computed for long. Time for which others had the processor does not
 * count, so the verdict is the same on a busy machine. Each thread has its own, for one thing at a time.
 */
final class StallMeter {
    /** A wait that is shorter costs less than to have another thread wait. */
    private static final long SHORT_WAIT_NANOS = Duration.ofNanos(50_000).toNanos();

    private static final long LONG_WORK_NANOS = Duration.ofMillis(1).toNanos();

    private static final ThreadLocal<StallMeter> OF_THREAD = ThreadLocal.withInitial(StallMeter::new);

    private long cpuNanos;
    private long sleeps;

    private StallMeter() {}

    /** Begins, on the calling thread. */
    static StallMeter start() {
        StallMeter meter = OF_THREAD.get();
        ThreadUsage now = ThreadUsage.ofThisThread();
        meter.cpuNanos = now.cpuNanos();
        meter.sleeps = now.sleeps();
        return meter;
    }

    /** Ends, on the same thread: tells about what has taken so many nanoseconds. */
    boolean stalled(long nanos) {
        if (nanos <= SHORT_WAIT_NANOS) {
            return false;
        }
        ThreadUsage now = ThreadUsage.ofThisThread();
        return now.sleeps() != sleeps || now.cpuNanos() - cpuNanos > LONG_WORK_NANOS;
    }
}
