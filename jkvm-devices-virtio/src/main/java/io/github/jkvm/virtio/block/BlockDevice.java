package io.github.jkvm.virtio.block;

import io.github.jkvm.DeviceState;
import io.github.jkvm.virtio.ConfigSpace;
import io.github.jkvm.virtio.DeviceQueue;
import io.github.jkvm.virtio.Feature;
import io.github.jkvm.virtio.VirtioDevice;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;

/**
 * A virtio block device (virtio 1.2, 5.2): a disk whose bytes are a {@link DiskImage}.
 *
 * <pre>{@code
 * DiskImage image = Qcow2Image.open(path, ImageAccess.READ_WRITE);
 * BlockDevice disk = BlockDevice.builder("disk0", image).serial("root").queues(2).build();
 * }</pre>
 *
 * <p>Requests are under way at the same time, on worker threads of the device or, as long as the image answers at once, on the event loop; they
 * come back in any order. A request that is malformed or outside of the disk, and one that the image fails, comes back with an error
 * status. What a driver can take up is bounded: as many requests as the queues have entries, none of which needs memory for its data.
 *
 * <p>The device owns its image and closes it.
 *
 * <p>It counts {@code reads}, {@code writes}, {@code flushes}, {@code discards} (and zeroed ranges), {@code bytesRead}, {@code bytesWritten},
 * {@code errors}, {@code throttled} (requests that had to wait for the rate limit), {@code servedOnLoop}, and {@code readNanos} and
 * {@code writeNanos}, the time that the image took for reads and writes that succeeded.
 */
public final class BlockDevice extends VirtioDevice {
    /** {@code virtio_blk}'s device id (virtio 1.2, 5.2.1). */
    private static final int DEVICE_ID = 2;

    /** Length of the serial in bytes (virtio 1.2, 5.2.6: "a NUL-padded ASCII string up to 20 bytes long"). */
    static final int SERIAL_BYTES = 20;

    /** What is served before other devices of the loop get their turn: so many requests, where those on the loop count by their length too. */
    private static final int TURN = 256;

    /** Bytes moved on the loop that count as one more request, as they take about as long. */
    private static final int BYTES_PER_TURN_UNIT = 16 << 10;

    private static final Logger LOG = System.getLogger(BlockDevice.class.getName());

    /** Where reads and writes are executed. */
    public enum Serving {
        /** On the event loop as long as they do not wait for the storage there, else by workers. */
        ADAPTIVE,
        /** By workers. */
        BY_WORKERS,
        /** On the event loop, with flushes and all: for images in memory. The other devices on the loop wait meanwhile. */
        ON_LOOP
    }

    private final DiskImage image;
    private final MemorySegment serial;
    private final RateGate gate;
    private final @Nullable ImageFile file;
    private final ServicePolicy policy;
    private final BlockWorkers workers;
    private final BlockCounters counters;
    private final AtomicBoolean failureLogged = new AtomicBoolean();
    private final int queues;
    private final long longestRequest;
    private final long features;
    private final Runnable serveAgain = this::serveAll;
    private final Runnable takeDone = this::finishDone;

    private RequestSlots[] slots = {};

    /** How much is left of the turn that requests are served in. */
    private int turn;

    /** Nothing is taken until the next notification: the device is being saved. */
    private boolean quiet;

    private volatile boolean writeThrough;

    /** In sectors. */
    private volatile long capacity;

    BlockDevice(BlockDeviceBuilder builder) {
        super(builder.name, DEVICE_ID, new ConfigSpace(BlockConfig.BYTES), builder.queueSizes());
        this.image = builder.image;
        this.serial = builder.paddedSerial();
        this.gate = new RateGate(builder.limiter, this::retryThrottled);
        this.file = image instanceof RawImage raw ? raw.file() : null;
        this.policy = new ServicePolicy(builder.serving, file);
        this.queues = builder.queues;
        this.longestRequest = (long) BlockConfig.mostSegments(builder.queueSize) * BlockConfig.LONGEST_SEGMENT;
        this.features = builder.features();
        this.capacity = image.size() / DiskImage.SECTOR_BYTES;
        this.counters = new BlockCounters(this::counter);
        this.workers = new BlockWorkers(builder.name, builder.workers, builder.queues * builder.queueSize);
        builder.fill(config());
    }

