package io.github.jkvm.virtio.queue;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.testkit.virtio.DriverQueue;
import io.github.jkvm.testkit.virtio.GuestBuffers;
import io.github.jkvm.testkit.virtio.PackedDriverQueue;
import io.github.jkvm.testkit.virtio.QueueAreas;
import io.github.jkvm.testkit.virtio.RingFeatures;
import io.github.jkvm.testkit.virtio.SplitDriverQueue;
import java.util.Collections;
import java.util.EnumSet;
import java.util.Set;

/** Joins a queue under test to the driver's side of it: memory, a layout, and the testkit's driver in this module's own words. */
final class TestQueue {
    /** Size of {@link #memory}: one region of so many bytes at address 0. */
    static final long MEMORY_BYTES = 0x4_0000;

    /** Where {@link #buffers} begin; a queue of {@link #layout} is below. */
    static final long BUFFERS = 0x1_0000;

    /** Where indirect tables are made, and buffers end. */
    private static final long TABLES = 0x3_0000;

    private static final long BASE = 0x1000;

    private TestQueue() {}

    /** Returns zeroed memory for a test. */
    static GuestMemory memory() {
        return GuestMemory.of(MemoryRegion.onHeap(GuestAddress.ZERO, MEMORY_BYTES));
    }

    /** Hands out the 128 KiB of {@link #memory} that rings and indirect tables leave. */
    static GuestBuffers buffers(GuestMemory memory) {
        return new GuestBuffers(memory, BUFFERS, TABLES - BUFFERS);
    }

    /** Returns a layout of up to 256 descriptors below {@link #BUFFERS}, for either format. */
    static QueueLayout layout(int size) {
        QueueAreas areas = QueueAreas.at(BASE, size);
        return new QueueLayout(areas.size(), areas.descriptors(), areas.driver(), areas.device());
    }

    /** Returns what is negotiated for queues of a format, with more besides. */
    static Set<QueueFeature> features(RingFormat format, QueueFeature... more) {
        Set<QueueFeature> features = EnumSet.noneOf(QueueFeature.class);
        Collections.addAll(features, more);
        if (format == RingFormat.PACKED) {
            features.add(QueueFeature.PACKED_RING);
        }
        return features;
    }

    /** Returns a driver of a queue that was never used. */
    static DriverQueue of(RingFormat format, GuestMemory memory, QueueLayout layout, Set<QueueFeature> features) {
        return switch (format) {
            case SPLIT -> split(memory, layout, features);
            case PACKED -> packed(memory, layout, features);
        };
    }

    static SplitDriverQueue split(GuestMemory memory, QueueLayout layout, Set<QueueFeature> features) {
        return (SplitDriverQueue) driver(memory, layout, bits(features) & ~RingFeatures.RING_PACKED);
    }

    static PackedDriverQueue packed(GuestMemory memory, QueueLayout layout, Set<QueueFeature> features) {
        return (PackedDriverQueue) driver(memory, layout, bits(features) | RingFeatures.RING_PACKED);
    }

    private static DriverQueue driver(GuestMemory memory, QueueLayout layout, long features) {
        var areas = new QueueAreas(layout.size(), layout.descriptors(), layout.driver(), layout.device());
        return DriverQueue.of(memory, areas, features).indirectTablesAt(TABLES);
    }

    /** The numbers of the bits are those of this module; the driver has its own. */
    private static long bits(Set<QueueFeature> features) {
        return features.stream().mapToLong(each -> 1L << each.bit()).sum();
    }
}
