package io.github.jkvm.virtio.queue;

import io.github.jkvm.GuestMemory;
import io.github.jkvm.virtio.queue.QueueFault.Reason;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A packed ring: driver and device write the same descriptors (virtio 1.2, 2.8).
 *
 * <p>Places in the ring are counted in slots over two laps, since a wrap counter tells one lap from the next: the counter is 1 in
 * the first lap and 0 in the second.
 */
final class PackedRing extends Rings {
    /** {@code VIRTQ_DESC_F_AVAIL} (virtio 1.2, 2.8.1). */
    private static final int AVAILABLE = 1 << 7;

    /** {@code VIRTQ_DESC_F_USED} (virtio 1.2, 2.8.1). */
    private static final int USED = 1 << 15;

    // What an event suppression structure asks for (virtio 1.2, 2.8.10); 3 is reserved.
    private static final int EVENTS_ENABLED = 0;
    private static final int EVENTS_DISABLED = 1;
    private static final int EVENT_AT_DESCRIPTOR = 2;
    private static final int EVENT_FLAGS = 3;

    /** Where the flags are in an event suppression structure that is read as one number (virtio 1.2, 2.8.14). */
    private static final int EVENT_FLAGS_SHIFT = 16;

    /** The wrap counter beside an offset in the ring (virtio 1.2, 2.8.14). */
    private static final int WRAP = 1 << 15;

    /** The {@link #position} of a queue that was just activated: its wrap counters are 1 (virtio 1.2, 2.8.1). */
    static final int FIRST_POSITION = WRAP;

    /** A buffer id has 16 bits. */
    private static final int IDS = 1 << 16;

    private final PackedWalker walker;

    private QueueLayout layout = QueueLayout.NONE;
    private boolean indirectDescriptors;
    private boolean eventIndex;

    /** Place of the next descriptor to look at, below twice the size. */
    private int nextAvailable;

    /** Place of the next descriptor to mark used, below twice the size. */
    private int nextUsed;

    /** Whether completions are not to be seen for now. */
    private boolean held;

    /** Where the first completion goes that is held, and what goes there; 0 if there is none. */
    private long heldAddress;

    private long heldEntry;

    /** Slots of the chains in flight. */
    private int slotsInFlight;

    /** Second half of the next descriptor as it was read last. */
    private long seen;

    PackedRing(GuestMemory memory, HeadSet inFlight) {
        super(memory, inFlight);
        this.walker = new PackedWalker(memory);
    }

    @Override
    void begin(QueueLayout newLayout, Set<QueueFeature> features, int position) {
        layout = newLayout;
        indirectDescriptors = features.contains(QueueFeature.INDIRECT_DESCRIPTORS);
        eventIndex = features.contains(QueueFeature.EVENT_INDEX);
        nextAvailable = place(position);
        nextUsed = nextAvailable;
        slotsInFlight = 0;
        held = false;
        heldAddress = 0;
        inFlight().resize(IDS);
    }

    @Override
    boolean hasNext() {
        // Length, id and flags as one number. The driver writes the flags last, and a processor reads 8 aligned
        // bytes at once, so flags that say available come with the length and id that belong to them.
        seen = memory().readLongAcquire(layout.descriptor(slot(nextAvailable)) + Long.BYTES);
        return isAvailable(PackedWalker.flags(seen));
    }

    @Override
    @Nullable
    QueueFault take(DescriptorChain chain) {
        int slot = slot(nextAvailable);
        int free = layout.size() - slotsInFlight;
        if (free == 0) {
            return new QueueFault(
                    Reason.AVAILABLE_INDEX,
                    "descriptor " + slot + " is available while all " + layout.size() + " are in flight");
        }
        QueueFault wrong = walker.walk(layout, indirectDescriptors, slot, seen, free, chain);
        if (wrong != null) {
            return wrong;
        }
        if (inFlight().contains(chain.head())) {
            return new QueueFault(
                    Reason.HEAD_IN_FLIGHT,
                    "chain " + slot + " has buffer id " + chain.head() + ", which is in flight already");
        }
        nextAvailable = ahead(nextAvailable, chain.slots());
        slotsInFlight += chain.slots();
        return null;
    }

