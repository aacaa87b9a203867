package io.github.jkvm.sandbox.internal;

import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * Looks after calls that are too short and too many for a {@link Watchdog.Watch} each: one look sees to all that run then. Not safe for use by many
 * threads at once: who has it guards it with a lock of its own, which the look takes too.
 */
public final class Patrol {
    private final Runnable look;
    private @Nullable ScheduledFuture<?> next;

    /**
     * Creates a patrol that does not look yet.
     *
     * @param look looks, on the watchdog's thread, without waiting for long; then calls {@link #lookIn} or {@link #end}
     */
    public Patrol(Runnable look) {
        this.look = look;
    }

    /**
     * Tells whether a look is to come.
     *
     * @return true from {@link #lookIn} on, until {@link #end}
     */
    public boolean isOnDuty() {
        return next != null;
    }

    /**
     * Looks after some time, once.
     *
     * @param nanos in how many nanoseconds; a millisecond at least
     */
    public void lookIn(long nanos) {
        next = Watchdog.CLOCK.schedule(look, Math.max(Watchdog.LEAST_PAUSE, nanos), TimeUnit.NANOSECONDS);
    }

    /** Looks no more. */
    public void end() {
        if (next != null) {
            next.cancel(false);
            next = null;
        }
    }
}
