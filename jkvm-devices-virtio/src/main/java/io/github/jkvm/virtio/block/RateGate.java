package io.github.jkvm.virtio.block;

import io.github.jkvm.EventLoop;
import io.github.jkvm.EventLoop.Registration;
import io.github.jkvm.virtio.RateLimiter;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/** Keeps the request that the rate limit does not let go ahead yet; those behind it wait in their queues. Used on the loop. */
final class RateGate {
    private final RateLimiter limiter;

    /** Run when the request that waits is worth another try. */
    private final Runnable again;

    private @Nullable BlockRequest waiting;
    private @Nullable Registration timer;

    RateGate(RateLimiter limiter, Runnable again) {
        this.limiter = limiter;
        this.again = again;
    }

    /** Returns the request that waits, if one does: then no other may go ahead. */
    @Nullable
    BlockRequest waiting() {
        return waiting;
    }

    /** Lets a request go ahead, or keeps it and has it tried again later. */
    boolean lets(BlockRequest request, EventLoop loop) {
        long wait = limiter.tryTake(request.length());
        if (wait == 0) {
            waiting = null;
            timer = null;
            return true;
        }
        waiting = request;
        timer = loop.schedule(Duration.ofNanos(wait), again);
        return false;
    }

    /** Has the request that waits tried no more, and returns it. */
    @Nullable
    BlockRequest forget() {
        BlockRequest request = waiting;
        Registration pending = timer;
        waiting = null;
        timer = null;
        if (pending != null) {
            pending.close();
        }
        return request;
    }
}
