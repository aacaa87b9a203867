package io.github.jkvm.testkit.virtio;

import io.github.jkvm.GuestMemory;
import java.lang.invoke.VarHandle;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The driver's side of a packed queue (virtio 1.2, 2.8), and, by the methods that write one thing, what a driver should not do. It keeps offset and
 * wrap counter apart, as the specification describes them.
 */
public final class PackedDriverQueue extends DriverQueue {
    /** {@code VIRTQ_DESC_F_AVAIL}, a flag of a descriptor (2.8.1). */
    public static final int AVAILABLE = 1 << 7;

    /** {@code VIRTQ_DESC_F_USED}, a flag of a descriptor (2.8.1). */
    public static final int USED = 1 << 15;

    /** Where the flags are in an event suppression structure (2.8.14). */
    public static final int EVENT_FLAGS_OFFSET = 2;

    /** {@code RING_EVENT_FLAGS_ENABLE}: an event for each descriptor (2.8.10). */
    public static final int ENABLE = 0;

    /** {@code RING_EVENT_FLAGS_DISABLE}: no events (2.8.10). */
    public static final int DISABLE = 1;

    /** {@code RING_EVENT_FLAGS_DESC}: an event for one descriptor, with {@link RingFeatures#EVENT_IDX} only (2.8.10). */
    public static final int AT_DESCRIPTOR = 2;

    /** In an offset of an event suppression structure and in positions: the wrap counter. */
    private static final int WRAP = 0x8000;

    /** An id that no driver gives, for where it is ignored (2.8.6 and 2.8.7). */
    private static final int NO_ID = 0xBAD;

    private final Deque<Integer> freeIds = new ArrayDeque<>();
    private final Map<Integer, Integer> slots = new HashMap<>();
    private int freeSlots;
    private int available;
    private boolean availableWrap = true;
    private int used;
    private boolean usedWrap = true;
    private int addedSinceKick;

    PackedDriverQueue(GuestMemory memory, QueueAreas areas, long features) {
        super(memory, areas, features);
        freeSlots = areas.size();
        // Ids that differ from the slots, so that nobody mistakes one for the other.
        for (int i = areas.size() - 1; i >= 0; i--) {
            freeIds.add(i);
        }
    }

    @Override
    public void startAt(int position) {
        available = position & (WRAP - 1);
        availableWrap = (position & WRAP) != 0;
        used = available;
        usedWrap = availableWrap;
        for (int i = 0; i < areas().size(); i++) {
            // All were used: those before the position in this lap, the others in the one before.
            boolean wrap = (i < available) == availableWrap;
            memory().writeShort(areas().descriptor(i) + 14, (short) (wrap ? AVAILABLE | USED : 0));
        }
    }

    @Override
    public int freeDescriptors() {
        return freeSlots;
    }

    @Override
    int nextTable() {
        return freeIds.element();
    }

    @Override
    int makeAvailable(@Nullable ChainDefect defect, Buffer... buffers) {
        int id = freeIds.removeFirst();
        freeSlots -= buffers.length;
        slots.put(id, buffers.length);
        boolean endless = defect == ChainDefect.ENDLESS;
        int first = available;
        int firstFlags = 0;
        for (int i = 0; i < buffers.length; i++) {
            boolean last = i == buffers.length - 1;
            int flags = availableFlags() | buffers[i].flags() | (last && !endless ? 0 : Buffer.NEXT);
            // The id of all but the last is ignored (2.8.6).
            descriptor(available, buffers[i].address(), buffers[i].length(), last ? id : NO_ID);
            if (i == 0) {
                firstFlags = flags;
            } else {
                flags(available, flags);
            }
            skip(1);
        }
        if (endless) {
            goAround(buffers[buffers.length - 1], id, areas().size() - buffers.length);
        }
        // The first one goes last (2.8.6).
        flags(first, firstFlags);
        return id;
    }

    /** Has all other slots continue a chain, whoever has them. */
    private void goAround(Buffer buffer, int id, int count) {
        for (int i = 0; i < count; i++) {
            descriptor(available, buffer.address(), buffer.length(), id);
            flags(available, availableFlags() | buffer.flags() | Buffer.NEXT);
            skip(1);
        }
    }

    /**
     * Moves on as if descriptors had been made available.
     *
     * @param count how many, up to the queue's size
     */
    public void skip(int count) {
        addedSinceKick += count;
        available += count;
        if (available >= areas().size()) {
            available -= areas().size();
            availableWrap = !availableWrap;
        }
    }

