package io.github.jkvm.virtio.pmem;

import io.github.jkvm.Bus;
import io.github.jkvm.DeviceState;
import io.github.jkvm.HostFile;
import io.github.jkvm.HostPages;
import io.github.jkvm.MemoryBacking;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.kvm.ffi.Errno;
import io.github.jkvm.kvm.ffi.Libc;
import io.github.jkvm.kvm.ffi.OwnedFd;
import io.github.jkvm.virtio.ConfigSpace;
import io.github.jkvm.virtio.Counter;
import io.github.jkvm.virtio.DeviceQueue;
import io.github.jkvm.virtio.VirtioDevice;
import io.github.jkvm.virtio.queue.DescriptorChain;
import java.lang.System.Logger.Level;
import java.util.ArrayDeque;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Persistent memory (virtio 1.2, 5.19): a part of a file of the host in the guest's address space. The guest needs no request to read and write it; one that
 * flushes asks for all that it wrote to be durable.
 *
 * <p>{@snippet lang = java :
 * long size = 64L << 20;
 * var pmem = new PmemDevice("pmem0", new MemoryBacking.File(path, 0, size, MemoryBacking.Sharing.SHARED));
 * Machine machine = Machine.builder(hypervisor).device(new VirtioMmio(pmem)).build();
 * }
 *
 * <p>Where the file is mapped copy-on-write, it stays as it is, and what the guest writes ends with the machine. The device needs a bus with a place for
 * {@linkplain Bus#mapMemory memory of devices}.
 */
public final class PmemDevice extends VirtioDevice {
    /** What size and place are multiples of, in bytes: Linux on x86 takes memory of devices in such steps. */
    public static final long ALIGNMENT = 2L << 20;

    private static final System.Logger LOG = System.getLogger(PmemDevice.class.getName());

    private static final int DEVICE_ID = 27;
    private static final int QUEUE_SIZE = 64;

    /* struct virtio_pmem_config. */
    private static final int START = 0;
    private static final int SIZE = 8;
    private static final int CONFIG_SIZE = 16;

    private static final int FLUSH = 0;

    private static final int DONE = 0;
    private static final int FAILED = 1;

    private final MemoryBacking.File backing;
    private final Sync sync;
    private final FlushThread thread;
    private final Counter flushes = counter("flushes");
    private final Counter syncs = counter("syncs");
    private final Counter failedFlushes = counter("failedFlushes");

    /** Chains that hold no request, ones whose request waits for the sync under way to end, and ones that it is for. */
    private final ArrayDeque<DescriptorChain> free = new ArrayDeque<>(QUEUE_SIZE);

    private final ArrayDeque<DescriptorChain> waiting = new ArrayDeque<>(QUEUE_SIZE);
    private final ArrayDeque<DescriptorChain> syncing = new ArrayDeque<>(QUEUE_SIZE);

    /** The memory; there once the device is attached. */
    private @Nullable MemoryRegion region;

    /** The file to be synced; none if nothing that the guest writes reaches it. */
    private @Nullable HostFile file;

    /** Makes what was written to a file durable. Returns 0, or {@code -errno}. */
    interface Sync {
        int run(HostFile file);
    }

    /**
     * Creates a device.
     *
     * @param name a name, unique in its machine
     * @param backing the part of the file; its size is a multiple of {@link #ALIGNMENT}
     * @throws IllegalArgumentException if its size is not
     */
    public PmemDevice(String name, MemoryBacking.File backing) {
        this(name, backing, PmemDevice::fdatasync);
    }

    PmemDevice(String name, MemoryBacking.File backing, Sync sync) {
        super(name, DEVICE_ID, new ConfigSpace(CONFIG_SIZE), QUEUE_SIZE);
        if (backing.size() % ALIGNMENT != 0) {
            throw new IllegalArgumentException("persistent memory " + name + " of " + backing.size()
                    + " bytes must be a multiple of " + ALIGNMENT + " bytes; extend the file or map less of it");
        }
        this.backing = backing;
        this.sync = sync;
        this.thread = new FlushThread(name);
        for (int i = 0; i < QUEUE_SIZE; i++) {
            free.add(new DescriptorChain());
        }
    }

    private static int fdatasync(HostFile file) {
        OwnedFd fd = (OwnedFd) file;
        int number = fd.acquire();
        try {
            return Libc.fdatasync(number);
        } finally {
            fd.release();
        }
    }

    /**
     * Maps the file.
     *
     * @throws UnsupportedOperationException if the bus has no place for memory of devices
     * @throws io.github.jkvm.HypervisorException if the host can't map the file
     */
    @Override
    protected void attached(Bus bus) {
        MemoryRegion mapped = bus.mapMemory(backing, ALIGNMENT);
        region = mapped;
        file = mapped.sharedFile().map(HostPages.SharedFile::file).orElse(null);
        config().setLong(START, mapped.base().value()).setLong(SIZE, mapped.size());
    }

    @Override
    protected void notified(DeviceQueue queue) {
        boolean more = true;
        while (more && !free.isEmpty()) {
            queue.disableNotifications();
            while (!free.isEmpty() && queue.pop(free.peek())) {
                begin(queue, free.remove());
            }
            more = queue.enableNotifications();
        }
        queue.interrupt();
        syncNext();
    }

    private void begin(DeviceQueue queue, DescriptorChain chain) {
        flushes.increment();
        if (!chain.reader().has(Integer.BYTES) || chain.reader().nextInt() != FLUSH) {
            finish(queue, chain, FAILED);
        } else if (file == null) {
            finish(queue, chain, DONE);
        } else {
            waiting.add(chain);
        }
    }

    /** One sync serves all requests that came before it. */
    private void syncNext() {
        HostFile target = file;
        if (target == null || waiting.isEmpty() || !syncing.isEmpty() || thread.isBusy()) {
            return;
        }
        syncing.addAll(waiting);
        waiting.clear();
        syncs.increment();
        thread.run(() -> sync.run(target), loop(), this::synced);
    }

    private void synced(int result) {
        // None if the device was reset or saved meanwhile.
        finish(syncing, result);
        syncNext();
        if (isActive()) {
            // There may be requests that no chain was free for.
            notified(queue(0));
        }
    }

    private void finish(ArrayDeque<DescriptorChain> served, int result) {
        if (served.isEmpty()) {
            return;
        }
        if (result < 0) {
            LOG.log(Level.WARNING, "{0} can''t be made durable for {1}: {2}", backing, name(), Errno.name(-result));
        }
        DeviceQueue queue = queue(0);
        while (!served.isEmpty()) {
            finish(queue, served.remove(), result < 0 ? FAILED : DONE);
        }
        queue.interrupt();
    }

    private void finish(DeviceQueue queue, DescriptorChain chain, int result) {
        if (result != DONE) {
            failedFlushes.increment();
        }
        int written = 0;
        if (chain.writer().has(Integer.BYTES)) {
            chain.writer().putInt(result);
            written = Integer.BYTES;
        }
        queue.complete(chain, written);
        free.add(chain);
    }

    @Override
    protected void queueStopped(DeviceQueue queue) {
        reset();
    }

    /** Forgets the requests. A sync that is under way touches none of them. */
    @Override
    protected void reset() {
        free.addAll(syncing);
        free.addAll(waiting);
        syncing.clear();
        waiting.clear();
    }

    @Override
    protected void quiesce() {
        if (!syncing.isEmpty()) {
            finish(syncing, thread.await());
        }
        HostFile target = file;
        if (target != null && !waiting.isEmpty()) {
            syncs.increment();
            finish(waiting, sync.run(target));
        }
    }

    @Override
    protected void save(DeviceState state) {
        state.putNumber("start", config().get(START, Long.BYTES));
        state.putNumber("size", backing.size());
    }

    /**
     * Checks that the guest finds its memory where it was.
     *
     * @throws IllegalArgumentException if it is elsewhere, or of another size
     */
    @Override
    protected void restore(DeviceState state) {
        long start = Objects.requireNonNull(region, "attached").base().value();
        if (state.number("start") != start || state.number("size") != backing.size()) {
            throw new IllegalArgumentException("saved persistent memory " + name() + " has " + state.number("size")
                    + " bytes at 0x" + Long.toHexString(state.number("start")) + ", but here are " + backing.size()
                    + " at 0x" + Long.toHexString(start) + "; build the machine as the saved one was");
        }
        config().setLong(START, start).setLong(SIZE, backing.size());
    }

    @Override
    public void close() {
        thread.close();
    }
}
