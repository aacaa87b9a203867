package io.github.jkvm.virtio.net;

import io.github.jkvm.EventLoop;
import io.github.jkvm.testkit.virtio.Chain;
import io.github.jkvm.testkit.virtio.Choices;
import io.github.jkvm.testkit.virtio.DeviceFuzz;
import io.github.jkvm.virtio.RateLimiter;
import io.github.jkvm.virtio.VirtioDevice;
import io.github.jkvm.virtio.fuzz.DeviceFuzzTest;
import io.github.jkvm.virtio.fuzz.VirtioFuzz;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.EnumSet;
import java.util.Set;
import java.util.SplittableRandom;
import org.jspecify.annotations.Nullable;

/** Hostile drivers: short headers, huge chains, wrong offloads, bad commands. And a network that is not better. */
class NetDeviceFuzzTest extends DeviceFuzzTest {
    private static final int PAIRS = 2;
    private static final int CONTROL = 2 * PAIRS;

    /** A network that takes frames or not, and has frames of any length and kind. */
    private static final class WildBackend implements NetBackend {
        private final SplittableRandom random = new SplittableRandom(3);
        private final byte[] bytes = new byte[Frame.MAX_SIZE];
        private @Nullable EventLoop loop;
        private @Nullable Events events;

        @Override
        public int maxQueuePairs() {
            return PAIRS;
        }

        @Override
        public Set<Offload> offloads() {
            return EnumSet.allOf(Offload.class);
        }

        @Override
        public LinkState link() {
            return LinkState.UP;
        }

        @Override
        public void start(EventLoop on, Events to) {
            loop = on;
            events = to;
        }

        @Override
        public void guestAccepts(Set<Offload> accepted) {}

        @Override
        public void usePairs(int pairs) {}

        @Override
        public Sent send(int pair, Frame frame) {
            frame.copyTo(0, MemorySegment.ofArray(bytes), 0, frame.size());
            Sent answer = Sent.values()[random.nextInt(3)];
            EventLoop on = loop;
            Events to = events;
            if (answer == Sent.FULL && on != null && to != null) {
                on.execute(() -> to.writable(pair));
            }
            return answer;
        }

        @Override
        public long receive(int pair, Frame room) {
            if (random.nextInt(3) == 0) {
                return 0;
            }
            int size = switch (random.nextInt(4)) {
                case 0 -> random.nextInt(20);
                case 1 -> random.nextInt(Frame.MAX_SIZE);
                default -> random.nextInt(1600);
            };
            room.copyFrom(MemorySegment.ofArray(bytes), 0, 0, Math.min(size, room.size()));
            OffloadHeader header = room.header();
            header.clear();
            if (random.nextBoolean()) {
                header.setChecksum(random.nextInt(100), random.nextInt(20));
            }
            if (random.nextInt(4) == 0) {
                header.setGso(random.nextInt(6) | random.nextInt(2) << 7, random.nextInt(100), random.nextInt(2000));
            }
            return size;
        }

        @Override
        public void stop() {
            loop = null;
            events = null;
        }

        @Override
        public void close() {}
    }

    private static VirtioDevice device() {
        return NetDevice.builder("net0", new WildBackend())
                .queuePairs(PAIRS)
                .mtu(1500)
                .transmitLimit(RateLimiter.builder()
                        .operationsPerSecond(1_000_000, 100)
                        .build())
                .build();
    }

    private static Chain request(Choices choices, int queue) {
        Chain chain = Chain.of();
        if (queue == CONTROL || choices.oneIn(8)) {
            chain = chain.readable((byte) choices.below(7), (byte) choices.below(7));
            chain = chain.readable(commandData(choices));
            chain = chain.writable(1);
        } else if (queue % 2 == 0) {
            int parts = 1 + choices.below(3);
            for (int i = 0; i < parts; i++) {
                chain = chain.writable(choices.oneIn(4) ? choices.below(20) : 1526);
            }
        } else {
            ByteBuffer header = ByteBuffer.allocate(12).order(ByteOrder.LITTLE_ENDIAN);
            if (choices.oneIn(2)) {
                header.put((byte) choices.below(8)).put((byte) (choices.below(6) | choices.below(2) << 7));
                header.putShort((short) choices.below(100)).putShort((short) choices.below(1500));
                header.putShort((short) choices.below(100)).putShort((short) choices.below(20));
            }
            chain = chain.readable(header.array());
            chain = chain.readable(choices.bytes(choices.oneIn(8) ? 70_000 : 1600));
        }
        return chain;
    }

    private static byte[] commandData(Choices choices) {
        if (choices.oneIn(2)) {
            return choices.bytes(16);
        }
        int entries = choices.below(100);
        ByteBuffer tables = ByteBuffer.allocate(8 + 6 * entries).order(ByteOrder.LITTLE_ENDIAN);
        tables.putInt(choices.oneIn(8) ? (int) choices.number() : entries);
        return tables.array();
    }

    @Override
    protected DeviceFuzz fuzz() {
        return VirtioFuzz.of(NetDeviceFuzzTest::device, NetDeviceFuzzTest::request);
    }
}
