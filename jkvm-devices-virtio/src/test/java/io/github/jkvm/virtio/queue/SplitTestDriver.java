package io.github.jkvm.virtio.queue;

import io.github.jkvm.GuestMemory;
import java.lang.invoke.VarHandle;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** The driver's side of a split queue, and, through the raw methods, what a driver should not do. */
final class SplitTestDriver extends TestDriver {
    private final Deque<Integer> free = new ArrayDeque<>();
    private final Map<Integer, List<Integer>> chains = new HashMap<>();
    private int availableIndex;
    private int kickedIndex;
    private int usedIndex;

    SplitTestDriver(GuestMemory memory, QueueLayout layout, Set<QueueFeature> features) {
        super(memory, layout, features);
        for (int i = 0; i < layout.size(); i++) {
            free.add(i);
        }
    }

    @Override
    void startAt(int index) {
        availableIndex = index;
        kickedIndex = index;
        usedIndex = index;
        memory.writeShort(layout.availableIndex(), (short) index);
        memory.writeShort(layout.usedIndex(), (short) index);
        memory.writeShort(layout.availableEvent(), (short) index);
        memory.writeShort(layout.usedEvent(), (short) index);
    }

    @Override
    public int freeDescriptors() {
        return free.size();
    }

    @Override
    int nextTable() {
        return free.element();
    }

    @Override
    int put(Buffer... buffers) {
        List<Integer> taken = new ArrayList<>();
        for (int i = 0; i < buffers.length; i++) {
            taken.add(free.removeFirst());
        }
        for (int i = 0; i < buffers.length; i++) {
            boolean last = i == buffers.length - 1;
            descriptor(
                    taken.get(i),
                    buffers[i].address(),
                    buffers[i].length(),
                    buffers[i].flags() | (last ? 0 : NEXT),
                    last ? 0 : taken.get(i + 1));
        }
        chains.put(taken.getFirst(), taken);
        makeAvailable(taken.getFirst());
        return taken.getFirst();
    }

    @Override
    void putTableEntry(long at, Buffer buffer, int index, boolean last) {
        descriptorAt(at, buffer.address(), buffer.length(), buffer.flags() | (last ? 0 : NEXT), last ? 0 : index + 1);
    }

    /** Writes a descriptor of the queue's table, whatever is in it. */
    void descriptor(int index, long address, long length, int flags, int next) {
        descriptorAt(layout.descriptor(index), address, length, flags, next);
    }

    /** Writes a descriptor anywhere. */
    void descriptorAt(long at, long address, long length, int flags, int next) {
        memory.writeLong(at, address);
        memory.writeInt(at + 8, (int) length);
        memory.writeShort(at + 12, (short) flags);
        memory.writeShort(at + 14, (short) next);
    }

    /** Puts a head, whatever it is, into the available ring. */
    void makeAvailable(int head) {
        memory.writeShort(layout.availableEntry(availableIndex), (short) head);
        availableIndex = (availableIndex + 1) & 0xFFFF;
        memory.writeShortRelease(layout.availableIndex(), (short) availableIndex);
    }

    /** Virtio 1.2, 2.7.10.1. */
    @Override
    public boolean kickNeeded() {
        VarHandle.fullFence();
        int added = (availableIndex - kickedIndex) & 0xFFFF;
        kickedIndex = availableIndex;
        if (eventIndex) {
            int event = memory.readShortAcquire(layout.availableEvent()) & 0xFFFF;
            return ((availableIndex - 1 - event) & 0xFFFF) < added;
        }
        return added != 0 && memory.readShortAcquire(layout.usedFlags()) == 0;
    }

    @Override
    public boolean enableInterrupts() {
        if (eventIndex) {
            memory.writeShortRelease(layout.usedEvent(), (short) usedIndex);
        } else {
            memory.writeShortRelease(layout.availableFlags(), (short) 0);
        }
        VarHandle.fullFence();
        return (memory.readShortAcquire(layout.usedIndex()) & 0xFFFF) != usedIndex;
    }

    @Override
    public void disableInterrupts() {
        if (!eventIndex) {
            memory.writeShortRelease(layout.availableFlags(), (short) 1);
        }
    }

    @Override
    Optional<Used> take() {
        if ((memory.readShortAcquire(layout.usedIndex()) & 0xFFFF) == usedIndex) {
            return Optional.empty();
        }
        long entry = layout.usedEntry(usedIndex);
        var used = new Used(memory.readInt(entry), memory.readInt(entry + 4) & 0xFFFF_FFFFL);
        usedIndex = (usedIndex + 1) & 0xFFFF;
        List<Integer> taken = chains.remove(used.head());
        if (taken == null) {
            throw new AssertionError("the device completed chain " + used.head() + ", which it did not have");
        }
        free.addAll(taken);
        return Optional.of(used);
    }
}
