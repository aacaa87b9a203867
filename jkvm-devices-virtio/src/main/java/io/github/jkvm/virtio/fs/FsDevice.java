package io.github.jkvm.virtio.fs;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.github.jkvm.DeviceState;
import io.github.jkvm.virtio.ConfigSpace;
import io.github.jkvm.virtio.Counter;
import io.github.jkvm.virtio.DeviceQueue;
import io.github.jkvm.virtio.VirtioDevice;
import io.github.jkvm.virtio.queue.DescriptorChain;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;

/**
 * The file system device (virtio 1.2, 5.11): shares one folder of the host with the guest, which mounts it by its tag:
 *
 * <pre>{@code
 * var device = new FsDevice("fs0", "work", Path.of("/srv/work"), FsOptions.readWrite());
 * // in the guest: mount -t virtiofs work /mnt
 * }</pre>
 *
 * <p>{@link FsOptions} says what of the host the guest can reach and what not. Files are read and written on threads of the
 * device's own, straight from and to the guest's memory. It has no DAX window and takes no locks: locks of the guest's processes count in
 * the guest.
 *
 * <p>Counters: {@code requests} served; {@code bytesRead} and {@code bytesWritten} of file data; {@code failures} that were not the
 * guest's.
 */
public final class FsDevice extends VirtioDevice {
    /** What it is (virtio 1.2, 5.11.1). */
    public static final int DEVICE_ID = 26;

    /** Greatest length of a tag, in bytes of UTF-8 (virtio 1.2, 5.11.4). */
    public static final int MAX_TAG_BYTES = 36;

    private static final System.Logger LOG = System.getLogger(FsDevice.class.getName());

    // struct virtio_fs_config (virtio 1.2, 5.11.4)
    private static final int CONFIG_BYTES = 40;
    private static final int CONFIG_REQUEST_QUEUES = MAX_TAG_BYTES;

    /** Requests of high priority, which are small (virtio 1.2, 5.11.2). */
    private static final int FIRST_QUEUE_SIZE = 128;

    /** A request of {@link FuseServer#MAX_PAGES} pages, each a descriptor, and others beside it. */
    private static final int REQUEST_QUEUE_SIZE = 1024;

    private final FuseServer server;
    private final FsWorkers workers;
    private final Deque<FsRequest> spare = new ArrayDeque<>();
    private final Queue<FsRequest> performed = new ConcurrentLinkedQueue<>();
    private final AtomicBoolean told = new AtomicBoolean();
    private final Runnable complete = this::completePerformed;
    private final Counter requests = counter("requests");
    private final Counter bytesRead = counter("bytesRead");
    private final Counter bytesWritten = counter("bytesWritten");
    private final Counter failures = counter("failures");

    /**
     * Creates a device.
     *
     * @param name a name, unique in its machine, such as {@code fs0}
     * @param tag what the guest mounts it by: 1 to 36 bytes of UTF-8 without NUL
     * @param folder the folder; a link that it leads through is followed now and not later
     * @param options how it is shared
     * @throws IOException if the folder can't be opened, or the host can't keep the guest inside it
     * @throws IllegalArgumentException if the tag is empty, too long or has a NUL
     */
    public FsDevice(String name, String tag, Path folder, FsOptions options) throws IOException {
        super(name, DEVICE_ID, config(tag, options), queueSizes(options));
        server = new FuseServer(folder, options);
        workers = new FsWorkers(name, options.workers(), this::perform);
    }

    private static ConfigSpace config(String tag, FsOptions options) {
        byte[] bytes = tag.getBytes(UTF_8);
        if (bytes.length == 0 || bytes.length > MAX_TAG_BYTES || tag.indexOf('\0') >= 0) {
            throw new IllegalArgumentException("tag '" + tag + "' has " + bytes.length
                    + " bytes of UTF-8; it must have 1 to " + MAX_TAG_BYTES + " and no NUL");
        }
        return new ConfigSpace(CONFIG_BYTES).setBytes(0, bytes).setInt(CONFIG_REQUEST_QUEUES, options.requestQueues());
    }

