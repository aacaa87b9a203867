package io.github.jkvm.testkit.virtio;

import io.github.jkvm.GuestMemory;
import java.lang.invoke.VarHandle;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** The driver's side of a split queue (virtio 1.2, 2.7), and, by the methods that write one thing, what a driver should not do. */
public final class SplitDriverQueue extends DriverQueue {
    /** {@code VIRTQ_AVAIL_F_NO_INTERRUPT}: an advice in the flags of the available ring (2.7.7). */
    private static final short NO_INTERRUPT = 1;

    private final Deque<Integer> free = new ArrayDeque<>();
    private final Map<Integer, List<Integer>> chains = new HashMap<>();
    private int availableIndex;
    private int kickedIndex;
    private int usedIndex;

    SplitDriverQueue(GuestMemory memory, QueueAreas areas, long features) {
        super(memory, areas, features);
        for (int i = 0; i < areas.size(); i++) {
            free.add(i);
        }
    }

    @Override
    public void startAt(int position) {
        availableIndex = position;
        kickedIndex = position;
        usedIndex = position;
        memory().writeShort(areas().availableIndex(), (short) position);
        memory().writeShort(areas().usedIndex(), (short) position);
        memory().writeShort(areas().availableEvent(), (short) position);
        memory().writeShort(areas().usedEvent(), (short) position);
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
    int makeAvailable(@Nullable ChainDefect defect, Buffer... buffers) {
        List<Integer> taken = new ArrayList<>();
        for (int i = 0; i < buffers.length; i++) {
            taken.add(free.removeFirst());
        }
        int head = taken.getFirst();
        boolean endless = defect == ChainDefect.ENDLESS;
        boolean outside = defect == ChainDefect.NEXT_OUTSIDE_TABLE;
        for (int i = 0; i < buffers.length; i++) {
            boolean last = i == buffers.length - 1;
            int next = !last ? taken.get(i + 1) : endless ? head : outside ? areas().size() : 0;
            boolean goesOn = !last || endless || outside;
            descriptor(
                    taken.get(i),
                    buffers[i].address(),
                    buffers[i].length(),
                    buffers[i].flags() | (goesOn ? Buffer.NEXT : 0),
                    next);
        }
        chains.put(head, taken);
        if (defect == ChainDefect.INDEX_TOO_FAR) {
            availableIndex = (availableIndex + areas().size()) & 0xFFFF;
        }
        makeAvailable(defect == ChainDefect.HEAD_OUTSIDE_TABLE ? areas().size() : head);
        return head;
    }

    @Override
    void putTableEntry(long at, Buffer buffer, int index, boolean last) {
        descriptorAt(
                at, buffer.address(), buffer.length(), buffer.flags() | (last ? 0 : Buffer.NEXT), last ? 0 : index + 1);
    }

    /**
     * Writes a descriptor of the queue's table, whatever is in it.
     *
     * @param index its index
     * @param address guest-physical address of the buffer
     * @param length length of the buffer in bytes, of which 32 bits count
     * @param flags the flags, of which 16 bits count
     * @param next index of the next descriptor, of which 16 bits count
     */
    public void descriptor(int index, long address, long length, int flags, int next) {
        descriptorAt(areas().descriptor(index), address, length, flags, next);
    }

    /**
     * Writes a descriptor anywhere, such as into an indirect table.
     *
     * @param at guest-physical address of the descriptor
     * @param address guest-physical address of the buffer
     * @param length length of the buffer in bytes, of which 32 bits count
     * @param flags the flags, of which 16 bits count
     * @param next index of the next descriptor, of which 16 bits count
     */
    public void descriptorAt(long at, long address, long length, int flags, int next) {
        memory().writeLong(at, address);
        memory().writeInt(at + 8, (int) length);
        memory().writeShort(at + 12, (short) flags);
        memory().writeShort(at + 14, (short) next);
    }

    /**
     * Puts a head into the available ring, whatever it is.
     *
     * @param head the index, of which 16 bits count
     */
    public void makeAvailable(int head) {
        memory().writeShort(areas().availableEntry(availableIndex), (short) head);
        availableIndex = (availableIndex + 1) & 0xFFFF;
        memory().writeShortRelease(areas().availableIndex(), (short) availableIndex);
    }

    @Override
    public boolean kickNeeded() {
        VarHandle.fullFence();
        int count = (availableIndex - kickedIndex) & 0xFFFF;
        kickedIndex = availableIndex;
        if (eventIndex()) {
            // 2.7.10.1: if the event index is among the indexes that were passed.
            int event = memory().readShortAcquire(areas().availableEvent()) & 0xFFFF;
            return ((availableIndex - 1 - event) & 0xFFFF) < count;
        }
        return count != 0 && memory().readShortAcquire(areas().usedFlags()) == 0;
    }

    @Override
    public boolean enableInterrupts() {
        if (eventIndex()) {
            memory().writeShortRelease(areas().usedEvent(), (short) usedIndex);
        } else {
            memory().writeShortRelease(areas().availableFlags(), (short) 0);
        }
        VarHandle.fullFence();
        return (memory().readShortAcquire(areas().usedIndex()) & 0xFFFF) != usedIndex;
    }

    @Override
    public void disableInterrupts() {
        if (!eventIndex()) {
            memory().writeShortRelease(areas().availableFlags(), NO_INTERRUPT);
        }
    }

    @Override
    Optional<Used> take() {
        if ((memory().readShortAcquire(areas().usedIndex()) & 0xFFFF) == usedIndex) {
            return Optional.empty();
        }
        long entry = areas().usedEntry(usedIndex);
        var used = new Used(memory().readInt(entry), memory().readInt(entry + 4) & 0xFFFF_FFFFL);
        usedIndex = (usedIndex + 1) & 0xFFFF;
        List<Integer> taken = chains.remove(used.id());
        if (taken == null) {
            throw neverAdded(used.id());
        }
        free.addAll(taken);
        return Optional.of(used);
    }
}
