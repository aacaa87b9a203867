package io.github.jkvm.testkit.virtio;

import io.github.jkvm.GuestMemory;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The driver's side of one virtqueue, of either format: makes chains available, takes those that the device has used, and says who wants to
 * be told of what (virtio 1.2, 2.7 and 2.8).
 *
 * <p>{@link VirtioDriver} sets queues up by a transport's registers. A test of a queue implementation alone makes one itself:
 *
 * <pre>{@code
 * QueueAreas areas = QueueAreas.at(0x1000, 16);
 * DriverQueue driver = DriverQueue.of(memory, areas, RingFeatures.RING_PACKED | RingFeatures.EVENT_IDX);
 * int id = driver.add(Buffer.readable(0x1_0000, 100), Buffer.writable(0x2_0000, 512));
 * // ... the queue under test takes the chain and completes it ...
 * assertThat(driver.takeUsed()).contains(new Used(id, 512));
 * }</pre>
 *
 * <p>What a device may not do with a queue of a driver that keeps to the rules is an {@link AssertionError} of {@link #takeUsed}.
 */
public abstract sealed class DriverQueue permits SplitDriverQueue, PackedDriverQueue {
    /** An indirect table has room for {@link Chain#MAX_INDIRECT} descriptors. */
    private static final int TABLE_BYTES = Chain.MAX_INDIRECT * QueueAreas.DESCRIPTOR_BYTES;

    /** Where no memory is: the end of the address space, but for {@link #WRAPPING}. */
    private static final long NOWHERE = 0xFFFF_FFFF_0000_0000L;

    private static final long WRAPPING = -8;

    private final GuestMemory memory;
    private final QueueAreas areas;
    private final long features;
    private final Deque<Integer> added = new ArrayDeque<>();
    private long tables;

    DriverQueue(GuestMemory memory, QueueAreas areas, long features) {
        this.memory = memory;
        this.areas = areas;
        this.features = features;
        tables = areas.end();
    }

    /**
     * Returns the driver's side of a queue that was never used. Its areas are all zeroes.
     *
     * @param memory the guest's memory
     * @param areas where the queue is
     * @param features what was negotiated; with {@link RingFeatures#RING_PACKED} the queue is packed
     * @return the queue
     */
    public static DriverQueue of(GuestMemory memory, QueueAreas areas, long features) {
        return (features & RingFeatures.RING_PACKED) != 0
                ? new PackedDriverQueue(memory, areas, features)
                : new SplitDriverQueue(memory, areas, features);
    }

    /**
     * Says where indirect tables are made: 256 bytes for each descriptor of the queue. The page behind the device area unless said otherwise.
     *
     * @param address guest-physical address
     * @return this
     */
    public DriverQueue indirectTablesAt(long address) {
        tables = address;
        return this;
    }

    /**
     * Acts as if the queue had been in use for long, with all chains back. For a queue that was not used yet; the device must begin at the same
     * place.
     *
     * @param position split: the free-running index, 0 to 65535; packed: the next slot, and 0x8000 if the wrap counter is 1
     */
    public abstract void startAt(int position);

    /**
     * Returns where the queue is.
     *
     * @return its areas
     */
    public final QueueAreas areas() {
        return areas;
    }

    final GuestMemory memory() {
        return memory;
    }

    final boolean eventIndex() {
        return (features & RingFeatures.EVENT_IDX) != 0;
    }

    /**
     * Returns how many descriptors no chain has.
     *
     * @return the number
     */
    public abstract int freeDescriptors();

    /**
     * Returns how many chains the device has not given back.
     *
     * @return the number
     */
    public final int chainsInFlight() {
        return added.size();
    }

    /**
     * Makes a chain available, one descriptor a buffer.
     *
     * @param buffers the buffers, 1 or more
     * @return what names the chain: the index of its head, or the buffer id
     * @throws IllegalStateException if there are not enough descriptors
     */
    public final int add(Buffer... buffers) {
        return put(null, buffers);
    }

    /**
     * Makes a chain available through an indirect table, which takes one descriptor.
     *
     * @param buffers the buffers, 1 to {@link Chain#MAX_INDIRECT}
     * @return what names the chain
     * @throws IllegalStateException if no descriptor is free
     */
    public final int addIndirect(Buffer... buffers) {
        return add(table(buffers));
    }

    /**
     * Makes a chain available, or does with it what is wrong with it: what the device makes of the queue after that is up to it.
     *
     * @param chain the chain, of 1 part or more
     * @return what names the chain, if the device gives it back
     * @throws IllegalStateException if there are not enough descriptors
     * @throws IllegalArgumentException if the defect is not {@linkplain ChainDefect#possibleWith possible} with the features of this queue
     */
    public final int add(PlacedChain chain) {
        Buffer[] buffers = chain.buffers().toArray(Buffer[]::new);
        Optional<ChainDefect> defect = chain.defect();
        if (defect.isPresent()) {
            return addBroken(defect.get(), chain.placement(), buffers);
        }
        return addPlaced(chain.placement(), buffers);
    }

    private int addBroken(ChainDefect defect, Chain.Placement placement, Buffer... buffers) {
        if (!ChainDefect.possibleWith(features).contains(defect)) {
            throw new IllegalArgumentException(defect + " is not possible with features 0x" + Long.toHexString(features)
                    + "; take one of " + ChainDefect.possibleWith(features));
        }
        return switch (defect) {
            case BUFFER_OUTSIDE_MEMORY -> addPlaced(placement, withLast(NOWHERE, 1, buffers));
            case BUFFER_WRAPS -> addPlaced(placement, withLast(WRAPPING, 1 - WRAPPING, buffers));
            case READABLE_AFTER_WRITABLE -> addPlaced(placement, backToReadable(buffers));
            case INDIRECT_TABLE_EMPTY -> add(table(0, buffers));
            case INDIRECT_TABLE_CUT -> add(table((long) QueueAreas.DESCRIPTOR_BYTES * buffers.length - 1, buffers));
            case INDIRECT_TABLE_OUTSIDE_MEMORY ->
                add(new Buffer(NOWHERE, QueueAreas.DESCRIPTOR_BYTES, Buffer.INDIRECT));
            case INDIRECT_WITH_NEXT -> add(table(buffers), buffers[buffers.length - 1]);
            case INDIRECT_NESTED -> addNested(buffers);
            case ENDLESS, HEAD_OUTSIDE_TABLE, NEXT_OUTSIDE_TABLE, INDEX_TOO_FAR -> put(defect, buffers);
        };
    }

    private int addPlaced(Chain.Placement placement, Buffer... buffers) {
        return placement == Chain.Placement.INDIRECT ? addIndirect(buffers) : add(buffers);
    }

    /** The last buffer elsewhere, and not too short to be noticed there. */
    private static Buffer[] withLast(long address, long leastLength, Buffer... buffers) {
        Buffer[] changed = checked(buffers).clone();
        int last = buffers.length - 1;
        changed[last] = new Buffer(address, Math.max(leastLength, buffers[last].length()), buffers[last].flags());
        return changed;
    }

    /** A writable and a readable buffer at the end, in place of the last one, with no more buffers than a table has room for. */
    private static Buffer[] backToReadable(Buffer... buffers) {
        List<Buffer> parts = new ArrayList<>(List.of(checked(buffers)));
        Buffer last = parts.removeLast();
        parts.add(Buffer.writable(last.address(), 1));
        parts.add(Buffer.readable(last.address(), 1));
        if (parts.size() > Chain.MAX_INDIRECT) {
            parts.removeFirst();
        }
        return parts.toArray(Buffer[]::new);
    }

    /** A table whose last entry says that it is a table. */
    private int addNested(Buffer... buffers) {
        int last = buffers.length - 1;
        Buffer[] entries = buffers.clone();
        entries[last] = new Buffer(buffers[last].address(), 16, Buffer.INDIRECT);
        return addIndirect(entries);
    }

    private Buffer table(Buffer... buffers) {
        return table((long) QueueAreas.DESCRIPTOR_BYTES * buffers.length, buffers);
    }

    /** Makes a table, and a descriptor of it that has a length of its own. */
    private Buffer table(long length, Buffer... buffers) {
        if (checked(buffers).length > Chain.MAX_INDIRECT) {
            throw new IllegalArgumentException(
                    buffers.length + " buffers for an indirect table; it has room for " + Chain.MAX_INDIRECT);
        }
        needDescriptors(1);
        long table = tables + (long) nextTable() * TABLE_BYTES;
        for (int i = 0; i < buffers.length; i++) {
            putTableEntry(table + (long) QueueAreas.DESCRIPTOR_BYTES * i, buffers[i], i, i == buffers.length - 1);
        }
        return new Buffer(table, length, Buffer.INDIRECT);
    }

    private static Buffer[] checked(Buffer... buffers) {
        if (buffers.length == 0) {
            throw new IllegalArgumentException("a chain needs a buffer");
        }
        return buffers;
    }

    private void needDescriptors(int count) {
        if (count > freeDescriptors()) {
            throw new IllegalStateException("a chain of " + count + " descriptors; " + freeDescriptors() + " of "
                    + areas.size() + " are free: take used chains first");
        }
    }

    private int put(@Nullable ChainDefect defect, Buffer... buffers) {
        needDescriptors(checked(buffers).length);
        int id = makeAvailable(defect, buffers);
        added.add(id);
        return id;
    }

    /**
     * Tells whether the device wants to be notified of what was added since the last call (virtio 1.2, 2.7.10 and 2.8.10).
     *
     * @return true if it does
     */
    public abstract boolean kickNeeded();

    /**
     * Asks for an interrupt at the next chain that is used (virtio 1.2, 2.7.7 and 2.8.10).
     *
     * @return true if one is used already, for which no interrupt may come
     */
    public abstract boolean enableInterrupts();

    /** Advises the device not to interrupt. */
    public abstract void disableInterrupts();

    /**
     * Takes the next chain that the device has used, and frees its descriptors.
     *
     * @return the chain, or nothing
     * @throws AssertionError if the device used a chain that it did not have, or used chains out of order though
     *     {@link RingFeatures#IN_ORDER} was negotiated
     */
    public final Optional<Used> takeUsed() {
        Optional<Used> used = take();
        if (used.isPresent()) {
            int id = used.get().id();
            if ((features & RingFeatures.IN_ORDER) != 0 && !added.element().equals(id)) {
                throw new AssertionError("the device used chain " + id + " before chain " + added.element()
                        + ", though it is to use them in order (virtio 1.2, 2.7.9 and 2.8.8)");
            }
            added.removeFirstOccurrence(id);
        }
        return used;
    }

    static AssertionError neverAdded(int id) {
        return new AssertionError("the device used chain " + id + ", which it did not have");
    }

    /** Makes a chain available, for which there are descriptors; with one of the defects that concern the ring. */
    abstract int makeAvailable(@Nullable ChainDefect defect, Buffer... buffers);

    /** Returns the index of a table that no chain uses, below the queue's size. */
    abstract int nextTable();

    abstract void putTableEntry(long at, Buffer buffer, int index, boolean last);

    abstract Optional<Used> take();
}
