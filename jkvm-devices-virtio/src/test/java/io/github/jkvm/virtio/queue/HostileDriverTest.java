package io.github.jkvm.virtio.queue;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.GuestMemory;
import io.github.jkvm.testkit.virtio.Buffer;
import io.github.jkvm.testkit.virtio.PackedDriverQueue;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Random;
import java.util.Set;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.From;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;

/** A driver that writes anything anywhere, at any moment, gets a stopped queue at worst. */
class HostileDriverTest {
    private static final int SIZE = 16;
    private static final QueueLayout LAYOUT = TestQueue.layout(SIZE);

    /** A number that the driver writes over part of a descriptor or a ring. */
    record Mutation(int place, long value) {}

    @Provide
    Arbitrary<List<Mutation>> mutations() {
        Arbitrary<Long> values = Arbitraries.oneOf(
                Arbitraries.longs(),
                Arbitraries.longs().between(0, SIZE + 1),
                Arbitraries.longs().between(0, TestQueue.MEMORY_BYTES + 16),
                Arbitraries.of(-1L, -16L, 16L, 32L, 0xFFFFL, 0xFFFF_FFFFL, TestQueue.BUFFERS, LAYOUT.descriptors()));
        return Combinators.combine(Arbitraries.integers().between(0, 1 << 16), values)
                .as(Mutation::new)
                .list()
                .ofMaxSize(24);
    }

    private static void apply(RingFormat format, GuestMemory memory, Mutation mutation) {
        int index = mutation.place() / 8 % SIZE;
        long descriptor = LAYOUT.descriptor(index);
        switch (mutation.place() % 8) {
            case 0 -> memory.writeLong(descriptor, mutation.value());
            case 1 -> memory.writeInt(descriptor + 8, (int) mutation.value());
            case 2 -> memory.writeShort(descriptor + 12, (short) (mutation.value() & 7));
            case 3 -> memory.writeShort(descriptor + 14, (short) mutation.value());
            case 4 -> {
                if (format == RingFormat.SPLIT) {
                    memory.writeShort(LAYOUT.availableEntry(index), (short) mutation.value());
                } else {
                    // Flags that are available in one of two laps.
                    long lap = (mutation.value() & 8) != 0 ? PackedDriverQueue.AVAILABLE : PackedDriverQueue.USED;
                    memory.writeShort(descriptor + 14, (short) (lap | (mutation.value() & 7)));
                }
            }
            case 5 -> {
                long at = format == RingFormat.SPLIT ? LAYOUT.availableIndex() : LAYOUT.driver();
                memory.writeShort(at, (short) mutation.value());
            }
            case 6 -> {
                long at = format == RingFormat.SPLIT ? LAYOUT.usedEvent() : LAYOUT.driver() + 2;
                memory.writeShort(at, (short) mutation.value());
            }
            default -> memory.writeLong(TestQueue.BUFFERS + 8L * index, mutation.value());
        }
    }

    /** Drains the queue as a device does; returns how many chains there were. */
    private static int serve(VirtQueue queue, Deque<DescriptorChain> held, int keep) {
        MemorySegment bytes = MemorySegment.ofArray(new byte[64]);
        int popped = 0;
        var chain = new DescriptorChain();
        while (queue.pop(chain) == PopResult.CHAIN) {
            popped++;
            // More would be a device that one guest keeps busy for ever.
            assertThat(popped).isLessThanOrEqualTo(SIZE);
            assertThat(chain.capacity()).isLessThanOrEqualTo(SIZE);
            assertThat(chain.readableBytes() + chain.writableBytes()).isLessThanOrEqualTo(0xFFFF_FFFFL);
            chain.reader().read(bytes);
            chain.reader().segments(Long.MAX_VALUE);
            chain.writer().write(bytes);
            chain.writer().segments(Long.MAX_VALUE);
            chain.writer().writeAhead(Math.max(0, chain.writer().remaining() - 1), (byte) 0);
            held.add(chain);
            chain = new DescriptorChain();
        }
        while (held.size() > keep) {
            DescriptorChain done = held.removeFirst();
            queue.complete(done, done.writer().position());
        }
        queue.interruptNeeded();
        queue.disableNotifications();
        queue.enableNotifications();
        return popped;
    }

