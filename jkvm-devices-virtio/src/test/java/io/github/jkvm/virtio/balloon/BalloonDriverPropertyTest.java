package io.github.jkvm.virtio.balloon;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.testkit.virtio.Buffer;
import io.github.jkvm.testkit.virtio.VirtioDriver;
import io.github.jkvm.virtio.Guests;
import io.github.jkvm.virtio.queue.RingFormat;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;

/** Drivers that do anything. */
class BalloonDriverPropertyTest {
    private static final int PAGE = 4096;
    private static final int FIRST = 3000;

    @Property(tries = 200)
    void givesBackExactlyThePagesThatAreNamed(
            @ForAll RingFormat format,
            @ForAll @Size(max = 60) List<@IntRange(min = 0, max = 63) Integer> pages,
            @ForAll @IntRange(min = 1, max = 5) int buffers) {
        var device = new BalloonDevice("balloon0");
        VirtioDriver guest = Guests.start(device, format);
        guest.memory().fill((long) FIRST * PAGE, 64 * PAGE, (byte) 1);
        BitSet named = new BitSet();
        ByteBuffer numbers = ByteBuffer.allocate(pages.size() * 4).order(ByteOrder.LITTLE_ENDIAN);
        for (int page : pages) {
            named.set(page);
            numbers.putInt(FIRST + page);
        }
        guest.request(0, cut(guest, numbers.array(), buffers));
        for (int page = 0; page < 64; page++) {
            byte left = guest.memory().readByte((long) (FIRST + page) * PAGE + 17);
            assertThat(left).as("page %s", page).isEqualTo(named.get(page) ? (byte) 0 : 1);
        }
        assertThat(device.counters().get("bytesDiscarded")).isEqualTo((long) named.cardinality() * PAGE);
        assertThat(device.counters().get("discards"))
                .as("one for each run")
                .isEqualTo(
                        named.stream().filter(i -> i == 0 || !named.get(i - 1)).count());
    }

    /** The numbers cut into buffers anywhere, also inside a number. */
    private static Buffer[] cut(VirtioDriver guest, byte[] bytes, int count) {
        Buffer[] buffers = new Buffer[count];
        for (int i = 0; i < count; i++) {
            int from = bytes.length * i / count;
            int to = bytes.length * (i + 1) / count;
            buffers[i] = guest.buffers().readable(Arrays.copyOfRange(bytes, from, to));
        }
        return buffers;
    }

    @Property(tries = 300)
    void survivesAnyDriver(@ForAll RingFormat format, @ForAll long seed) {
        Random random = new Random(seed);
        var device = new BalloonDevice("balloon0");
        VirtioDriver guest = Guests.start(device, format);
        for (int step = 0; step < 40 && !guest.needsReset(); step++) {
            switch (random.nextInt(8)) {
                case 0 -> guest.setConfig(random.nextInt(24), 1 << random.nextInt(4), random.nextLong());
                case 1 -> device.ask(new CompletableFuture<Optional<MemoryStatistics>>());
                case 2 -> device.setTarget((long) random.nextInt(1 << 20) * PAGE);
                case 3 -> guest.save();
                default -> add(guest, random);
            }
        }
        guest.mmio().setRegister(0x070, 0);
        assertThat(guest.status()).isZero();
        assertThat(device.actual()).isZero();
        // A driver that comes after it finds a device that works.
        guest.start(guest.offered());
        guest.memory().writeByte((long) FIRST * PAGE, (byte) 1);
        ByteBuffer number =
                ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putInt(FIRST);
        guest.request(0, guest.buffers().readable(number.array()));
        assertThat(guest.memory().readByte((long) FIRST * PAGE)).isZero();
    }

    private static void add(VirtioDriver guest, Random random) {
        int queue = random.nextInt(5);
        if (guest.queue(queue).freeDescriptors() < 8) {
            while (guest.queue(queue).takeUsed().isPresent()) {
                // Room for more.
            }
            if (guest.queue(queue).freeDescriptors() < 8) {
                return;
            }
        }
        Buffer[] chain = new Buffer[1 + random.nextInt(6)];
        int readable = random.nextInt(chain.length + 1);
        for (int i = 0; i < chain.length; i++) {
            long length = random.nextInt(random.nextBoolean() ? 64 : 20_000);
            // Now and then outside the memory; rings and tables are left alone, or the test could not go on.
            long address = VirtioDriver.BUFFERS + random.nextLong(VirtioDriver.MEMORY_BYTES - VirtioDriver.BUFFERS);
            if (random.nextInt(50) == 0) {
                address = random.nextLong();
            }
            if (i < readable) {
                fillNumbers(guest, address, length, random);
            }
            chain[i] = i < readable ? Buffer.readable(address, length) : Buffer.writable(address, length);
        }
        guest.queue(queue).add(chain);
        guest.kick(queue);
    }

    /** Page numbers inside the memory, past it, and far away; never those of rings. */
    private static void fillNumbers(VirtioDriver guest, long address, long length, Random random) {
        for (long at = address; at + 4 <= address + length && guest.memory().contains(at, 4); at += 4) {
            int page = random.nextInt(4) == 0 ? random.nextInt() : 512 + random.nextInt(5000);
            guest.memory().writeInt(at, page >= 0 && page < 512 ? page + 512 : page);
        }
    }
}
