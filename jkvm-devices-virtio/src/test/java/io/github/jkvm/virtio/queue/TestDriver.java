package io.github.jkvm.virtio.queue;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.MemoryRegion;
import java.lang.invoke.VarHandle;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** The driver's side of a split queue: what a guest's kernel does, and, through the raw methods, what it should not do. */
final class TestDriver {
    static final int NEXT = 1;
    static final int WRITE = 2;
    static final int INDIRECT = 4;

    /** Guest memory: one region of this size at address 0. */
    static final long MEMORY_BYTES = 0x4_0000;

    /** Where tests put buffers; the queue is below. */
    static final long BUFFERS = 0x1_0000;

    /** Where indirect tables are made, one for each head. */
    private static final long TABLES = 0x3_0000;

    private static final int TABLE_BYTES = 16 * 16;

    /** One element of a request. */
    record Buffer(long address, long length, int flags) {
        static Buffer readable(long address, long length) {
            return new Buffer(address, length, 0);
        }

        static Buffer writable(long address, long length) {
            return new Buffer(address, length, WRITE);
        }
    }

    /** One entry of the used ring. */
    record Used(int head, long length) {}

    private final GuestMemory memory;
    private final QueueLayout layout;
    private final boolean eventIndex;
    private final Deque<Integer> free = new ArrayDeque<>();
    private final Map<Integer, List<Integer>> chains = new HashMap<>();
    private int availableIndex;
    private int kickedIndex;
    private int usedIndex;

    TestDriver(GuestMemory memory, QueueLayout layout, Set<QueueFeature> features) {
        this.memory = memory;
        this.layout = layout;
        this.eventIndex = features.contains(QueueFeature.EVENT_INDEX);
        for (int i = 0; i < layout.size(); i++) {
            free.add(i);
        }
    }

    static GuestMemory memory() {
        return GuestMemory.of(MemoryRegion.onHeap(GuestAddress.ZERO, MEMORY_BYTES));
    }

    /** Returns a layout of up to 256 descriptors below {@link #BUFFERS}. */
    static QueueLayout layout(int size) {
        return new QueueLayout(size, 0x1000, 0x3000, 0x4000);
    }

    /** Acts as if the queue had been in use for long: both rings stand at an index. */
    void startAt(int index) {
        availableIndex = index;
        kickedIndex = index;
        usedIndex = index;
        memory.writeShort(layout.availableIndex(), (short) index);
        memory.writeShort(layout.usedIndex(), (short) index);
        memory.writeShort(layout.availableEvent(), (short) index);
        memory.writeShort(layout.usedEvent(), (short) index);
    }

    int freeDescriptors() {
        return free.size();
    }

    /** Makes a chain available; there must be descriptors for it. */
    int add(Buffer... buffers) {
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

    /** Makes a chain of up to 16 buffers available, through an indirect table. */
    int addIndirect(Buffer... buffers) {
        int head = free.removeFirst();
        long table = TABLES + (long) head * TABLE_BYTES;
        for (int i = 0; i < buffers.length; i++) {
            boolean last = i == buffers.length - 1;
            descriptorAt(
                    table + 16L * i,
                    buffers[i].address(),
                    buffers[i].length(),
                    buffers[i].flags() | (last ? 0 : NEXT),
                    last ? 0 : i + 1);
        }
        descriptor(head, table, 16L * buffers.length, INDIRECT, 0);
        chains.put(head, List.of(head));
        makeAvailable(head);
        return head;
    }

    /** Writes a descriptor of the queue's table, whatever is in it. */
    void descriptor(int index, long address, long length, int flags, int next) {
        descriptorAt(layout.descriptors() + 16L * index, address, length, flags, next);
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

    /** Tells whether the device wants to be notified of what was added since the last call (virtio 1.2, 2.7.10.1). */
    boolean kickNeeded() {
        VarHandle.fullFence();
        int added = (availableIndex - kickedIndex) & 0xFFFF;
        kickedIndex = availableIndex;
        if (eventIndex) {
            int event = memory.readShortAcquire(layout.availableEvent()) & 0xFFFF;
            return ((availableIndex - 1 - event) & 0xFFFF) < added;
        }
        return added != 0 && memory.readShortAcquire(layout.usedFlags()) == 0;
    }

    /** Asks for an interrupt after the next completion; true if there is one already. */
    boolean enableInterrupts() {
        if (eventIndex) {
            memory.writeShortRelease(layout.usedEvent(), (short) usedIndex);
        } else {
            memory.writeShortRelease(layout.availableFlags(), (short) 0);
        }
        VarHandle.fullFence();
        return (memory.readShortAcquire(layout.usedIndex()) & 0xFFFF) != usedIndex;
    }

    void disableInterrupts() {
        if (!eventIndex) {
            memory.writeShortRelease(layout.availableFlags(), (short) 1);
        }
    }

    /** Takes the next completed chain and frees its descriptors; a chain that was not in flight is an error. */
    Optional<Used> takeUsed() {
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
