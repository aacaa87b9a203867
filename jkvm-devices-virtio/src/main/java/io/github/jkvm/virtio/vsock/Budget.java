package io.github.jkvm.virtio.vsock;

import java.util.concurrent.atomic.AtomicInteger;

/** How many connections there may be, with their buffers. Safe for use by many threads. */
final class Budget {
    private final int limit;
    private final AtomicInteger used = new AtomicInteger();

    Budget(int limit) {
        this.limit = limit;
    }

    boolean tryTake() {
        while (true) {
            int now = used.get();
            if (now >= limit) {
                return false;
            }
            if (used.compareAndSet(now, now + 1)) {
                return true;
            }
        }
    }

    void giveBack() {
        used.decrementAndGet();
    }

    int limit() {
        return limit;
    }

    int used() {
        return used.get();
    }
}
