package io.github.jkvm.virtio;

import io.github.jkvm.Bus;
import io.github.jkvm.DeviceState;
import io.github.jkvm.EventLoop;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.HostFile;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * A virtio device without the way it is connected to a guest: what it offers, and what it does with its queues' chains. Extend it to write a
 * device, and hand it to a transport to attach it:
 *
 * <p>{@snippet lang = java :
 * final class Upside extends VirtioDevice {
 *     Upside() {
 *         super("upside0", 63, new ConfigSpace(0), 64);
 *     }
 *
 *     protected void notified(DeviceQueue queue) {
 *         queue.serve(chain -> flip(chain.reader(), chain.writer()));
 *     }
 * }
 * }
 *
 * <p>The protected methods that a device overrides are called on one thread at a time: the machine's event loop, unless they say
 * otherwise. They must not wait for long. One that throws has the device ask for a reset, as a failed one. The driver is not trusted: it can do
 * nothing that makes a method of this class throw.
 */
public abstract class VirtioDevice implements AutoCloseable {
    private static final int MOST_QUEUES = 1024;

    private final String name;
    private final int deviceId;
    private final ConfigSpace config;
    private final int[] queueSizes;
    private final Map<String, Counter> counters = new LinkedHashMap<>();
    private long ringFeatures = Feature.mask(Feature.INDIRECT_DESCRIPTORS)
            | Feature.mask(Feature.EVENT_INDEX)
            | Feature.mask(Feature.RING_RESET);
    private volatile @Nullable DeviceCore core;

    /**
     * Creates a device.
     *
     * @param name a name for messages and saved state, unique in its machine, such as {@code disk0}
     * @param deviceId what it is (virtio 1.2, 5), 1 to 63
     * @param config what the driver can read of it; the device may go on to change it
     * @param queueSizes greatest size of each of its queues, in descriptors: powers of two from 1 to 32768
     * @throws IllegalArgumentException if the name is empty, the id out of range, there are more than 1024 queues, or a size is none of these
     */
    protected VirtioDevice(String name, int deviceId, ConfigSpace config, int... queueSizes) {
        if (name.isEmpty() || deviceId < 1 || deviceId > 63) {
            throw new IllegalArgumentException(
                    "device '" + name + "' of id " + deviceId + " needs a name and an id from 1 to 63");
        }
        if (queueSizes.length > MOST_QUEUES) {
            throw new IllegalArgumentException(
                    "device " + name + " has " + queueSizes.length + " queues; the limit is " + MOST_QUEUES);
        }
        for (int size : queueSizes) {
            if (size < 1 || size > 32_768 || Integer.bitCount(size) != 1) {
                throw new IllegalArgumentException("greatest queue size " + size + " of device " + name
                        + " must be a power of two from 1 to 32768");
            }
        }
        this.name = name;
        this.deviceId = deviceId;
        this.config = Objects.requireNonNull(config, "config");
        this.queueSizes = queueSizes.clone();
    }

    /**
     * Returns the device's name.
     *
     * @return the name
     */
    public final String name() {
        return name;
    }

    /**
     * Returns what it is.
     *
     * @return the device id (virtio 1.2, 5)
     */
    public final int deviceId() {
        return deviceId;
    }

    /**
     * Has the device offer packed rings (virtio 1.2, 2.8) as well; the driver chooses, and Linux takes them. To be called before it is attached.
     *
     * <p>Without this call a device offers split rings only, as QEMU ({@code packed=off}), crosvm and, always, Firecracker and Cloud
     * Hypervisor do. Packed rings are made for devices that fetch descriptors over a bus. Here both sides share the processor's caches, and
     * what a chain costs depends on its shape: a packed ring is cheaper for indirect descriptors and dearer for lists of several.
     *
     * @throws IllegalStateException if it is attached
     */
    public final void offerPackedRings() {
        offer(Feature.PACKED_RING);
    }