    private static int[] queueSizes(FsOptions options) {
        int[] sizes = new int[1 + options.requestQueues()];
        Arrays.fill(sizes, REQUEST_QUEUE_SIZE);
        sizes[0] = FIRST_QUEUE_SIZE;
        return sizes;
    }

    /**
     * Returns how many files the guest knows now, the folder itself among them.
     *
     * @return the count, up to what {@link FsOptions#withMaxFiles} sets
     */
    public int knownFiles() {
        return server.knownFiles();
    }

    /**
     * Returns how many files and folders the guest has open now.
     *
     * @return the count, up to what {@link FsOptions#withMaxOpenFiles} sets
     */
    public int openFiles() {
        return server.openFiles();
    }

    /** Takes all chains there are: as many as the queue is long, since none comes back before it is served. */
    @Override
    protected void notified(DeviceQueue queue) {
        do {
            queue.disableNotifications();
            FsRequest request = spareRequest();
            while (queue.pop(request.chain())) {
                request.cameFrom(queue);
                workers.submit(request);
                request = spareRequest();
            }
            spare.add(request);
        } while (queue.enableNotifications());
        queue.interrupt();
    }

    private FsRequest spareRequest() {
        FsRequest request = spare.poll();
        return request != null ? request : new FsRequest();
    }

    /** Serves a request, on a thread of the workers. */
    private void perform(FsRequest request, FuseExchange exchange) {
        DescriptorChain chain = request.chain();
        try {
            request.setWritten(server.serve(
                    exchange,
                    chain.reader().segments(chain.readableBytes()),
                    chain.writer().segments(chain.writableBytes())));
            count(request, exchange);
        } catch (RuntimeException | Error e) {
            // Such as memory that the program took away from its guest. The guest gets the chain back without an
            // answer.
            failures.increment();
            LOG.log(Level.ERROR, "virtio device " + name() + " could not serve a request", e);
        }
        performed.add(request);
        if (told.compareAndSet(false, true)) {
            try {
                loop().execute(complete);
            } catch (IllegalStateException closed) {
                LOG.log(Level.DEBUG, "virtio device {0} is used after its event loop was closed", name());
            }
        }
    }

    private void count(FsRequest request, FuseExchange exchange) {
        requests.increment();
        long body = request.written() - FuseLayout.OUT_HEADER;
        if (body > 0 && exchange.opcode() == FuseLayout.READ) {
            bytesRead.add(body);
        } else if (body > 0 && exchange.opcode() == FuseLayout.WRITE) {
            bytesWritten.add(exchange.dataBytes());
        }
    }

    /** Gives served chains back, on the loop. */
    private void completePerformed() {
        told.set(false);
        DeviceQueue last = null;
        for (FsRequest request = performed.poll(); request != null; request = performed.poll()) {
            DeviceQueue queue = request.queue();
            if (queue != null && isActive()) {
                interrupt(last, queue);
                last = queue;
                request.chain().writer().advance(request.written());
                queue.complete(request.chain(), request.written());
            }
            spare.add(request);
        }
        interrupt(last, null);
    }

    /** Tells the driver of a queue's chains once its turn is over. */
    private static void interrupt(@Nullable DeviceQueue last, @Nullable DeviceQueue next) {
        if (last != null && last != next) {
            last.interrupt();
        }
    }

    @Override
    protected void queueStopped(DeviceQueue queue) {
        spare.addAll(workers.stop(request -> request.queue() == queue));
        completePerformed();
    }

    @Override
    protected void reset() {
        spare.addAll(workers.stop(request -> true));
        performed.removeIf(spare::add);
        server.reset();
    }

    @Override
    protected void quiesce() {
        workers.awaitIdle();
        completePerformed();
    }

    /**
     * Writes down the names of the files that the guest knows and has open, by which {@link #restore} finds them again.
     *
     * @throws IllegalStateException if they are too many
     */
    @Override
    protected void save(DeviceState state) {
        server.save(state);
    }

    /** Finds and opens the files again. For those that have gone or moved, the guest is told {@code ESTALE} or {@code EBADF}. */
    @Override
    protected void restore(DeviceState state) {
        server.restore(state);
    }

    @Override
    public void close() {
        workers.close();
        server.close();
    }
}