    @Property(tries = 10_000)
    void neverThrowsOrGoesOnWithoutEnd(
            @ForAll RingFormat format,
            @ForAll Set<QueueFeature> more,
            @ForAll long seed,
            @ForAll @IntRange(max = SIZE) int keep,
            @ForAll @Size(max = 6) List<@From("mutations") List<Mutation>> rounds) {
        GuestMemory memory = TestQueue.memory();
        Set<QueueFeature> features = TestQueue.features(format, more.toArray(QueueFeature[]::new));
        RingFormat rings = RingFormat.of(features);
        var queue = new VirtQueue(memory, SIZE);
        queue.activate(LAYOUT, features);
        fillWithPlausibleChains(rings, memory, new Random(seed));
        Deque<DescriptorChain> held = new ArrayDeque<>();
        serve(queue, held, keep);
        for (List<Mutation> round : rounds) {
            round.forEach(mutation -> apply(rings, memory, mutation));
            serve(queue, held, keep);
        }
        assertThat(queue.fault().isPresent()).isNotEqualTo(queue.isActive());
    }

    @Property(tries = 2000)
    void survivesNoise(@ForAll RingFormat format, @ForAll long seed) {
        GuestMemory memory = TestQueue.memory();
        byte[] noise = new byte[0x4000];
        var random = new Random(seed);
        random.nextBytes(noise);
        var queue = new VirtQueue(memory, SIZE);
        queue.activate(LAYOUT, TestQueue.features(format, QueueFeature.INDIRECT_DESCRIPTORS, QueueFeature.EVENT_INDEX));
        memory.write(LAYOUT.descriptors(), noise);
        // One in two starts with an index that lets the descriptors be looked at.
        if (format == RingFormat.SPLIT && random.nextBoolean()) {
            memory.writeShort(LAYOUT.availableIndex(), (short) 1);
            memory.writeShort(LAYOUT.availableEntry(0), (short) random.nextInt(SIZE));
        }
        serve(queue, new ArrayDeque<>(), 0);
    }

    /** Chains of several shapes, direct and indirect, so that mutations meet every check. */
    private static void fillWithPlausibleChains(RingFormat format, GuestMemory memory, Random random) {
        for (int table = 0; table < 4; table++) {
            for (int i = 0; i < 4; i++) {
                descriptor(
                        memory,
                        TestQueue.BUFFERS + 64L * table + 16L * i,
                        TestQueue.BUFFERS + 0x100L * i,
                        random.nextInt(0x100),
                        (i < 2 ? 0 : Buffer.WRITE) | (i < 3 ? Buffer.NEXT : 0),
                        i + 1);
            }
        }
        for (int i = 0; i < SIZE; i++) {
            long address = TestQueue.BUFFERS + random.nextInt(0x1000);
            int length = random.nextInt(0x100);
            int flags = random.nextBoolean() ? Buffer.NEXT : random.nextInt(2) * Buffer.WRITE;
            if (random.nextInt(4) == 0) {
                address = TestQueue.BUFFERS + 64L * random.nextInt(4);
                length = 64;
                flags = Buffer.INDIRECT;
            }
            if (format == RingFormat.SPLIT) {
                descriptor(memory, LAYOUT.descriptor(i), address, length, flags, random.nextInt(SIZE));
            } else {
                // A buffer id where a next was, and the flags behind it.
                descriptor(memory, LAYOUT.descriptor(i), address, length, i, flags | PackedDriverQueue.AVAILABLE);
            }
        }
        int count = random.nextInt(SIZE + 1);
        if (format == RingFormat.SPLIT) {
            for (int i = 0; i < count; i++) {
                memory.writeShort(LAYOUT.availableEntry(i), (short) i);
            }
            memory.writeShort(LAYOUT.availableIndex(), (short) count);
        } else if (count < SIZE) {
            memory.writeShort(LAYOUT.descriptor(count) + 14, (short) 0);
        }
    }

    private static void descriptor(GuestMemory memory, long at, long address, int length, int third, int fourth) {
        memory.writeLong(at, address);
        memory.writeInt(at + 8, length);
        memory.writeShort(at + 12, (short) third);
        memory.writeShort(at + 14, (short) fourth);
    }
}