    /**
     * Has the device offer to give chains back in the order they came. To be called before it is attached.
     *
     * @throws IllegalStateException if it is attached
     */
    public final void offerInOrder() {
        offer(Feature.IN_ORDER);
    }

    private void offer(int bit) {
        if (core != null) {
            throw new IllegalStateException("device " + name + " is attached; choose what it offers before that");
        }
        ringFeatures |= Feature.mask(bit);
    }

    /**
     * Has the device offer no more ring and transport features than these. For {@link #attached}: to a device whose queues another process serves, which may
     * not know all of them.
     *
     * @param mask the features that may be offered, if they would be
     */
    protected final void limitRingFeatures(long mask) {
        ringFeatures &= mask;
    }

    /**
     * Returns what the device has counted since it was made. Every device has {@code notifications} served, {@code chains} completed, {@code
     * interrupts} sent for queues, {@code queueFaults} of the driver, {@code resets}, {@code chainsDropped}, which were taken but not completed
     * when the driver reset their queue or the device, and {@code failures} of its own code.
     *
     * @return an immutable copy: counts by name
     */
    public final Map<String, Long> counters() {
        Map<String, Long> values = new LinkedHashMap<>();
        for (Counter counter : counterList()) {
            values.put(counter.name(), counter.value());
        }
        return Map.copyOf(values);
    }

    private synchronized List<Counter> counterList() {
        return new ArrayList<>(counters.values());
    }

    /**
     * Returns the counter of a name, made when first asked for. A device asks once and keeps it.
     *
     * @param what what is counted, such as {@code bytesRead}
     * @return the counter
     */
    protected final synchronized Counter counter(String what) {
        return counters.computeIfAbsent(what, Counter::new);
    }

    /* What a device says and does. */

    /**
     * Returns the features that the device offers of its own type: bits 0 to 23 and 50 to 63. The bits between them are not its business. Called
     * at any time, on any thread.
     *
     * @return a mask
     */
    protected long features() {
        return 0;
    }

    /**
     * Tells whether the device works with what the driver has chosen of the features offered. Called on a vCPU's thread.
     *
     * @param chosen a mask
     * @return false if the driver must choose again, for instance since a feature lacks another one that it needs
     */
    protected boolean accepts(long chosen) {
        return true;
    }

    /**
     * Tells the device which machine it is in. Called once, on the thread that attaches it, before the guest runs.
     *
     * @param bus the machine
     */
    protected void attached(Bus bus) {}

    /**
     * Chooses the thread that the device is called on. Called once, before {@link #attached}.
     *
     * @param bus the machine
     * @return the machine's loop, unless the device has to wait for others and brings one of its own, which it closes in {@link #close()}
     */
    protected EventLoop chooseLoop(Bus bus) {
        return bus.eventLoop();
    }

    /**
     * Tells what the driver's notifications of a queue are to signal, if another process listens to them instead of {@link #notified}. Where the host can't
     * do that, {@link #notified} is called. Called after {@link #attached}, on any thread.
     *
     * @param queue the number of the queue
     * @return an eventfd that lasts until {@link #close()}; empty, as is the case unless the device says otherwise, if the device is to be called
     */
    protected Optional<HostFile> notificationEvent(int queue) {
        return Optional.empty();
    }

    /** Begins: the driver is ready ({@code DRIVER_OK}), and the queues that it enabled are in use. Each is {@link #notified} next. */
    protected void activate() {}

    /**
     * Serves a queue: the driver says that there are chains. May be called when there are none.
     *
     * @param queue the queue
     */
    protected abstract void notified(DeviceQueue queue);

    /**
     * Stops using one queue, which the driver resets. On return, nothing touches chains of it any more.
     *
     * @param queue the queue, still in use
     */
    protected void queueStopped(DeviceQueue queue) {}

    /** Stops, as the driver resets the device. On return, nothing touches chains any more, and all is as it was before {@link #activate}. */
    protected void reset() {}

    /**
     * Takes note of what the driver has written to the configuration space, where it may.
     *
     * @param offset first byte written
     * @param length number of bytes
     */
    protected void configWritten(int offset, int length) {}

