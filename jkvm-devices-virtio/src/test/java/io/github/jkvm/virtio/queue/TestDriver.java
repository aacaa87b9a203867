package io.github.jkvm.virtio.queue;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.MemoryRegion;
import java.util.ArrayDeque;
import java.util.Collections;
import java.util.Deque;
import java.util.EnumSet;
import java.util.Optional;
import java.util.Set;

/**
 * The driver's side of a queue of either format: what a guest's kernel does.
 *
 * <p>A device's test makes memory, a queue's layout and a driver, tells the device of the layout as a transport does, and then talks to
 * it through chains; {@link TestBuffers} fills them:
 *
 * <pre>{@code
 * GuestMemory memory = TestDriver.memory();
 * QueueLayout layout = TestDriver.layout(16);
 * Set<QueueFeature> features = TestDriver.features(format, QueueFeature.EVENT_INDEX);
 * TestDriver driver = TestDriver.of(format, memory, layout, features);
 * TestBuffers buffers = TestBuffers.in(memory);
 * // ... activate the device's queue with the layout and the features ...
 * Buffer answer = buffers.writable(8);
 * driver.add(buffers.readable(1, 2, 3), answer);
 * if (driver.kickNeeded()) {
 *     // ... notify the device ...
 * }
 * Used used = driver.takeUsed().orElseThrow();
 * assertThat(used.length()).isEqualTo(8);
 * assertThat(buffers.bytes(answer)).containsExactly(...);
 * }</pre>
 *
 * <p>A test of several queues gives each its own {@link #layout(long, int)} and {@link #tablesAt}. Tests run for both formats with
 * {@code @ParameterizedClass @EnumSource(RingFormat.class)}, and properties with {@code @ForAll RingFormat}.
 *
 * <p>A device that completes what it did not have, or out of order though {@link QueueFeature#IN_ORDER} was negotiated, is an {@link
 * AssertionError} of {@link #takeUsed}.
 */
public abstract sealed class TestDriver permits SplitTestDriver, PackedTestDriver {
    static final int NEXT = 1;
    static final int WRITE = 2;
    static final int INDIRECT = 4;

    /** Size of {@link #memory}: one region of so many bytes at address 0. */
    public static final long MEMORY_BYTES = 0x4_0000;

    /** Where {@link TestBuffers} begin; a queue of {@link #layout(int)} is below. */
    public static final long BUFFERS = 0x1_0000;

    /** Where indirect tables are made, and buffers end. */
    static final long TABLES = 0x3_0000;

    /** An indirect table has room for 16 descriptors. */
    private static final int TABLE_BYTES = 16 * 16;

    /** One element of a chain. */
    public record Buffer(long address, long length, int flags) {
        public static Buffer readable(long address, long length) {
            return new Buffer(address, length, 0);
        }

        public static Buffer writable(long address, long length) {
            return new Buffer(address, length, WRITE);
        }
    }

    /** A chain that came back: what {@link #add} returned for it, and how many bytes the device says it wrote. */
    public record Used(int head, long length) {}

    final GuestMemory memory;
    final QueueLayout layout;
    final boolean eventIndex;
    private final boolean inOrder;
    private final Deque<Integer> added = new ArrayDeque<>();
    private long tables = TABLES;

    TestDriver(GuestMemory memory, QueueLayout layout, Set<QueueFeature> features) {
        this.memory = memory;
        this.layout = layout;
        this.eventIndex = features.contains(QueueFeature.EVENT_INDEX);
        this.inOrder = features.contains(QueueFeature.IN_ORDER);
    }

    /** Returns a driver of a queue that was never used. */
    public static TestDriver of(RingFormat format, GuestMemory memory, QueueLayout layout, Set<QueueFeature> features) {
        return switch (format) {
            case SPLIT -> new SplitTestDriver(memory, layout, features);
            case PACKED -> new PackedTestDriver(memory, layout, features);
        };
    }

    /** Returns what is negotiated for queues of a format, with more besides. */
    public static Set<QueueFeature> features(RingFormat format, QueueFeature... more) {
        Set<QueueFeature> features = EnumSet.noneOf(QueueFeature.class);
        Collections.addAll(features, more);
        if (format == RingFormat.PACKED) {
            features.add(QueueFeature.PACKED_RING);
        }
        return features;
    }

    /** Returns zeroed memory for a test. */
    public static GuestMemory memory() {
        return GuestMemory.of(MemoryRegion.onHeap(GuestAddress.ZERO, MEMORY_BYTES));
    }

    /** Returns a layout of up to 256 descriptors below {@link #BUFFERS}, for either format. */
    public static QueueLayout layout(int size) {
        return layout(0x1000, size);
    }

    /** Returns a layout of up to 256 descriptors in the 0x4000 bytes from an address on, for either format. */
    public static QueueLayout layout(long base, int size) {
        return new QueueLayout(size, base, base + 0x2000, base + 0x3000);
    }

    /** Says where indirect tables are made, of 256 bytes each and one for each descriptor; {@code 0x3_0000} otherwise. */
    public TestDriver tablesAt(long address) {
        tables = address;
        return this;
    }

    /** Acts as if the queue had been in use for long, up to a {@link Rings#position}. */
    abstract void startAt(int position);

    /** Returns how many descriptors of the ring no chain has. */
    public abstract int freeDescriptors();

    /** Makes a chain available, one descriptor a buffer; there must be descriptors for it. Returns what names it. */
    public final int add(Buffer... buffers) {
        int head = put(buffers);
        added.add(head);
        return head;
    }

    /** Makes a chain of up to 16 buffers available through an indirect table, which takes one descriptor. Returns what names it. */
    public final int addIndirect(Buffer... buffers) {
        int index = nextTable();
        long table = tables + (long) index * TABLE_BYTES;
        for (int i = 0; i < buffers.length; i++) {
            putTableEntry(table + 16L * i, buffers[i], i, i == buffers.length - 1);
        }
        return add(new Buffer(table, 16L * buffers.length, INDIRECT));
    }

    /** Tells whether the device wants to be notified of what was added since the last call. */
    public abstract boolean kickNeeded();

    /** Asks for an interrupt at the next completion; true if there is one already. */
    public abstract boolean enableInterrupts();

    /** Advises the device not to interrupt. */
    public abstract void disableInterrupts();

    /** Takes the next chain that came back, and frees its descriptors. */
    public final Optional<Used> takeUsed() {
        Optional<Used> used = take();
        if (used.isPresent()) {
            int head = used.get().head();
            if (inOrder && !added.element().equals(head)) {
                throw new AssertionError("the device completed chain " + head + " before chain " + added.element());
            }
            added.removeFirstOccurrence(head);
        }
        return used;
    }

    /** Returns how many chains did not come back. */
    public final int chainsInFlight() {
        return added.size();
    }

    abstract int put(Buffer... buffers);

    /** Returns the index of a table that no chain uses, below the queue's size. */
    abstract int nextTable();

    abstract void putTableEntry(long at, Buffer buffer, int index, boolean last);

    abstract Optional<Used> take();
}