    /**
     * Begins a device.
     *
     * @param name a name for messages and saved state, unique in its machine, such as {@code disk0}
     * @param image its content; closed with the device
     * @return a builder with the usual choices
     */
    public static BlockDeviceBuilder builder(String name, DiskImage image) {
        return new BlockDeviceBuilder(name, image);
    }

    /**
     * Changes the size that the guest sees and tells it. Requests that go beyond it fail from now on. May be called on any thread.
     *
     * @param bytes the new size: a multiple of {@link DiskImage#SECTOR_BYTES}, at most the image's
     * @throws IllegalArgumentException if it is none of these; make the image larger first
     */
    public void resize(long bytes) {
        if (bytes % DiskImage.SECTOR_BYTES != 0) {
            throw new IllegalArgumentException("size " + bytes + " of " + name() + " must be whole sectors of "
                    + DiskImage.SECTOR_BYTES + " bytes");
        }
        setCapacity(bytes / DiskImage.SECTOR_BYTES);
        config().setLong(BlockConfig.CAPACITY_AT, capacity);
        configChanged();
    }

    private void setCapacity(long sectors) {
        long most = image.size() / DiskImage.SECTOR_BYTES;
        if (sectors < 0 || sectors > most) {
            throw new IllegalArgumentException(
                    name() + " can't have " + sectors + " sectors: the image " + image + " has " + most);
        }
        capacity = sectors;
    }

    /* What the core asks for. */

    @Override
    protected long features() {
        return features;
    }

    /** Begins with the cache mode that the choice stands for: write-through if the driver would not flush (virtio 1.2, 5.2.5.2). */
    @Override
    protected boolean accepts(long chosen) {
        boolean flushes = (chosen & Feature.mask(BlockConfig.FLUSH)) != 0;
        config().setByte(BlockConfig.WRITEBACK_AT, flushes ? 1 : 0);
        return true;
    }

    @Override
    protected void activate() {
        slots = new RequestSlots[queues];
        for (int i = 0; i < slots.length; i++) {
            slots[i] = new RequestSlots(this, queue(i));
        }
        readCacheMode();
    }

    @Override
    protected void configWritten(int offset, int length) {
        readCacheMode();
    }

    /**
     * Virtio 1.2, 5.2.6.2: a write is stable once completed if the driver has chosen neither {@code FLUSH} nor {@code CONFIG_WCE}, or if
     * {@code writeback} is 0.
     */
    private void readCacheMode() {
        boolean writeBack = agreedOn(BlockConfig.CONFIG_WCE)
                ? config().get(BlockConfig.WRITEBACK_AT, 1) != 0
                : agreedOn(BlockConfig.FLUSH);
        writeThrough = !writeBack;
    }

    @Override
    protected void notified(DeviceQueue queue) {
        if (quiet) {
            quiet = false;
            serveAll();
        } else {
            serve(slots[queue.index()]);
        }
    }

    @Override
    protected void queueStopped(DeviceQueue queue) {
        finishWork();
        BlockRequest waiting = gate.waiting();
        if (waiting != null && waiting.queue().equals(queue)) {
            forgetThrottled();
        }
        // By the time the others go on, this one has ended.
        quiet = false;
        loop().execute(serveAgain);
    }

    @Override
    protected void reset() {
        workers.awaitIdle();
        workers.forgetDone();
        gate.forget();
        quiet = false;
    }

    @Override
    protected void quiesce() {
        finishWork();
        BlockRequest waiting = gate.waiting();
        if (waiting != null) {
            waiting.queue().putBack(waiting.chain());
            forgetThrottled();
        }
    }

    /** Brings what was taken to its end, and has nothing more taken. */
    private void finishWork() {
        quiet = true;
        workers.awaitIdle();
        finishDone();
    }

    private void forgetThrottled() {
        BlockRequest request = gate.forget();
        if (request != null) {
            slots[request.queue().index()].give(request);
        }
    }

    @Override
    protected void restore(DeviceState state) {
        setCapacity(config().get(BlockConfig.CAPACITY_AT, Long.BYTES));
        activate();
    }

