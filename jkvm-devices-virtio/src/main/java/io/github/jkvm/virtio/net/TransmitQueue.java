package io.github.jkvm.virtio.net;

import io.github.jkvm.EventLoop;
import io.github.jkvm.virtio.DeviceQueue;
import io.github.jkvm.virtio.RateLimiter;
import io.github.jkvm.virtio.queue.ChainReader;
import io.github.jkvm.virtio.queue.DescriptorChain;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * A queue of frames that the guest sends. Each is given to the backend where it lies. One that the backend or the rate limit does not take
 * yet goes back into the queue, and is taken from there again.
 */
final class TransmitQueue {
    /** How many frames are sent before others on the loop get their turn. */
    private static final int TURN = 256;

    private final NetDevice device;
    private final DeviceQueue queue;
    private final int pair;
    private final RateLimiter limiter;
    private final NetCounters counters;
    private final DescriptorChain chain = new DescriptorChain();
    private final Frame frame = new Frame();
    private final Runnable again = this::pump;
    private EventLoop.@Nullable Registration timer;

    /** Whether the backend is full. */
    private boolean blocked;

    /** Whether the frame that is next was counted by the limiter already. */
    private boolean paid;

    TransmitQueue(NetDevice device, DeviceQueue queue, int pair, RateLimiter limiter, NetCounters counters) {
        this.device = device;
        this.queue = queue;
        this.pair = pair;
        this.limiter = limiter;
        this.counters = counters;
    }

    /** Sends what is there, as far as it is taken. */
    void pump() {
        if (!device.usesPair(pair) || blocked || timer != null) {
            return;
        }
        int left = TURN;
        boolean more;
        do {
            queue.disableNotifications();
            while (left > 0 && queue.pop(chain)) {
                left--;
                if (!transmit()) {
                    // No notification is needed: the queue is looked at once the wait is over.
                    queue.interrupt();
                    return;
                }
            }
            more = queue.enableNotifications();
        } while (more && left > 0);
        queue.interrupt();
        if (more) {
            device.later(again);
        }
    }

    /** The backend takes frames again. */
    void writable() {
        blocked = false;
        pump();
    }

    /** Forgets what it waits for. */
    void stop() {
        blocked = false;
        paid = false;
        EventLoop.Registration waiting = timer;
        timer = null;
        if (waiting != null) {
            waiting.close();
        }
        frame.clear();
    }

    /** Sends the frame of the chain; false if it has to wait, and was put back. */
    private boolean transmit() {
        if (!readFrame()) {
            counters.badSendChains.increment();
            queue.complete(chain, 0);
            return true;
        }
        long size = frame.size();
        if (device.isLinkDown() || device.comesFromFormerMac(frame)) {
            counters.sendDropped.increment();
            queue.complete(chain, 0);
            return true;
        }
        long wait = paid ? 0 : limiter.tryTake(size);
        if (wait != 0) {
            queue.putBack(chain);
            timer = device.after(Duration.ofNanos(wait), this::limitPassed);
            return false;
        }
        paid = false;
        switch (device.backend().send(pair, frame)) {
            case TAKEN -> {
                counters.sentFrames.increment();
                counters.sentBytes.add(size);
                queue.complete(chain, 0);
            }
            case DROPPED -> {
                counters.sendDropped.increment();
                queue.complete(chain, 0);
            }
            case FULL -> {
                counters.sendWaits.increment();
                queue.putBack(chain);
                blocked = true;
                paid = true;
                return false;
            }
        }
        return true;
    }

    private void limitPassed() {
        timer = null;
        pump();
    }

    /** Reads the header and finds the bytes; false if this is nothing that may be sent (virtio 1.2, 5.1.6.2). */
    private boolean readFrame() {
        ChainReader reader = chain.reader();
        long size = reader.remaining() - OffloadHeader.SIZE;
        if (size < Frame.MIN_SIZE || size > Frame.MAX_SIZE || chain.writableBytes() != 0) {
            return false;
        }
        OffloadHeader header = frame.header();
        // Read once into memory of the host, then looked at: the guest may change its own at any time.
        if (!reader.readExactly(header.bytes())) {
            return false;
        }
        // Flags that mean nothing here are ignored (5.1.6.2.2).
        header.setFlags(header.flags() & OffloadHeader.NEEDS_CHECKSUM);
        header.setBuffers(0);
        if (!header.needsChecksum()) {
            header.clearChecksum();
        }
        if (!header.fits(size) || !device.offloads().guestMaySend(header)) {
            return false;
        }
        frame.clearParts(0);
        reader.forEachPart(size, frame.parts());
        return !frame.hasTooManyParts();
    }
}
