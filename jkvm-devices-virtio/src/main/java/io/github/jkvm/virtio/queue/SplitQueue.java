package io.github.jkvm.virtio.queue;

import io.github.jkvm.GuestMemory;
import io.github.jkvm.virtio.queue.QueueFault.Reason;
import java.util.Set;

/** A virtqueue whose rings are split: a descriptor table, an available and a used ring (virtio 1.2, 2.7). */
public final class SplitQueue extends VirtQueue {
    /** {@code VIRTQ_AVAIL_F_NO_INTERRUPT} (virtio 1.2, 2.7.6). */
    private static final int NO_INTERRUPT = 1;

    /** {@code VIRTQ_USED_F_NO_NOTIFY} (virtio 1.2, 2.7.8). */
    private static final short NO_NOTIFY = 1;

    private final SplitWalker walker;

    private QueueLayout layout = QueueLayout.NONE;
    private boolean indirectDescriptors;
    private boolean eventIndex;

    /** Free-running index of the next available entry to look at, 0 to 65535. */
    private int nextAvailable;

    /** Free-running index of the next used entry to fill, 0 to 65535. */
    private int nextUsed;

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
        super(RingFormat.SPLIT, memory, maxSize);
        this.walker = new SplitWalker(memory);
    }

    @Override
    int begin(QueueLayout newLayout, Set<QueueFeature> features, int position) {
        layout = newLayout;
        indirectDescriptors = features.contains(QueueFeature.INDIRECT_DESCRIPTORS);
        eventIndex = features.contains(QueueFeature.EVENT_INDEX);
        nextAvailable = position;
        nextUsed = position;
        return newLayout.size();
    }

    @Override
    PopResult take(DescriptorChain chain) {
        int available = memory().readShortAcquire(layout.availableIndex()) & 0xFFFF;
        int waiting = (available - nextAvailable) & 0xFFFF;
        if (waiting == 0) {
            return PopResult.EMPTY;
        }
        if (waiting > layout.size() - inFlight().count()) {
            return stop(new QueueFault(
                    Reason.AVAILABLE_INDEX,
                    "available index " + available + " is " + waiting + " beyond " + nextAvailable + " with "
                            + inFlight().count() + " chains in flight; the queue has " + layout.size()));
        }
        int head = memory().readShort(layout.availableEntry(nextAvailable)) & 0xFFFF;
        if (head >= layout.size()) {
            return stop(new QueueFault(
                    Reason.DESCRIPTOR_INDEX, "head " + head + " is not below the queue size " + layout.size()));
        }
        if (inFlight().contains(head)) {
            return stop(new QueueFault(Reason.HEAD_IN_FLIGHT, "chain " + head + " is in flight already"));
        }
        QueueFault wrong = walker.walk(layout, indirectDescriptors, head, chain);
        if (wrong != null) {
            return stop(wrong);
        }
        nextAvailable = (nextAvailable + 1) & 0xFFFF;
        return PopResult.CHAIN;
    }

    @Override
    void untake(int slots) {
        nextAvailable = (nextAvailable - 1) & 0xFFFF;
    }

    @Override
    void publish(int head, int slots, int written) {
        long entry = layout.usedEntry(nextUsed);
        memory().writeInt(entry, head);
        memory().writeInt(entry + Integer.BYTES, written);
        nextUsed = (nextUsed + 1) & 0xFFFF;
        // The driver that sees the index sees the entry, and what the device wrote to the buffers.
        memory().writeShortRelease(layout.usedIndex(), (short) nextUsed);
    }

    @Override
    boolean driverWantsInterrupt(int completed) {
        if (eventIndex) {
            int event = memory().readShortAcquire(layout.usedEvent()) & 0xFFFF;
            return ((nextUsed - 1 - event) & 0xFFFF) < completed;
        }
        return (memory().readShortAcquire(layout.availableFlags()) & NO_INTERRUPT) == 0;
    }

    /** With the event index the driver notifies for one index only, and that has passed. */
    @Override
    void unaskNotification() {
        if (!eventIndex) {
            memory().writeShortRelease(layout.usedFlags(), NO_NOTIFY);
        }
    }

    @Override
    void askNotification() {
        if (eventIndex) {
            memory().writeShortRelease(layout.availableEvent(), (short) nextAvailable);
        } else {
            memory().writeShortRelease(layout.usedFlags(), (short) 0);
        }
    }

    @Override
    boolean chainsWait() {
        return (memory().readShortAcquire(layout.availableIndex()) & 0xFFFF) != nextAvailable;
    }

    @Override
    int position() {
        return nextAvailable;
    }
}