    @Override
    void untake(int slots) {
        nextAvailable = ahead(nextAvailable, 2 * layout.size() - slots);
        slotsInFlight -= slots;
    }

    @Override
    void publish(int head, int slots, int written) {
        int flags = inFirstLap(nextUsed) ? AVAILABLE | USED : 0;
        if (written != 0) {
            flags |= ChainChecks.WRITE;
        }
        // One ordered write of length, id and flags: the driver that sees the flags sees the rest, and what the
        // device wrote to the buffers. The address stays as it is (virtio 1.2, 2.8.4).
        long rest = (long) flags << 48 | (long) head << 32 | Integer.toUnsignedLong(written);
        long address = layout.descriptor(slot(nextUsed)) + Long.BYTES;
        if (held && heldAddress == 0) {
            // The driver looks at the descriptors in order, and no further than this one.
            heldAddress = address;
            heldEntry = rest;
        } else {
            memory().writeLongRelease(address, rest);
        }
        nextUsed = ahead(nextUsed, slots);
        slotsInFlight -= slots;
    }

    @Override
    void hold() {
        held = true;
    }

    @Override
    void show() {
        held = false;
        if (heldAddress != 0) {
            memory().writeLongRelease(heldAddress, heldEntry);
            heldAddress = 0;
        }
    }

    @Override
    boolean driverWantsInterrupt(int published) {
        // The driver changes offset and flags one after the other; both are read at once.
        int wish = memory().readIntAcquire(layout.driver());
        return switch (wish >>> EVENT_FLAGS_SHIFT & EVENT_FLAGS) {
            case EVENTS_DISABLED -> false;
            case EVENT_AT_DESCRIPTOR -> !eventIndex || passed(wish & 0xFFFF, published);
            default -> true;
        };
    }

    /** Tells whether the place that the driver named is among those that were marked used last. */
    private boolean passed(int event, int slots) {
        int places = 2 * layout.size();
        if ((event & ~WRAP) >= layout.size()) {
            // No such descriptor: an interrupt too many does no harm.
            return true;
        }
        return Math.floorMod(nextUsed - 1 - place(event), places) < slots;
    }

    @Override
    void disableNotifications() {
        memory().writeIntRelease(layout.device(), EVENTS_DISABLED << EVENT_FLAGS_SHIFT);
    }

    @Override
    void enableNotifications() {
        int wish = eventIndex
                ? EVENT_AT_DESCRIPTOR << EVENT_FLAGS_SHIFT | position()
                : EVENTS_ENABLED << EVENT_FLAGS_SHIFT;
        memory().writeIntRelease(layout.device(), wish);
    }

    @Override
    int position() {
        return slot(nextAvailable) | (inFirstLap(nextAvailable) ? WRAP : 0);
    }

    static boolean isPosition(QueueLayout layout, int position) {
        return (position & ~WRAP) < layout.size();
    }

    /** Virtio 1.2, 2.8.1: available is what has the driver's wrap counter in one flag and its inverse in the other. */
    private boolean isAvailable(int flags) {
        return (flags & (AVAILABLE | USED)) == (inFirstLap(nextAvailable) ? AVAILABLE : USED);
    }

    private boolean inFirstLap(int place) {
        return place < layout.size();
    }

    private int slot(int place) {
        return inFirstLap(place) ? place : place - layout.size();
    }

    private int ahead(int place, int slots) {
        int sum = place + slots;
        return sum < 2 * layout.size() ? sum : sum - 2 * layout.size();
    }

    private int place(int position) {
        int slot = position & ~WRAP;
        return (position & WRAP) != 0 ? slot : slot + layout.size();
    }
}
