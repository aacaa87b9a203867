package io.github.jkvm.virtio.rng;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.testkit.virtio.Buffer;
import io.github.jkvm.testkit.virtio.Used;
import io.github.jkvm.testkit.virtio.VirtioDriver;
import io.github.jkvm.virtio.Guests;
import io.github.jkvm.virtio.RateLimiter;
import io.github.jkvm.virtio.queue.RingFormat;
import java.util.ArrayDeque;
import java.util.List;
import java.util.Queue;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;

final class RngDevicePropertyTest {
    private record Request(int head, long room) {}

    @Property(tries = 200)
    void everyRequestComesBackOnceWithAsMuchAsItHasRoomFor(
            @ForAll RingFormat format,
            @ForAll @Size(min = 1, max = 100) List<@IntRange(min = 0, max = 70_000) Integer> sizes,
            @ForAll @IntRange(min = 1, max = 9) int batch) {
        RngDevice device = new RngDevice("rng0", target -> target.fill((byte) 0x5A), RateLimiter.unlimited());
        VirtioDriver guest = Guests.start(device, format);
        Queue<Request> pending = new ArrayDeque<>();
        long given = 0;
        for (int i = 0; i < sizes.size(); i++) {
            int size = sizes.get(i);
            Buffer readable = guest.buffers().readable((byte) 1);
            Buffer[] chain = size == 0
                    ? new Buffer[] {readable}
                    : i % 2 == 0
                            ? new Buffer[] {guest.buffers().writable(size)}
                            : new Buffer[] {readable, guest.buffers().writable(size)};
            int head = i % 3 == 0
                    ? guest.queue(0).addIndirect(chain)
                    : guest.queue(0).add(chain);
            pending.add(new Request(head, Math.min(size, RngDevice.MAX_REQUEST)));
            given += Math.min((long) size, RngDevice.MAX_REQUEST);
            if (i % batch == batch - 1 || i == sizes.size() - 1) {
                if (guest.queue(0).kickNeeded()) {
                    guest.kick(0);
                }
                while (!pending.isEmpty()) {
                    Request next = pending.remove();
                    Used used = guest.await(0, next.head());
                    assertThat(used.length()).isEqualTo(next.room());
                }
                guest.buffers().clear();
            }
        }
        assertThat(device.counters()).containsEntry("bytes", given).containsEntry("chains", (long) sizes.size());
    }

    @Property(tries = 500)
    void noQueueContentsMakeItThrowOrHang(@ForAll RingFormat format, @ForAll long seed) {
        var random = new Random(seed);
        RngDevice device = new RngDevice("rng0", target -> target.fill((byte) 1), RateLimiter.unlimited());
        VirtioDriver guest = Guests.start(device, format);
        for (int round = 0; round < 20; round++) {
            // The queue's rings are somewhere in the guest's first pages: scribble over them, mostly with small
            // numbers.
            for (int i = 0; i < 200; i++) {
                long address = 0x1_0000L + random.nextInt(0x4000);
                guest.memory().writeByte(address, (byte) (random.nextBoolean() ? random.nextInt(8) : random.nextInt()));
            }
            guest.kick(0);
            if (guest.needsReset() && random.nextBoolean()) {
                guest.start(guest.offered());
            }
        }
        guest.start(guest.offered());
        guest.buffers().clear();
        assertThat(guest.request(0, guest.buffers().writable(9)).length()).isEqualTo(9);
    }
}
