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
 * The device's side of a virtqueue (virtio 1.2, 2.6), whatever the {@linkplain RingFormat format} of its rings.
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
public final class VirtQueue {
    /** As many completions as there are indices: from here on the driver's event was passed for sure. */
    private static final int ALL_INDICES = 0x1_0000;

    private final GuestMemory memory;
    private final int maxSize;
    private final HeadSet inFlight = new HeadSet();
    private final CompletionOrder order = new CompletionOrder();
    private final SplitRings split;
    private final PackedRing packed;

    /** Those of the format that is in use. */
    private Rings rings;

    private QueueLayout layout = QueueLayout.NONE;
    private Set<QueueFeature> features = Set.of();
    private @Nullable QueueFault fault;

    private boolean inOrder;

    /** Ring entries completed since the driver's wish for interrupts was last looked at, at most {@link #ALL_INDICES}. */
    private int unannounced;

    /** Goes up whenever the queue starts or ends; chains popped in an earlier era are no longer its own. */
    private long era;

    /** Chains popped in this era and not put back: the number of the one popped last. */
    private long popped;

    /**
     * Creates a queue that is not in use.
     *
     * @param memory the guest's memory
     * @param maxSize greatest size the driver may choose, in descriptors: a power of two from 1 to {@link QueueLayout#MAX_SIZE}
     * @throws IllegalArgumentException if {@code maxSize} is none of these
     */
    public VirtQueue(GuestMemory memory, int maxSize) {
        if (maxSize < 1 || maxSize > QueueLayout.MAX_SIZE || Integer.bitCount(maxSize) != 1) {
            throw new IllegalArgumentException(
                    "greatest queue size " + maxSize + " must be a power of two from 1 to " + QueueLayout.MAX_SIZE);
        }
        this.memory = memory;
        this.maxSize = maxSize;
        this.split = new SplitRings(memory, inFlight);
        this.packed = new PackedRing(memory, inFlight);
        this.rings = split;
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
     * Puts the queue into use, from its beginning. A queue in use is reset first.
     *
     * @param newLayout what the driver wrote
     * @param newFeatures what was negotiated
     * @return empty if the queue is in use now; otherwise what is wrong with the layout, and the queue is stopped
     */
    public Optional<QueueFault> activate(QueueLayout newLayout, Set<QueueFeature> newFeatures) {
        reset();
        QueueFault wrong = newLayout.check(RingFormat.of(newFeatures), memory, maxSize);
        if (wrong != null) {
            stop(wrong);
        } else {
            start(
                    newLayout,
                    newFeatures,
                    RingFormat.of(newFeatures) == RingFormat.PACKED ? PackedRing.FIRST_POSITION : 0,
                    0);
        }
        return fault();
    }

    /**
     * Returns where the queue is, for a device whose queues another process serves.
     *
     * @return what the driver wrote; of size 0 if the queue is not in use
     */
    public QueueLayout layout() {
        return layout;
    }

    /**
     * Returns where the rings stand while no chain is in flight: the next index of a split queue's available ring; of a packed queue, the next place, with
     * the driver's wrap counter in bit 15 (virtio 1.2, 2.8.1).
     *
     * @return the position, 0 to 65535; 0 if the queue is not in use
     */
    public int position() {
        return isActive() ? rings.position() : 0;
    }

    /**
     * Goes on where another process has left the rings, with no chain in flight.
     *
     * @param position where they stand
     * @return false if there is no such place in the rings, and nothing is changed
     * @throws IllegalStateException if chains are in flight
     */
    public boolean moveTo(int position) {
        if (inFlight.count() != 0) {
            throw new IllegalStateException(inFlight.count() + " chains are in flight; complete them or put them back");
        }
        boolean inRing = RingFormat.of(features) == RingFormat.SPLIT || PackedRing.isPosition(layout, position);
        if (!isActive() || position < 0 || position > 0xFFFF || !inRing) {
            return false;
        }
        rings.begin(layout, features, position);
        return true;
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
     * Returns how many chains were popped and neither completed nor put back.
     *
     * @return the count, 0 to the queue's size
     */
    public int chainsInFlight() {
        return inFlight.count() - order.held();
    }

    /**
     * Takes the next chain that the driver made available, and checks it.
     *
     * @param chain where it goes; in use until it is {@linkplain #complete completed} or {@linkplain #putBack put back}
     * @return whether there was one; only after {@link PopResult#CHAIN} does {@code chain} hold anything
     * @throws IllegalStateException if {@code chain} is still in flight
     */
    public PopResult pop(DescriptorChain chain) {
        VirtQueue owner = chain.queue();
        if (owner != null && owner.owns(chain)) {
            throw new IllegalStateException(chain + " is in flight; complete it first or pop into another one");
        }
        chain.begin(memory, 0);
        if (!isActive()) {
            return PopResult.STOPPED;
        }
        try {
            if (!rings.hasNext()) {
                return PopResult.EMPTY;
            }
            QueueFault wrong = rings.take(chain);
            if (wrong != null) {
                stop(wrong);
            }
        } catch (GuestMemoryException e) {
            stop(memoryGone(e));
        }
        if (!isActive()) {
            chain.begin(memory, 0);
            return PopResult.STOPPED;
        }
        inFlight.add(chain.head());
        popped++;
        chain.finish(this, era, popped);
        return PopResult.CHAIN;
    }

    /**
     * Gives a chain back to the driver. Chains may be completed in any order; with {@link QueueFeature#IN_ORDER} the driver sees a chain
     * once those popped before it are completed too.
     *
     * @param chain a chain popped from this queue; nothing remains in it afterwards
     * @param written how many bytes were written, counted from the first writable one: all bytes before that are written (virtio 1.2, 2.7.8.2)
     * @return true if the driver was or will be told; false if the queue was reset or stopped since the pop, and nobody waits for the chain
     * @throws IllegalArgumentException if the chain is not from this queue, was completed or put back before, or has no room for
     *     {@code written} bytes
     */
    public boolean complete(DescriptorChain chain, long written) {
        checkPoppedHere(chain);
        if (written < 0 || written > chain.writableBytes()) {
            throw new IllegalArgumentException(
                    "written count " + written + " must be from 0 to the " + chain.writableBytes() + " of " + chain);
        }
        int head = chain.head();
        int slots = chain.slots();
        long number = chain.number();
        boolean current = owns(chain);
        chain.begin(memory, 0);
        if (!current) {
            return false;
        }
        try {
            if (inOrder) {
                order.completed(number, head, slots, written);
                while (order.isNextCompleted()) {
                    announce(order.nextHead(), order.nextSlots(), order.nextWritten());
                    order.takeNext();
                }
            } else {
                announce(head, slots, written);
            }
        } catch (GuestMemoryException e) {
            stop(memoryGone(e));
            return false;
        }
        return true;
    }

    /**
     * Holds back what is completed from now on: the driver sees it all at once with {@link #showCompletions}. For what belongs together, such as
     * the buffers of one frame.
     */
    public void holdCompletions() {
        if (isActive()) {
            rings.hold();
        }
    }

    /** Lets the driver see the completions held back. To be called before anything else is done with the queue. */
    public void showCompletions() {
        if (!isActive()) {
            return;
        }
        try {
            rings.show();
        } catch (GuestMemoryException e) {
            stop(memoryGone(e));
        }
    }

    private void announce(int head, int slots, long written) {
        rings.publish(head, slots, (int) written);
        inFlight.remove(head);
        unannounced = Math.min(unannounced + slots, ALL_INDICES);
    }

    /**
     * Undoes the last {@link #pop}: the chain is the driver's again, and the next one to be popped. Several are put back last one first.
     * The driver sees nothing of it. A chain of a queue that was reset or stopped since is just dropped.
     *
     * @param chain the chain popped last, of those not put back; nothing remains in it afterwards
     * @throws IllegalArgumentException if the chain is not from this queue, or was completed or put back before
     * @throws IllegalStateException if one was popped after it; the chain stays in flight
     */
    public void putBack(DescriptorChain chain) {
        checkPoppedHere(chain);
        if (owns(chain)) {
            if (chain.number() != popped) {
                throw new IllegalStateException(
                        chain + " can't be put back: " + (popped - chain.number()) + " were popped after it");
            }
            rings.untake(chain.slots());
            inFlight.remove(chain.head());
            popped--;
        }
        chain.begin(memory, 0);
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
        // What was completed is out before the driver's wish is read. Otherwise both sides could miss each other:
        // the driver asks for an interrupt and then finds nothing, while the device publishes and still sees the
        // old wish.
        VarHandle.fullFence();
        try {
            return rings.driverWantsInterrupt(completed);
        } catch (GuestMemoryException e) {
            stop(memoryGone(e));
            return false;
        }
    }

    /**
     * Advises the driver not to notify the device of new chains. A driver may still do it (virtio 1.2, 2.7.10.2).
     */
    public void disableNotifications() {
        if (!isActive()) {
            return;
        }
        try {
            rings.disableNotifications();
        } catch (GuestMemoryException e) {
            stop(memoryGone(e));
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
            rings.enableNotifications();
            // The wish is out before the ring is read again: the counterpart of the driver's barrier of virtio 1.2,
            // 2.7.13.4.1 and 2.8.21.3.1.
            VarHandle.fullFence();
            return rings.hasNext();
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
        unannounced = 0;
        inFlight.clear();
        order.clear();
        popped = 0;
        era++;
    }

    /**
     * Writes down the queue, with no chain in flight.
     *
     * @param state where to put it
     * @param name begins the names of its entries, such as {@code queue0}
     * @throws IllegalStateException if chains are in flight; complete them or put them back first
     */
    public void save(DeviceState state, String name) {
        if (chainsInFlight() != 0) {
            throw new IllegalStateException(
                    chainsInFlight() + " chains of " + name + " are in flight; complete them or put them back first");
        }
        SavedQueue.write(
                state, name, new SavedQueue(layout, features, isActive() ? rings.position() : 0, unannounced, fault));
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
            start(saved.layout(), saved.features(), saved.position(), saved.unannounced());
        }
    }

    private void stop(QueueFault why) {
        reset();
        fault = why;
    }

    private void start(QueueLayout newLayout, Set<QueueFeature> newFeatures, int position, int notAnnounced) {
        features = Set.copyOf(newFeatures);
        unannounced = notAnnounced;
        rings = RingFormat.of(features) == RingFormat.PACKED ? packed : split;
        rings.begin(newLayout, features, position);
        inOrder = features.contains(QueueFeature.IN_ORDER);
        if (inOrder) {
            order.resize(newLayout.size());
        }
        layout = newLayout;
    }

    private boolean owns(DescriptorChain chain) {
        return isActive() && chain.era() == era;
    }

    private void checkPoppedHere(DescriptorChain chain) {
        if (!this.equals(chain.queue())) {
            throw new IllegalArgumentException(
                    chain + " was not popped from this queue, or was completed before or put back");
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