    /**
     * Waits for the requests under way and closes the image.
     *
     * @throws UncheckedIOException if the image could not be written to the end
     */
    @Override
    public void close() {
        workers.close();
        try {
            image.close();
        } catch (IOException e) {
            throw new UncheckedIOException(
                    name() + ": the image " + image + " was closed, and what was not flushed may be lost", e);
        }
    }

    /* Requests, on the loop. */

    private void serveAll() {
        for (RequestSlots each : slots) {
            serve(each);
        }
    }

    /** Takes requests as long as there are some and they can go ahead. */
    private void serve(RequestSlots from) {
        DeviceQueue queue = from.queue();
        if (quiet || gate.waiting() != null || !queue.isActive()) {
            return;
        }
        turn = TURN;
        do {
            queue.disableNotifications();
            while (gate.waiting() == null && turn > 0) {
                BlockRequest request = from.take();
                if (!queue.pop(request.chain())) {
                    from.give(request);
                    break;
                }
                turn--;
                begin(from, request);
            }
        } while (gate.waiting() == null && turn > 0 && queue.enableNotifications());
        from.interrupt();
        if (turn <= 0 && gate.waiting() == null) {
            loop().execute(serveAgain);
        }
    }

    private void begin(RequestSlots from, BlockRequest request) {
        if (!request.parse()) {
            finish(from, request);
        } else if (gate.lets(request, loop())) {
            dispatch(from, request);
        } else {
            counters.throttled.increment();
        }
    }

    private void dispatch(RequestSlots from, BlockRequest request) {
        if (executeHere(request)) {
            counters.servedOnLoop.increment();
            turn -= (int) (request.length() / BYTES_PER_TURN_UNIT);
            finish(from, request);
        } else {
            workers.submit(request);
        }
    }

    private boolean executeHere(BlockRequest request) {
        return switch (policy.way(request)) {
            case ON_LOOP -> {
                request.execute();
                yield true;
            }
            case ON_LOOP_IF_AT_ONCE -> file != null && request.executeAtOnce(file);
            case BY_WORKER -> false;
        };
    }

    /** The rate limit may let the request that waits go ahead. */
    private void retryThrottled() {
        BlockRequest request = gate.waiting();
        if (request == null || !gate.lets(request, loop())) {
            return;
        }
        RequestSlots from = slots[request.queue().index()];
        dispatch(from, request);
        from.interrupt();
        serveAll();
    }

    private void finish(RequestSlots from, BlockRequest request) {
        counters.count(request);
        policy.executed(request);
        request.complete();
        from.give(request);
        from.setCompleted();
    }

    /** Takes a request that a worker has executed. Called by the worker. */
    void executed(BlockRequest request) {
        if (workers.done(request)) {
            try {
                loop().execute(takeDone);
            } catch (IllegalStateException closed) {
                LOG.log(Level.DEBUG, "{0} has nobody left to tell of {1}", name(), request);
            }
        }
    }

    private void finishDone() {
        workers.takingDone();
        for (BlockRequest request = workers.pollDone(); request != null; request = workers.pollDone()) {
            finish(slots[request.queue().index()], request);
        }
        for (RequestSlots each : slots) {
            each.interrupt();
        }
    }

    /* What requests ask for, on any thread. */

    /** Tells the log of a request that the image failed: of the first one aloud, since a guest can cause any number. */
    void failed(BlockRequest request, Exception why) {
        Level level = failureLogged.getAndSet(true) ? Level.DEBUG : Level.WARNING;
        LOG.log(level, () -> name() + ": " + request + " failed; more such failures are logged as DEBUG", why);
    }

    DiskImage image() {
        return image;
    }

    /** Returns the file whose bytes are the disk's, if the image is such a file. */
    @Nullable
    ImageFile file() {
        return file;
    }

    boolean isReadOnly() {
        return (features & Feature.mask(BlockConfig.RO)) != 0;
    }

    boolean agreedOn(int bit) {
        return hasFeature(bit);
    }

    boolean isWriteThrough() {
        return writeThrough;
    }

    long capacity() {
        return capacity;
    }

    long longestRequest() {
        return longestRequest;
    }

    MemorySegment serial() {
        return serial;
    }
}
