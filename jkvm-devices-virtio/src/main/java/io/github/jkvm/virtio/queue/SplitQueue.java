package io.github.jkvm.virtio.queue;

import io.github.jkvm.DeviceState;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.GuestMemoryException;
import io.github.jkvm.virtio.queue.QueueFault.Reason;
import java.lang.invoke.VarHandle;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The device's side of a split virtqueue (virtio 1.2, 2.7).
 *
 * <p>A device drains it like this, each time the driver notifies it; the outer loop loses no chain that is added while
 * notifications are being turned on again:
 *
 * <pre>{@code
 * do {
 *     queue.disableNotifications();
 *     while (queue.pop(chain) == PopResult.CHAIN) {
 *         serve(chain.reader(), chain.writer());
 *         queue.complete(chain, chain.writer().position());
 *     }
 * } while (queue.enableNotifications());
 * if (queue.interruptNeeded()) {
 *     interrupt.raise();
 * }
 * queue.fault().ifPresent(this::needsReset);
 * }</pre>
 *
 * <p>What the driver may not do stops the queue: {@link #pop} returns {@link PopResult#STOPPED}, {@link #fault} tells why, nothing more is
 * read or published until {@link #reset}. No driver makes a method throw. Popping and completing allocate nothing once a
 * {@link DescriptorChain} has met its longest chain.
 *
 * <p>Used by one thread at a time.
 */
public final class SplitQueue {
    /** {@code VIRTQ_AVAIL_F_NO_INTERRUPT} (virtio 1.2, 2.7.6). */
    private static final int NO_INTERRUPT = 1;

    /** {@code VIRTQ_USED_F_NO_NOTIFY} (virtio 1.2, 2.7.8). */
    private static final short NO_NOTIFY = 1;

    /** As many completions as there are indices: from here on the event index was passed for sure. */
    private static final int ALL_INDICES = 0x1_0000;

    private final GuestMemory memory;
    private final int maxSize;
    private final ChainWalker walker;
    private final HeadSet inFlight = new HeadSet();

    private QueueLayout layout = QueueLayout.NONE;
    private boolean indirectDescriptors;
    private boolean eventIndex;
    private @Nullable QueueFault fault;

    /** Free-running index of the next available entry to look at, 0 to 65535. */
    private int nextAvailable;

    /** Free-running index of the next used entry to fill, 0 to 65535. */
    private int nextUsed;

    /** Completions since the driver's wish for interrupts was last looked at, at most {@link #ALL_INDICES}. */
    private int unannounced;

    /** Goes up whenever the queue starts or ends; chains popped in an earlier era are no longer its own. */
    private long era;

    /**
     * Creates a queue that is not in use.
     *
     * @param memory the guest's memory
     * @param maxSize greatest size the driver may choose, in descriptors: a power of two from 1 to {@link QueueLayout#MAX_SIZE}
     * @throws IllegalArgumentException if {@code maxSize} is none of these
     */
    public SplitQueue(GuestMemory memory, int maxSize) {
        if (maxSize < 1 || maxSize > QueueLayout.MAX_SIZE || Integer.bitCount(maxSize) != 1) {
            throw new IllegalArgumentException(
                    "greatest queue size " + maxSize + " must be a power of two from 1 to " + QueueLayout.MAX_SIZE);
        }
        this.memory = memory;
        this.maxSize = maxSize;
        this.walker = new ChainWalker(memory);
    }

    /**
     * Returns the greatest size the driver may choose.
     *
     * @return the size in descriptors
     */
    public int maxSize() {
        return maxSize;
    }

    /**
     * Puts the queue into use, from index 0. A queue in use is reset first.
     *
     * @param newLayout what the driver wrote
     * @param features what was negotiated
     * @return empty if the queue is in use now; otherwise what is wrong with the layout, and the queue is stopped
     */
    public Optional<QueueFault> activate(QueueLayout newLayout, Set<QueueFeature> features) {
        reset();
        QueueFault wrong = newLayout.check(memory, maxSize);
        if (wrong != null) {
            stop(wrong);
        } else {
            start(newLayout, features, 0, 0);
        }
        return fault();
    }

    /**
     * Tells whether the queue is in use: activated, and neither reset nor stopped since.
     *
     * @return true if it is
     */
    public boolean isActive() {
        return layout.size() != 0;
    }

    /**
     * Returns what stopped the queue.
     *
     * @return the driver's mistake; empty if there was none since the last reset
     */
    public Optional<QueueFault> fault() {
        return Optional.ofNullable(fault);
    }

    /**
     * Returns how many chains were popped and not completed.
     *
     * @return the count, 0 to the queue's size
     */
    public int chainsInFlight() {
        return inFlight.count();
    }

    /**
     * Takes the next chain that the driver made available, and checks it.
     *
     * @param chain where it goes; in use until it is {@linkplain #complete completed}
     * @return whether there was one; only after {@link PopResult#CHAIN} does {@code chain} hold anything
     * @throws IllegalStateException if {@code chain} is still in flight
     */
    public PopResult pop(DescriptorChain chain) {
        SplitQueue owner = chain.queue();
        if (owner != null && owner.owns(chain)) {
            throw new IllegalStateException(chain + " is in flight; complete it first or pop into another one");
        }
        chain.begin(memory, 0);
        if (!isActive()) {
            return PopResult.STOPPED;
        }
        try {
            int available = memory.readShortAcquire(layout.availableIndex()) & 0xFFFF;
            int waiting = (available - nextAvailable) & 0xFFFF;
            if (waiting == 0) {
                return PopResult.EMPTY;
            }
            if (waiting > layout.size() - inFlight.count()) {
                return stop(new QueueFault(
                        Reason.AVAILABLE_INDEX,
                        "available index " + available + " is " + waiting + " beyond " + nextAvailable + " with "
                                + inFlight.count() + " chains in flight; the queue has " + layout.size()));
            }
            int head = memory.readShort(layout.availableEntry(nextAvailable)) & 0xFFFF;
            if (head >= layout.size()) {
                return stop(new QueueFault(
                        Reason.DESCRIPTOR_INDEX, "head " + head + " is not below the queue size " + layout.size()));
            }
            if (inFlight.contains(head)) {
                return stop(new QueueFault(Reason.HEAD_IN_FLIGHT, "chain " + head + " is in flight already"));
            }
            QueueFault wrong = walker.walk(layout, indirectDescriptors, head, chain);
            if (wrong != null) {
                chain.begin(memory, 0);
                return stop(wrong);
            }
            inFlight.add(head);
            nextAvailable = (nextAvailable + 1) & 0xFFFF;
            chain.finish(this, era);
            return PopResult.CHAIN;
        } catch (GuestMemoryException e) {
            chain.begin(memory, 0);
            return stop(memoryGone(e));
        }
    }

    /**
     * Gives a chain back to the driver. Chains may be completed in any order.
     *
     * @param chain a chain popped from this queue; nothing remains in it afterwards
     * @param written how many bytes were written, counted from the first writable one: all bytes before that are written (virtio 1.2, 2.7.8.2)
     * @return true if the driver was told; false if the queue was reset or stopped since the pop, and nobody waits for the chain
     * @throws IllegalArgumentException if the chain is not from this queue, was completed before, or has no room for {@code written} bytes
     */
    public boolean complete(DescriptorChain chain, long written) {
        if (!this.equals(chain.queue())) {
            throw new IllegalArgumentException(chain + " was not popped from this queue, or was completed before");
        }
        if (written < 0 || written > chain.writableBytes()) {
            throw new IllegalArgumentException(
                    "written count " + written + " must be from 0 to the " + chain.writableBytes() + " of " + chain);
        }
        int head = chain.head();
        boolean current = owns(chain);
        chain.begin(memory, 0);
        if (!current) {
            return false;
        }
        try {
            long entry = layout.usedEntry(nextUsed);
            memory.writeInt(entry, head);
            memory.writeInt(entry + Integer.BYTES, (int) written);
            nextUsed = (nextUsed + 1) & 0xFFFF;
            // The driver that sees the index sees the entry, and what the device wrote to the buffers.
            memory.writeShortRelease(layout.usedIndex(), (short) nextUsed);
        } catch (GuestMemoryException e) {
            stop(memoryGone(e));
            return false;
        }
        inFlight.remove(head);
        unannounced = Math.min(unannounced + 1, ALL_INDICES);
        return true;
    }

    /**
     * Tells whether the driver wants to be interrupted for what was completed since the last call. Asked once after a batch
     * of completions (virtio 1.2, 2.7.7.2).
     *
     * @return true if the device must interrupt now
     */
    public boolean interruptNeeded() {
        if (!isActive() || unannounced == 0) {
            return false;
        }
        int completed = unannounced;
        unannounced = 0;
        // The used index is out before the driver's wish is read. Otherwise both sides could miss each other: the
        // driver asks for an
        // interrupt and then finds nothing, while the device publishes and still sees the old wish.
        VarHandle.fullFence();
        try {
            if (eventIndex) {
                int event = memory.readShortAcquire(layout.usedEvent()) & 0xFFFF;
                return ((nextUsed - 1 - event) & 0xFFFF) < completed;
            }
            return (memory.readShortAcquire(layout.availableFlags()) & NO_INTERRUPT) == 0;
        } catch (GuestMemoryException e) {
            stop(memoryGone(e));
            return false;
        }
    }

    /**
     * Advises the driver not to notify the device of new chains. A driver may still do it (virtio 1.2, 2.7.10.2). With
     * {@link QueueFeature#EVENT_INDEX} nothing is written: the driver notifies for one index only, and that has passed.
     */
    public void disableNotifications() {
        if (isActive() && !eventIndex) {
            writeUsedFlags(NO_NOTIFY);
        }
    }

    /**
     * Asks the driver to notify the device of the next chain.
     *
     * @return true if chains are there already, of which no notification may come: pop them
     */
    public boolean enableNotifications() {
        if (!isActive()) {
            return false;
        }
        try {
            if (eventIndex) {
                memory.writeShortRelease(layout.availableEvent(), (short) nextAvailable);
            } else {
                writeUsedFlags((short) 0);
            }
            // The wish is out before the index is read again: the counterpart of the driver's barrier of virtio 1.2,
            // 2.7.13.4.1.
            VarHandle.fullFence();
            return isActive() && (memory.readShortAcquire(layout.availableIndex()) & 0xFFFF) != nextAvailable;
        } catch (GuestMemoryException e) {
            stop(memoryGone(e));
            return false;
        }
    }

    /**
     * Takes the queue out of use and forgets everything of it, a fault too. Chains in flight are dropped: completing one does nothing.
     * Their readers and writers still work, so a device that has another thread work on them waits for it before it lets the
     * driver know that the reset is done.
     */
    public void reset() {
        layout = QueueLayout.NONE;
        fault = null;
        nextAvailable = 0;
        nextUsed = 0;
        unannounced = 0;
        inFlight.clear();
        era++;
    }

    /**
     * Writes down the queue, with no chain in flight.
     *
     * @param state where to put it
     * @param name begins the names of its entries, such as {@code queue0}
     * @throws IllegalStateException if chains are in flight; complete them first
     */
    public void save(DeviceState state, String name) {
        if (inFlight.count() != 0) {
            throw new IllegalStateException(
                    inFlight.count() + " chains of " + name + " are in flight; complete them first");
        }
        SavedQueue.write(state, name, new SavedQueue(layout, features(), nextAvailable, unannounced, fault));
    }

    /**
     * Takes over what {@link #save} wrote, over the same guest memory. Treats it as untrusted.
     *
     * @param state the state
     * @param name begins the names of its entries
     * @throws IllegalArgumentException if something is missing or out of range, or the layout does not fit the memory; the queue is then
     *     as it was
     */
    public void restore(DeviceState state, String name) {
        SavedQueue saved = SavedQueue.read(state, name, memory, maxSize);
        reset();
        fault = saved.fault();
        if (saved.layout().size() != 0) {
            start(saved.layout(), saved.features(), saved.nextIndex(), saved.unannounced());
        }
    }

    private Set<QueueFeature> features() {
        return SavedQueue.features(indirectDescriptors, eventIndex);
    }

    private void start(QueueLayout newLayout, Set<QueueFeature> features, int index, int notAnnounced) {
        indirectDescriptors = features.contains(QueueFeature.INDIRECT_DESCRIPTORS);
        eventIndex = features.contains(QueueFeature.EVENT_INDEX);
        nextAvailable = index;
        nextUsed = index;
        unannounced = notAnnounced;
        inFlight.resize(newLayout.size());
        layout = newLayout;
    }

    private PopResult stop(QueueFault why) {
        reset();
        fault = why;
        return PopResult.STOPPED;
    }

    private boolean owns(DescriptorChain chain) {
        return isActive() && chain.era() == era;
    }

    private void writeUsedFlags(short flags) {
        try {
            memory.writeShortRelease(layout.usedFlags(), flags);
        } catch (GuestMemoryException e) {
            stop(memoryGone(e));
        }
    }

    /** The layout was checked when the queue was activated, so memory went away since, which only the program can do. */
    private static QueueFault memoryGone(GuestMemoryException e) {
        return new QueueFault(Reason.RING_OUTSIDE_MEMORY, String.valueOf(e.getMessage()));
    }

    /** Returns the layout, or why there is none. */
    @Override
    public String toString() {
        QueueFault why = fault;
        return why != null ? "queue stopped, " + why : isActive() ? "queue of " + layout : "queue not in use";
    }
}
