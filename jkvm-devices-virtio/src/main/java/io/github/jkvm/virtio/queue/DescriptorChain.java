package io.github.jkvm.virtio.queue;

import io.github.jkvm.GuestMemory;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * One request of the driver: buffers for the device to read, then buffers for it to write.
 *
 * <p>Made once and popped into many times; it grows to the longest chain it met and then allocates nothing. How the buffers are cut is not
 * shown, since a device may not depend on it (virtio 1.2, 2.7.4.1): a {@link ChainReader} reads the readable bytes and a
 * {@link ChainWriter} writes the writable ones, each as one run.
 *
 * <p>Belongs to one thread at a time, as its queue does.
 */
public final class DescriptorChain {
    private static final int INITIAL_CAPACITY = 16;

    private long[] addresses = new long[INITIAL_CAPACITY];
    private long[] lengths = new long[INITIAL_CAPACITY];
    private int readableCount;
    private int count;
    private int head;
    private int slots;
    private long readableBytes;
    private long writableBytes;
    private boolean writablePart;
    private GuestMemory memory = new GuestMemory();
    private @Nullable VirtQueue queue;
    private long era;
    private long number;
    private final ChainReader reader = new ChainReader(new ChainCursor(this));
    private final ChainWriter writer = new ChainWriter(new ChainCursor(this));

    /** Creates an empty chain, to be popped into. */
    public DescriptorChain() {}

    /**
     * Returns what names the chain while it is in flight: the index of the first descriptor in a split queue, the buffer id in a
     * packed one.
     *
     * @return the name, 0 to 65535
     */
    public int head() {
        return head;
    }

    /**
     * Returns how much there is to read.
     *
     * @return the total length of the readable buffers in bytes, below 2<sup>32</sup>
     */
    public long readableBytes() {
        return readableBytes;
    }

    /**
     * Returns how much there is room to write.
     *
     * @return the total length of the writable buffers in bytes, below 2<sup>32</sup>
     */
    public long writableBytes() {
        return writableBytes;
    }

    /**
     * Returns the chain's reader, at the first byte after a pop.
     *
     * @return always the same one
     */
    public ChainReader reader() {
        return reader;
    }

    /**
     * Returns the chain's writer, at the first byte after a pop.
     *
     * @return always the same one
     */
    public ChainWriter writer() {
        return writer;
    }

    /** Forgets the buffers; reader and writer have nothing left. */
    void begin(GuestMemory of, int first) {
        memory = of;
        head = first;
        slots = 1;
        readableCount = 0;
        count = 0;
        readableBytes = 0;
        writableBytes = 0;
        writablePart = false;
        queue = null;
        reader.cursor().begin(0, 0);
        writer.cursor().begin(0, 0);
    }

    void add(long address, long length, boolean writable) {
        writablePart |= writable;
        if (length == 0) {
            // Nothing to transfer: peers accept such descriptors, and Linux drivers have made them.
            return;
        }
        if (count == addresses.length) {
            addresses = Arrays.copyOf(addresses, count * 2);
            lengths = Arrays.copyOf(lengths, count * 2);
        }
        addresses[count] = address;
        lengths[count] = length;
        count++;
        if (writable) {
            writableBytes += length;
        } else {
            readableCount = count;
            readableBytes += length;
        }
    }

    /** Says what the chain is called, and by how much it moves the rings on. */
    void name(int id, int slotCount) {
        head = id;
        slots = slotCount;
    }

    /** Gives a walked chain to the queue it came from, as the one of a number. */
    void finish(VirtQueue owner, long ownerEra, long ownerNumber) {
        queue = owner;
        era = ownerEra;
        number = ownerNumber;
        reader.cursor().begin(0, readableBytes);
        writer.cursor().begin(readableCount, writableBytes);
    }

    /** Returns by how much the chain moves the rings on. */
    int slots() {
        return slots;
    }

    boolean hasWritablePart() {
        return writablePart;
    }

    @Nullable
    VirtQueue queue() {
        return queue;
    }

    long era() {
        return era;
    }

    long number() {
        return number;
    }

    GuestMemory memory() {
        return memory;
    }

    long address(int part) {
        return addresses[part];
    }

    long length(int part) {
        return lengths[part];
    }

    int capacity() {
        return addresses.length;
    }

    /** Returns the head and the lengths. */
    @Override
    public String toString() {
        return "chain " + head + " (" + readableBytes + " bytes to read, " + writableBytes + " to write)";
    }
}
