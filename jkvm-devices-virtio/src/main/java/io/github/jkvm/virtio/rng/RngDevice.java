package io.github.jkvm.virtio.rng;

import io.github.jkvm.EventLoop;
import io.github.jkvm.virtio.ConfigSpace;
import io.github.jkvm.virtio.Counter;
import io.github.jkvm.virtio.DeviceQueue;
import io.github.jkvm.virtio.RateLimiter;
import io.github.jkvm.virtio.VirtioDevice;
import io.github.jkvm.virtio.queue.DescriptorChain;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The entropy device (virtio 1.2, 5.4): fills the driver's buffers with random bytes of the host. Linux offers it as {@code /dev/hwrng} and
 * seeds its own pool from it.
 *
 * <p>A request gets at most {@link #MAX_REQUEST} bytes, however large its buffers are; one byte is all that is promised to a driver (virtio
 * 1.2, 5.4.6.2). Buffers that overlap can't make the device write more than that either.
 *
 * <p>Counters: {@code bytes} given; {@code emptyRequests} without a byte to write to; {@code throttled}, how often the limiter held a request
 * up.
 */
public final class RngDevice extends VirtioDevice {
    /** What it is (virtio 1.2, 5.4.1). */
    public static final int DEVICE_ID = 4;

    /** Most bytes that one request gets. */
    public static final int MAX_REQUEST = 64 << 10;

    private static final int QUEUE_SIZE = 256;

    /** How many bytes are given before other devices of the loop get their turn: a few milliseconds' worth. */
    private static final int TURN = 1 << 20;

    /** What a request counts beside its bytes, so that a turn ends as well when the driver asks for little, often. */
    private static final int REQUEST_COST = 1024;

    private final EntropySource source;
    private final RateLimiter limiter;
    private final MemorySegment bytes = Arena.ofAuto().allocate(MAX_REQUEST);
    private final DescriptorChain chain = new DescriptorChain();
    private final Runnable again = this::resume;
    private final Runnable afterPause = this::resumeAfterPause;
    private final Counter given = counter("bytes");
    private final Counter emptyRequests = counter("emptyRequests");
    private final Counter throttled = counter("throttled");

    /** Set while the limiter holds requests up. */
    private EventLoop.@Nullable Registration pause;

    /**
     * Creates a device that gives the host's random bytes, as many as the guest asks for.
     *
     * @param name a name, unique in its machine, such as {@code rng0}
     */
    public RngDevice(String name) {
        this(name, EntropySource.host(), RateLimiter.unlimited());
    }

    /**
     * Creates a device.
     *
     * @param name a name, unique in its machine, such as {@code rng0}
     * @param source where the bytes come from
     * @param limiter how many a second, at most; an operation is a request
     */
    public RngDevice(String name, EntropySource source, RateLimiter limiter) {
        super(name, DEVICE_ID, new ConfigSpace(0), QUEUE_SIZE);
        this.source = Objects.requireNonNull(source, "source");
        this.limiter = Objects.requireNonNull(limiter, "limiter");
    }

    @Override
    protected void notified(DeviceQueue queue) {
        if (pause == null) {
            serve(queue);
        }
    }

    private void serve(DeviceQueue queue) {
        long left = TURN;
        boolean more;
        do {
            queue.disableNotifications();
            while (left > 0 && queue.pop(chain)) {
                long size = Math.min(chain.writableBytes(), MAX_REQUEST);
                if (size != 0 && !allowed(size)) {
                    queue.putBack(chain);
                    queue.interrupt();
                    return;
                }
                give(size);
                queue.complete(chain, size);
                left -= size + REQUEST_COST;
            }
            more = queue.enableNotifications();
        } while (more && left > 0);
        queue.interrupt();
        if (more) {
            runOnLoop(again);
        }
    }

    private boolean allowed(long size) {
        long wait = limiter.tryTake(size);
        if (wait == 0) {
            return true;
        }
        throttled.increment();
        pause = loop().schedule(Duration.ofNanos(wait), afterPause);
        return false;
    }

    private void give(long size) {
        if (size == 0) {
            emptyRequests.increment();
            return;
        }
        MemorySegment random = bytes.asSlice(0, size);
        source.fill(random);
        chain.writer().writeExactly(random);
        given.add(size);
    }

    private void resume() {
        if (isActive()) {
            notified(queue(0));
        }
    }

    private void resumeAfterPause() {
        pause = null;
        runOnLoop(again);
    }

    @Override
    protected void reset() {
        EventLoop.Registration now = pause;
        if (now != null) {
            pause = null;
            now.close();
        }
    }
}
