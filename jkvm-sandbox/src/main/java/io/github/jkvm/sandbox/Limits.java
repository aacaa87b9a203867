package io.github.jkvm.sandbox;

import java.time.Duration;
import java.util.Objects;

/**
 * What one call into a sandbox may use at most. The host keeps the limits; a guest that goes over one is stopped at once, with a
 * {@link LimitExceededException}, and its sandbox is poisoned.
 *
 * @param deadline how long it may take by the wall clock, above zero
 * @param cpuTime how long the guest's processors may work for it, all together, above zero; kept to a few milliseconds
 * @param output how many bytes it may put out, all together, 0 or more
 */
public record Limits(Duration deadline, Duration cpuTime, long output) {
    /** The longest time there is, some 292 years: as good as none. */
    public static final Duration UNLIMITED = Duration.ofNanos(Long.MAX_VALUE);

    /** 30 s by the wall clock, as much processor time as fits into it, and 16 MiB of output. */
    public static final Limits DEFAULT = new Limits(Duration.ofSeconds(30), UNLIMITED, 16 << 20);

    /**
     * Checks the limits.
     *
     * @throws IllegalArgumentException if a time is not above zero or is longer than {@link #UNLIMITED}, or the output is negative
     */
    public Limits {
        checkTime("deadline", deadline);
        checkTime("CPU time", cpuTime);
        if (output < 0) {
            throw new IllegalArgumentException(
                    "a limit of " + output + " bytes of output makes no sense; give 0 or more");
        }
    }

    private static void checkTime(String name, Duration time) {
        Objects.requireNonNull(time, name);
        if (time.isNegative() || time.isZero() || time.compareTo(UNLIMITED) > 0) {
            throw new IllegalArgumentException(
                    "the " + name + " " + time + " makes no sense; give a time above zero, or Limits.UNLIMITED");
        }
    }

    /**
     * Returns these limits with another deadline.
     *
     * @param time how long a call may take
     * @return the limits
     * @throws IllegalArgumentException if the time is not above zero
     */
    public Limits withDeadline(Duration time) {
        return new Limits(time, cpuTime, output);
    }

    /**
     * Returns these limits with another budget of processor time.
     *
     * @param time how long processors may work for a call
     * @return the limits
     * @throws IllegalArgumentException if the time is not above zero
     */
    public Limits withCpuTime(Duration time) {
        return new Limits(deadline, time, output);
    }

    /**
     * Returns these limits with another cap of the output.
     *
     * @param bytes how many bytes a call may put out
     * @return the limits
     * @throws IllegalArgumentException if the number is negative
     */
    public Limits withOutput(long bytes) {
        return new Limits(deadline, cpuTime, bytes);
    }
}
