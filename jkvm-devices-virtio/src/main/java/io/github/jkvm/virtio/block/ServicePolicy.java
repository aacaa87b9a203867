package io.github.jkvm.virtio.block;

import java.time.Duration;

/**
 * Decides where a read or a write is executed: on the event loop, which saves two changes of threads, or by a worker, so that the loop does not
 * wait for the disk.
 *
 * <p>What the cache of the host answers takes a few microseconds, less than a worker takes to wake up. So as long as requests are quick they stay on
 * the loop. One that is slow sends those after it to the workers, until many in a row were quick there; if the next is slow again, it
 * takes more of them.
 */
final class ServicePolicy {
    /** More than this on the loop holds up other devices, in bytes. */
    private static final long MOST_ON_LOOP = 256 << 10;

    private static final long SLOW_NANOS = Duration.ofMillis(1).toNanos();
    private static final long QUICK_NANOS = Duration.ofNanos(100_000).toNanos();
    private static final int FEWEST_QUICK = 32;
    private static final int MOST_QUICK = 4096;

    private final BlockDevice.Serving serving;

    /** How many quick ones in a row are needed to come back to the loop; 0 while on it. */
    private int needed;

    private int quick;
    private int nextNeeded = FEWEST_QUICK;

    ServicePolicy(BlockDevice.Serving serving) {
        this.serving = serving;
    }

    boolean onLoop(BlockRequest request) {
        boolean data = request.type() == RequestType.READ || request.type() == RequestType.WRITE;
        if (!data || request.isWriteThrough()) {
            return serving == BlockDevice.Serving.ON_LOOP;
        }
        return switch (serving) {
            case ON_LOOP -> true;
            case BY_WORKERS -> false;
            case ADAPTIVE -> needed == 0 && request.length() <= MOST_ON_LOOP;
        };
    }

    /** Learns how long a read or a write took, wherever that was. */
    void took(BlockRequest request) {
        long nanos = request.nanos();
        if (nanos == 0 || request.length() == 0) {
            return;
        }
        if (needed == 0) {
            if (nanos > SLOW_NANOS) {
                needed = nextNeeded;
                nextNeeded = Math.min(nextNeeded * 2, MOST_QUICK);
                quick = 0;
            }
        } else if (nanos > QUICK_NANOS) {
            quick = 0;
        } else if (++quick >= needed) {
            needed = 0;
        }
    }
}