    /**
     * Returns the flags that make the next descriptor available (2.8.1).
     *
     * @return {@link #AVAILABLE} or {@link #USED}, by the driver's wrap counter
     */
    public int availableFlags() {
        return availableWrap ? AVAILABLE : USED;
    }

    /**
     * Writes a descriptor but for its flags.
     *
     * @param slot its place in the ring
     * @param address guest-physical address of the buffer
     * @param length length of the buffer in bytes, of which 32 bits count
     * @param id the buffer id, of which 16 bits count
     */
    public void descriptor(int slot, long address, long length, int id) {
        long at = areas().descriptor(slot);
        memory().writeLong(at, address);
        memory().writeInt(at + 8, (int) length);
        memory().writeShort(at + 12, (short) id);
    }

    /**
     * Writes the flags of a descriptor, after what was written before.
     *
     * @param slot its place in the ring
     * @param flags the flags, of which 16 bits count
     */
    public void flags(int slot, int flags) {
        memory().writeShortRelease(areas().descriptor(slot) + 14, (short) flags);
    }

    /** The device ignores all flags but {@code WRITE} in a table (2.8.7), so the others are set. */
    @Override
    void putTableEntry(long at, Buffer buffer, int index, boolean last) {
        memory().writeLong(at, buffer.address());
        memory().writeInt(at + 8, (int) buffer.length());
        memory().writeShort(at + 12, (short) NO_ID);
        memory().writeShort(at + 14, (short) (buffer.flags() | (0xFFFF & ~Buffer.WRITE)));
    }

    /**
     * {@inheritDoc}
     *
     * @throws AssertionError if the device asks in a way that the specification has not, or that was not negotiated
     */
    @Override
    public boolean kickNeeded() {
        VarHandle.fullFence();
        int wish = memory().readIntAcquire(areas().device());
        int count = addedSinceKick;
        addedSinceKick = 0;
        return switch (wish >>> 16) {
            case ENABLE -> count != 0;
            case DISABLE -> false;
            case AT_DESCRIPTOR -> passed(wish & (WRAP - 1), (wish & WRAP) != 0, count);
            default ->
                throw new AssertionError(
                        "the device asks for events by flags " + (wish >>> 16) + " (virtio 1.2, 2.8.10)");
        };
    }

    /** Tells whether a descriptor is among the last ones made available, by stepping back to each of them. */
    private boolean passed(int event, boolean eventWrap, int count) {
        if (!eventIndex()) {
            throw new AssertionError("the device asks for an event at a descriptor; the feature is not negotiated");
        }
        int slot = available;
        boolean wrap = availableWrap;
        for (int i = 0; i < count; i++) {
            slot--;
            if (slot < 0) {
                slot = areas().size() - 1;
                wrap = !wrap;
            }
            if (slot == event && wrap == eventWrap) {
                return true;
            }
        }
        return false;
    }

    @Override
    public boolean enableInterrupts() {
        if (eventIndex()) {
            // The offset first: until the flags are there, it counts for nothing.
            memory().writeShort(areas().driver(), (short) (used | (usedWrap ? WRAP : 0)));
            memory().writeShortRelease(areas().driver() + EVENT_FLAGS_OFFSET, (short) AT_DESCRIPTOR);
        } else {
            memory().writeShortRelease(areas().driver() + EVENT_FLAGS_OFFSET, (short) ENABLE);
        }
        VarHandle.fullFence();
        return isUsed(memory().readShortAcquire(areas().descriptor(used) + 14));
    }

    @Override
    public void disableInterrupts() {
        memory().writeShortRelease(areas().driver() + EVENT_FLAGS_OFFSET, (short) DISABLE);
    }

    private boolean isUsed(int flags) {
        return (flags & (AVAILABLE | USED)) == (usedWrap ? AVAILABLE | USED : 0);
    }

    @Override
    Optional<Used> take() {
        long at = areas().descriptor(used);
        int flags = memory().readShortAcquire(at + 14);
        if (!isUsed(flags)) {
            return Optional.empty();
        }
        int id = memory().readShort(at + 12) & 0xFFFF;
        // Without the flag the length is reserved (2.8.4).
        long length = (flags & Buffer.WRITE) != 0 ? memory().readInt(at + 8) & 0xFFFF_FFFFL : 0;
        Integer count = slots.remove(id);
        if (count == null) {
            throw neverAdded(id);
        }
        used += count;
        if (used >= areas().size()) {
            used -= areas().size();
            usedWrap = !usedWrap;
        }
        freeSlots += count;
        freeIds.add(id);
        return Optional.of(new Used(id, length));
    }
}
