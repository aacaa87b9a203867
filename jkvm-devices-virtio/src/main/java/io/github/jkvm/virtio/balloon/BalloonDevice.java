package io.github.jkvm.virtio.balloon;

import io.github.jkvm.HostPages.Remains;
import io.github.jkvm.virtio.ConfigSpace;
import io.github.jkvm.virtio.Counter;
import io.github.jkvm.virtio.DeviceQueue;
import io.github.jkvm.virtio.VirtioDevice;
import io.github.jkvm.virtio.queue.DescriptorChain;
import java.time.Duration;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * A memory balloon (virtio 1.2, 5.5): memory moves from the guest into it when its target grows, and back when it shrinks. What is in
 * it belongs to the host again.
 *
 * <p>{@snippet lang = java :
 * var balloon = new BalloonDevice("balloon0");
 * Machine machine = Machine.builder(hypervisor).device(new VirtioMmio(balloon)).build();
 * // ... the guest runs ...
 * balloon.setTarget(256L << 20);
 * balloon.awaitTarget(Duration.ofSeconds(10));
 * }
 *
 * <p>The guest decides: it may give less than it is asked for, later, or nothing. Pages of a size above 4 KiB (huge pages) go back to the host only
 * where the guest gives all of one. Methods of this class may be called on any thread, those that wait on any but the
 * machine's event loop.
 */
public final class BalloonDevice extends VirtioDevice {
    private static final int DEVICE_ID = 5;
    private static final int QUEUE_SIZE = 128;

    private static final int INFLATE = 0;
    private static final int DEFLATE = 1;
    private static final int STATISTICS = 2;

    /** Of the specification's five queues, the one of free page hints is not offered, and the last reports pages. */
    private static final int QUEUES_WITH_REPORTING = 5;

    /* struct virtio_balloon_config: num_pages, actual, free_page_hint_cmd_id, poison_val. */
    private static final int TARGET = 0;
    private static final int ACTUAL = 4;
    private static final int POISON = 12;
    private static final int CONFIG_SIZE = 16;

    /** Pages looked at before other devices of the loop get their turn. */
    private static final long TURN = 32_768;

    /** What a number of pages of 32 bits allows. */
    private static final long MOST_BYTES = 0xFFFF_FFFFL << PageReturn.PAGE_SHIFT;

    private final Set<BalloonFeature> offered;
    private final Counter inflated = counter("pagesInflated");
    private final Counter deflated = counter("pagesDeflated");
    private final Counter reported = counter("bytesReported");
    private final PageReturn host =
            new PageReturn(counter("pagesRejected"), counter("discards"), counter("bytesDiscarded"));
    private final StatisticsQueue statistics = new StatisticsQueue(counter("statisticsReceived"));
    private final DescriptorChain chain = new DescriptorChain();

    /** Guards nothing; notified when the target, the actual size or the driver changes. */
    private final Object change = new Object();

    /**
     * Creates an empty balloon that offers everything.
     *
     * @param name a name, unique in its machine
     */
    public BalloonDevice(String name) {
        this(name, EnumSet.allOf(BalloonFeature.class));
    }

    /**
     * Creates an empty balloon.
     *
     * @param name a name, unique in its machine
     * @param offered what it offers
     */
    public BalloonDevice(String name, Set<BalloonFeature> offered) {
        super(
                name,
                DEVICE_ID,
                new ConfigSpace(CONFIG_SIZE).writable(ACTUAL, Integer.BYTES).writable(POISON, Integer.BYTES),
                queueSizes(offered));
        this.offered = Set.copyOf(offered);
    }

    private static int[] queueSizes(Set<BalloonFeature> offered) {
        int count = offered.contains(BalloonFeature.REPORTING)
                ? QUEUES_WITH_REPORTING
                : offered.contains(BalloonFeature.STATISTICS) ? STATISTICS + 1 : DEFLATE + 1;
        int[] sizes = new int[count];
        Arrays.fill(sizes, QUEUE_SIZE);
        return sizes;
    }

    /**
     * Asks the guest to have so much of its memory in the balloon. May be called before the guest runs.
     *
     * @param bytes the size in bytes, a multiple of 4096, from 0 to 2<sup>44</sup> - 4096
     * @throws IllegalArgumentException if it is not
     */
    public void setTarget(long bytes) {
        if (bytes < 0 || bytes > MOST_BYTES || bytes % PageReturn.PAGE != 0) {
            throw new IllegalArgumentException(
                    "balloon target " + bytes + " must be a multiple of 4096 bytes, from 0 to " + MOST_BYTES);
        }
        config().setInt(TARGET, (int) (bytes >>> PageReturn.PAGE_SHIFT));
        configChanged();
        changed();
    }

    /**
     * Returns what the guest is asked for.
     *
     * @return the size in bytes
     */
    public long target() {
        return config().get(TARGET, Integer.BYTES) << PageReturn.PAGE_SHIFT;
    }