    /**
     * Brings the work under way to an end, so that no chain is in flight: it is to be saved. Each queue is {@link #notified} when the device is
     * to go on.
     */
    protected void quiesce() {}

    /**
     * Writes down what the device itself has to remember: not queues, features or configuration space.
     *
     * @param state where to put it
     */
    protected void save(DeviceState state) {}

    /**
     * Takes over what {@link #save} wrote. Treats it as untrusted. Features, queues and configuration space are in place.
     *
     * @param state the state
     * @throws IllegalArgumentException if something is missing or out of range
     */
    protected void restore(DeviceState state) {}

    /** Gives back what the device holds. Called with the loop out of it. Closing twice does nothing. */
    @Override
    public void close() {}

    /* What a device can ask for. */

    /**
     * Returns the bytes of the configuration space.
     *
     * @return the space
     */
    protected final ConfigSpace config() {
        return config;
    }

    /**
     * Tells the driver that the configuration space has changed. May be called on any thread; does nothing as long as there is no driver.
     */
    protected final void configChanged() {
        DeviceCore now = core;
        if (now != null) {
            now.configChanged();
        }
    }

    /**
     * Stops serving the driver until it has reset the device ({@code DEVICE_NEEDS_RESET}).
     *
     * @param reason why, for the log and for recordings
     */
    protected final void needsReset(String reason) {
        attachedCore().needsReset(reason);
    }

    /**
     * Tells whether a feature is agreed on.
     *
     * @param bit the number of its bit, 0 to 63
     * @return true if it was offered and chosen
     */
    protected final boolean hasFeature(int bit) {
        DeviceCore now = core;
        return now != null && (now.negotiated() & Feature.mask(bit)) != 0;
    }

    /**
     * Returns a queue.
     *
     * @param index its number, from 0
     * @return the queue
     * @throws IndexOutOfBoundsException if there is no such queue
     * @throws IllegalStateException if the device is not attached
     */
    protected final DeviceQueue queue(int index) {
        return attachedCore().queue(index);
    }

    /**
     * Returns the guest's memory.
     *
     * @return the memory
     * @throws IllegalStateException if the device is not attached
     */
    protected final GuestMemory memory() {
        return attachedCore().memory();
    }

    /**
     * Returns the loop on which the device is called. Code given to it from other threads runs in turn with the device's. If such code throws, the
     * device asks for a reset, as a failed one.
     *
     * @return the loop
     * @throws IllegalStateException if the device is not attached
     */
    protected final EventLoop loop() {
        return attachedCore().loop();
    }

    /**
     * Has code run on the loop, after what was given to it before. If it throws, the device asks for a reset, as a failed one. May be called on
     * any thread; does nothing as long as the device is not attached, and once its loop is closed.
     *
     * @param code the code
     */
    protected final void runOnLoop(Runnable code) {
        DeviceCore now = core;
        if (now != null) {
            now.later(code);
        }
    }

    /**
     * Tells whether the device is between {@link #activate} and {@link #reset}. Meant for the loop's thread.
     *
     * @return true if it is
     */
    protected final boolean isActive() {
        DeviceCore now = core;
        return now != null && now.isLive();
    }

    /* What the core asks for. */

    final int queueCount() {
        return queueSizes.length;
    }

    final int queueSize(int index) {
        return queueSizes[index];
    }

    final long offered() {
        return (features() & Feature.deviceSpecific()) | ringFeatures | Feature.mask(Feature.VERSION_1);
    }

    final void setCore(DeviceCore owner) {
        if (core != null) {
            throw new IllegalStateException("device " + name + " is attached already; make another one");
        }
        core = owner;
    }

    private DeviceCore attachedCore() {
        DeviceCore now = core;
        if (now == null) {
            throw new IllegalStateException("device " + name + " is not attached to a machine yet");
        }
        return now;
    }

    /** Returns the name. */
    @Override
    public String toString() {
        return name;
    }
}
