package io.github.jkvm.virtio.queue;

import io.github.jkvm.GuestMemory;
import io.github.jkvm.virtio.queue.QueueFault.Reason;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Split rings: a descriptor table, an available and a used ring (virtio 1.2, 2.7). */
final class SplitRings extends Rings {
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

    /** Whether the used index is left as it is for now. */
    private boolean held;

    /** The available index as it was read last. */
    private int seenAvailable;

    SplitRings(GuestMemory memory, HeadSet inFlight) {
        super(memory, inFlight);
        this.walker = new SplitWalker(memory);
    }

    @Override
    void begin(QueueLayout newLayout, Set<QueueFeature> features, int position) {
        layout = newLayout;
        indirectDescriptors = features.contains(QueueFeature.INDIRECT_DESCRIPTORS);
        eventIndex = features.contains(QueueFeature.EVENT_INDEX);
        nextAvailable = position;
        nextUsed = position;
        seenAvailable = position;
        held = false;
        inFlight().resize(newLayout.size());
    }

    @Override
    boolean hasNext() {
        if (seenAvailable == nextAvailable) {
            seenAvailable = memory().readShortAcquire(layout.availableIndex()) & 0xFFFF;
        }
        return seenAvailable != nextAvailable;
    }

    @Override
    @Nullable
    QueueFault take(DescriptorChain chain) {
        int waiting = (seenAvailable - nextAvailable) & 0xFFFF;
        if (waiting > layout.size() - inFlight().count()) {
            return new QueueFault(
                    Reason.AVAILABLE_INDEX,
                    "available index " + seenAvailable + " is " + waiting + " beyond " + nextAvailable + " with "
                            + inFlight().count() + " chains in flight; the queue has " + layout.size());
        }
        int head = memory().readShort(layout.availableEntry(nextAvailable)) & 0xFFFF;
        if (head >= layout.size()) {
            return new QueueFault(
                    Reason.DESCRIPTOR_INDEX, "head " + head + " is not below the queue size " + layout.size());
        }
        if (inFlight().contains(head)) {
            return new QueueFault(Reason.HEAD_IN_FLIGHT, "chain " + head + " is in flight already");
        }
        QueueFault wrong = walker.walk(layout, indirectDescriptors, head, chain);
        if (wrong == null) {
            nextAvailable = (nextAvailable + 1) & 0xFFFF;
        }
        return wrong;
    }

    @Override
    void untake(int slots) {
        nextAvailable = (nextAvailable - 1) & 0xFFFF;
    }

    @Override
    void publish(int head, int slots, int written) {
        long entry = layout.usedEntry(nextUsed);
        memory().writeLong(entry, (long) written << Integer.SIZE | head);
        nextUsed = (nextUsed + 1) & 0xFFFF;
        if (!held) {
            show();
        }
    }

    @Override
    void hold() {
        held = true;
    }

    @Override
    void show() {
        held = false;
        // The driver that sees the index sees the entries, and what the device wrote to the buffers.
        memory().writeShortRelease(layout.usedIndex(), (short) nextUsed);
    }

    @Override
    boolean driverWantsInterrupt(int published) {
        if (eventIndex) {
            int event = memory().readShortAcquire(layout.usedEvent()) & 0xFFFF;
            return ((nextUsed - 1 - event) & 0xFFFF) < published;
        }
        return (memory().readShortAcquire(layout.availableFlags()) & NO_INTERRUPT) == 0;
    }

    /** With the event index the driver notifies for one index only, and that has passed. */
    @Override
    void disableNotifications() {
        if (!eventIndex) {
            memory().writeShortRelease(layout.usedFlags(), NO_NOTIFY);
        }
    }

    @Override
    void enableNotifications() {
        if (eventIndex) {
            memory().writeShortRelease(layout.availableEvent(), (short) nextAvailable);
        } else {
            memory().writeShortRelease(layout.usedFlags(), (short) 0);
        }
    }

    @Override
    int position() {
        return nextAvailable;
    }
}