    /**
     * Returns how much memory the guest says is in the balloon.
     *
     * @return the size in bytes
     */
    public long actual() {
        return config().get(ACTUAL, Integer.BYTES) << PageReturn.PAGE_SHIFT;
    }

    /**
     * Waits until the balloon is as large as its target.
     *
     * @param timeout how long to wait at most
     * @return true if it is
     * @throws InterruptedException if the thread is interrupted
     */
    public boolean awaitTarget(Duration timeout) throws InterruptedException {
        long limit = System.nanoTime() + timeout.toNanos();
        synchronized (change) {
            while (actual() != target()) {
                long left = limit - System.nanoTime();
                if (left <= 0) {
                    return false;
                }
                TimeUnit.NANOSECONDS.timedWait(change, left);
            }
            return true;
        }
    }

    /**
     * Asks the guest how it uses its memory.
     *
     * @param timeout how long to wait for the answer at most
     * @return the answer; empty if there is none in time, the guest does not offer statistics, or its driver is reset meanwhile
     * @throws IllegalStateException if the device is not attached, or on the machine's event loop, which the answer comes on
     * @throws InterruptedException if the thread is interrupted
     */
    public Optional<MemoryStatistics> statistics(Duration timeout) throws InterruptedException {
        if (loop().inLoop()) {
            throw new IllegalStateException(
                    "statistics of " + name() + " can't be waited for on the event loop that the answer comes on");
        }
        var answer = new CompletableFuture<Optional<MemoryStatistics>>();
        loop().execute(() -> ask(answer));
        try {
            return answer.get(timeout.toNanos(), TimeUnit.NANOSECONDS);
        } catch (TimeoutException late) {
            answer.complete(Optional.empty());
            return Optional.empty();
        } catch (ExecutionException e) {
            throw new IllegalStateException("statistics of " + name() + " failed", e.getCause());
        }
    }

    /** Asks on the loop. */
    void ask(CompletableFuture<Optional<MemoryStatistics>> answer) {
        if (isActive() && has(BalloonFeature.STATISTICS) && queue(STATISTICS).isActive()) {
            statistics.ask(queue(STATISTICS), answer);
        } else {
            answer.complete(Optional.empty());
        }
    }

    private boolean has(BalloonFeature feature) {
        return hasFeature(feature.bit());
    }

    private void changed() {
        synchronized (change) {
            change.notifyAll();
        }
    }

    @Override
    protected long features() {
        long mask = 0;
        for (BalloonFeature feature : offered) {
            mask |= feature.mask();
        }
        return mask;
    }

    @Override
    protected void notified(DeviceQueue queue) {
        switch (queue.index()) {
            case INFLATE, DEFLATE -> serve(queue);
            default -> {
                // The specification has fixed numbers for all queues. Linux leaves no gap for those of features that
                // were not agreed on, so what comes after the statistics, if there are any, reports pages.
                if (queue.index() == STATISTICS && has(BalloonFeature.STATISTICS)) {
                    statistics.notified(queue);
                } else {
                    serve(queue);
                }
            }
        }
    }

    private void serve(DeviceQueue queue) {
        long left = TURN;
        boolean more;
        do {
            queue.disableNotifications();
            while (left > 0 && queue.pop(chain)) {
                left -= 1 + serve(queue.index());
                queue.complete(chain, 0);
            }
            more = queue.enableNotifications();
        } while (more && left > 0);
        queue.interrupt();
        if (more) {
            queue.notifyLater();
        }
    }

    /** Serves one chain, and returns how many pages were looked at for it. */
    private long serve(int queue) {
        return switch (queue) {
            case INFLATE -> {
                long pages = host.pages(memory(), chain.reader());
                inflated.add(pages);
                yield pages;
            }
            case DEFLATE -> {
                // The host gives pages as they are touched; the driver waits for no more than that it is known.
                deflated.add(chain.readableBytes() / Integer.BYTES);
                yield 0;
            }
            default -> report();
        };
    }

    private long report() {
        if (!has(BalloonFeature.REPORTING)) {
            return 0;
        }
        reported.add(chain.writableBytes());
        if (!has(BalloonFeature.PAGE_POISON)) {
            return host.buffers(memory(), chain.writer(), Remains.FILE_CONTENTS);
        }
        // virtio 1.2, 5.5.6.7.2: "the device MUST NOT modify the content of a reported page to a value other than
        // poison_val".
        return config().get(POISON, Integer.BYTES) == 0 ? host.buffers(memory(), chain.writer(), Remains.ZEROS) : 0;
    }

    @Override
    protected void configWritten(int offset, int length) {
        changed();
    }

    @Override
    protected void queueStopped(DeviceQueue queue) {
        if (queue.index() == STATISTICS) {
            statistics.stop();
        }
    }

    @Override
    protected void quiesce() {
        if (has(BalloonFeature.STATISTICS)) {
            statistics.putBack(queue(STATISTICS));
        }
    }

    @Override
    protected void reset() {
        statistics.stop();
        // A driver that begins anew has nothing in the balloon.
        config().setInt(ACTUAL, 0).setInt(POISON, 0);
        changed();
    }
}
