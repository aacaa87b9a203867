package io.github.jkvm.virtio.queue;

import io.github.jkvm.GuestMemory;
import java.lang.invoke.VarHandle;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * The driver's side of a packed queue, and, through the raw methods, what a driver should not do. It keeps offset and wrap counter apart, as
 * the specification describes them.
 */
final class PackedTestDriver extends TestDriver {
    static final int AVAILABLE = 1 << 7;
    static final int USED = 1 << 15;

    /** Where the flags are in an event suppression structure, and their values (virtio 1.2, 2.8.10 and 2.8.14). */
    static final int EVENT_FLAGS_OFFSET = 2;

    static final int ENABLE = 0;
    static final int DISABLE = 1;
    static final int AT_DESCRIPTOR = 2;

    private final Deque<Integer> freeIds = new ArrayDeque<>();
    private final Map<Integer, Integer> slots = new HashMap<>();
    private int freeSlots;
    private int available;
    private boolean availableWrap = true;
    private int used;
    private boolean usedWrap = true;
    private int addedSinceKick;

    PackedTestDriver(GuestMemory memory, QueueLayout layout, Set<QueueFeature> features) {
        super(memory, layout, features);
        freeSlots = layout.size();
        // Ids that differ from the slots, so that nobody mistakes one for the other.
        for (int i = layout.size() - 1; i >= 0; i--) {
            freeIds.add(i);
        }
    }

    @Override
    void startAt(int position) {
        available = position & 0x7FFF;
        availableWrap = (position & 0x8000) != 0;
        used = available;
        usedWrap = availableWrap;
        for (int i = 0; i < layout.size(); i++) {
            // All were used: those before the position in this lap, the others in the one before.
            boolean wrap = (i < available) == availableWrap;
            memory.writeShort(layout.descriptor(i) + 14, (short) (wrap ? AVAILABLE | USED : 0));
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
    int put(Buffer... buffers) {
        int id = freeIds.removeFirst();
        int first = available;
        int firstFlags = 0;
        for (int i = 0; i < buffers.length; i++) {
            boolean last = i == buffers.length - 1;
            int flags = availableFlags() | buffers[i].flags() | (last ? 0 : NEXT);
            // The id of all but the last is ignored (virtio 1.2, 2.8.6).
            descriptor(available, buffers[i].address(), buffers[i].length(), last ? id : 0xBAD);
            if (i == 0) {
                firstFlags = flags;
            } else {
                memory.writeShort(layout.descriptor(available) + 14, (short) flags);
            }
            skip(1);
        }
        freeSlots -= buffers.length;
        slots.put(id, buffers.length);
        // The first one goes last (virtio 1.2, 2.8.6).
        flags(first, firstFlags);
        return id;
    }

    /** Moves on as if descriptors had been made available. */
    void skip(int count) {
        addedSinceKick += count;
        available += count;
        if (available >= layout.size()) {
            available -= layout.size();
            availableWrap = !availableWrap;
        }
    }

    /** Returns the flags that make the next descriptor available. */
    int availableFlags() {
        return availableWrap ? AVAILABLE : USED;
    }

    /** Writes a descriptor but for its flags. */
    void descriptor(int slot, long address, long length, int id) {
        long at = layout.descriptor(slot);
        memory.writeLong(at, address);
        memory.writeInt(at + 8, (int) length);
        memory.writeShort(at + 12, (short) id);
    }

    /** Writes the flags of a descriptor, after what was written before. */
    void flags(int slot, int flags) {
        memory.writeShortRelease(layout.descriptor(slot) + 14, (short) flags);
    }

    /** The device ignores all flags but {@code WRITE} in a table (virtio 1.2, 2.8.7), so the others are set. */
    @Override
    void putTableEntry(long at, Buffer buffer, int index, boolean last) {
        memory.writeLong(at, buffer.address());
        memory.writeInt(at + 8, (int) buffer.length());
        memory.writeShort(at + 12, (short) 0xBAD);
        memory.writeShort(at + 14, (short) (buffer.flags() | (0xFFFF & ~WRITE)));
    }

    @Override
    public boolean kickNeeded() {
        VarHandle.fullFence();
        int wish = memory.readIntAcquire(layout.device());
        int count = addedSinceKick;
        addedSinceKick = 0;
        return switch (wish >>> 16) {
            case ENABLE -> count != 0;
            case DISABLE -> false;
            case AT_DESCRIPTOR -> passed(wish & 0x7FFF, (wish & 0x8000) != 0, count);
            default -> throw new AssertionError("the device asks for events by flags " + (wish >>> 16));
        };
    }

    /** Tells whether a descriptor is among the last ones made available, by stepping back to each of them. */
    private boolean passed(int event, boolean eventWrap, int count) {
        if (!eventIndex) {
            throw new AssertionError("the device asks for an event at a descriptor; the feature is not negotiated");
        }
        int slot = available;
        boolean wrap = availableWrap;
        for (int i = 0; i < count; i++) {
            slot--;
            if (slot < 0) {
                slot = layout.size() - 1;
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
        if (eventIndex) {
            // The offset first: until the flags are there, it counts for nothing.
            memory.writeShort(layout.driver(), (short) (used | (usedWrap ? 0x8000 : 0)));
            memory.writeShortRelease(layout.driver() + EVENT_FLAGS_OFFSET, (short) AT_DESCRIPTOR);
        } else {
            memory.writeShortRelease(layout.driver() + EVENT_FLAGS_OFFSET, (short) ENABLE);
        }
        VarHandle.fullFence();
        return isUsed(memory.readShortAcquire(layout.descriptor(used) + 14));
    }

    @Override
    public void disableInterrupts() {
        memory.writeShortRelease(layout.driver() + EVENT_FLAGS_OFFSET, (short) DISABLE);
    }

    private boolean isUsed(int flags) {
        return (flags & (AVAILABLE | USED)) == (usedWrap ? AVAILABLE | USED : 0);
    }

    @Override
    Optional<Used> take() {
        long at = layout.descriptor(used);
        int flags = memory.readShortAcquire(at + 14);
        if (!isUsed(flags)) {
            return Optional.empty();
        }
        int id = memory.readShort(at + 12) & 0xFFFF;
        // Without the flag the length is reserved (virtio 1.2, 2.8.4).
        long length = (flags & WRITE) != 0 ? memory.readInt(at + 8) & 0xFFFF_FFFFL : 0;
        Integer count = slots.remove(id);
        if (count == null) {
            throw new AssertionError("the device completed chain " + id + ", which it did not have");
        }
        used += count;
        if (used >= layout.size()) {
            used -= layout.size();
            usedWrap = !usedWrap;
        }
        freeSlots += count;
        freeIds.add(id);
        return Optional.of(new Used(id, length));
    }
}
