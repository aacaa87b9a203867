package io.github.jkvm.virtio.rng;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.testkit.virtio.Buffer;
import io.github.jkvm.testkit.virtio.DriverQueue;
import io.github.jkvm.testkit.virtio.VirtioDriver;
import io.github.jkvm.virtio.Guests;
import io.github.jkvm.virtio.RateLimiter;
import io.github.jkvm.virtio.queue.RingFormat;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.EnumSource;

@ParameterizedClass
@EnumSource(RingFormat.class)
final class RngDeviceTest {
    @Parameter
    RingFormat format;

    /** Gives 1, 2, 3 and so on, and remembers how much was asked for. */
    private static final class Counting implements EntropySource {
        private final List<Long> asked = new ArrayList<>();
        private byte next = 1;

        @Override
        public void fill(MemorySegment target) {
            asked.add(target.byteSize());
            for (long i = 0; i < target.byteSize(); i++) {
                target.set(ValueLayout.JAVA_BYTE, i, next++);
            }
        }
    }

    private final Counting source = new Counting();

    private RngDevice device() {
        return new RngDevice("rng0", source, RateLimiter.unlimited());
    }

    @Test
    void isAnEntropyDeviceWithoutConfiguration() {
        RngDevice device = device();

        // Virtio 1.2, 5.4.1 and 5.4.4: id 4, no configuration.
        assertThat(device.deviceId()).isEqualTo(4);
        assertThat(Guests.start(device, format).config(0, 4)).isZero();
    }

    @Test
    void fillsAWholeBuffer() {
        VirtioDriver guest = Guests.start(device(), format);
        Buffer buffer = guest.buffers().writable(5);

        assertThat(guest.request(0, buffer).length()).isEqualTo(5);
        assertThat(guest.buffers().bytes(buffer)).containsExactly(1, 2, 3, 4, 5);
        assertThat(guest.interrupts()).isEqualTo(1);
    }

    @Test
    void fillsAChainOfBuffersAsOneRun() {
        VirtioDriver guest = Guests.start(device(), format);
        Buffer first = guest.buffers().writable(2);
        Buffer second = guest.buffers().writable(3);

        assertThat(guest.request(0, first, second).length()).isEqualTo(5);
        assertThat(guest.buffers().bytes(first)).containsExactly(1, 2);
        assertThat(guest.buffers().bytes(second)).containsExactly(3, 4, 5);
    }

    @Test
    void givesNoRequestMoreThan64KiB() {
        RngDevice device = device();
        VirtioDriver guest = Guests.start(device, format);
        Buffer buffer = guest.buffers().writable(100_000);

        assertThat(guest.request(0, buffer).length()).isEqualTo(RngDevice.MAX_REQUEST);
        byte[] bytes = guest.buffers().bytes(buffer);
        assertThat(Arrays.copyOfRange(bytes, RngDevice.MAX_REQUEST, bytes.length))
                .containsOnly(0);
        assertThat(source.asked).containsExactly((long) RngDevice.MAX_REQUEST);
        assertThat(device.counters()).containsEntry("bytes", (long) RngDevice.MAX_REQUEST);
    }

    @Test
    void writesNoMoreThanThatToBuffersThatOverlap() {
        VirtioDriver guest = Guests.start(device(), format);
        Buffer buffer = guest.buffers().writable(0x4000);
        Buffer[] same = new Buffer[16];
        Arrays.fill(same, buffer);

        assertThat(guest.request(0, same).length()).isEqualTo(RngDevice.MAX_REQUEST);
    }

    @Test
    void givesBackAChainWithoutRoomAtOnce() {
        RngDevice device = device();
        VirtioDriver guest = Guests.start(device, format);

        // Virtio 1.2, 5.4.6.1: a driver must not place readable buffers into the queue. One that does gets nothing.
        assertThat(guest.request(0, guest.buffers().readable((byte) 1)).length())
                .isZero();
        assertThat(device.counters()).containsEntry("emptyRequests", 1L).containsEntry("bytes", 0L);
        assertThat(guest.needsReset()).isFalse();
    }

    @Test
    void leavesBytesToReadAlone() {
        VirtioDriver guest = Guests.start(device(), format);
        Buffer readable = guest.buffers().readable((byte) 77);
        Buffer writable = guest.buffers().writable(2);

        assertThat(guest.request(0, readable, writable).length()).isEqualTo(2);
        assertThat(guest.buffers().bytes(readable)).containsExactly(77);
        assertThat(guest.buffers().bytes(writable)).containsExactly(1, 2);
    }

    @Test
    void holdsRequestsUpUntilTheLimiterLetsThemGo() {
        var clock = new long[1];
        RateLimiter limiter = RateLimiter.builder()
                .clock(() -> clock[0])
                .bytesPerSecond(1000, 100)
                .build();
        RngDevice device = new RngDevice("rng0", source, limiter);
        VirtioDriver guest = Guests.start(device, format);
        DriverQueue queue = guest.queue(0);
        int first = queue.add(guest.buffers().writable(100));
        int second = queue.add(guest.buffers().writable(10));
        guest.kick(0);

        assertThat(guest.await(0, first).length()).isEqualTo(100);
        assertThat(queue.takeUsed()).isEmpty();
        guest.kick(0);
        assertThat(queue.takeUsed()).isEmpty();
        assertThat(guest.loop().timers()).isEqualTo(1);
        assertThat(device.counters()).containsEntry("throttled", 1L);

        clock[0] += Duration.ofMillis(10).toNanos();
        guest.loop().advance(Duration.ofMillis(10));
        assertThat(guest.await(0, second).length()).isEqualTo(10);
    }

    @Test
    void forgetsWhatTheLimiterHoldsUpWhenTheDriverResetsIt() {
        RateLimiter limiter =
                RateLimiter.builder().clock(() -> 0).bytesPerSecond(1000, 100).build();
        VirtioDriver guest = Guests.start(new RngDevice("rng0", source, limiter), format);
        guest.queue(0).add(guest.buffers().writable(100));
        guest.queue(0).add(guest.buffers().writable(100));
        guest.kick(0);
        assertThat(guest.loop().timers()).isEqualTo(1);

        guest.start(guest.offered());
        assertThat(guest.loop().timers()).isZero();
        assertThat(source.asked).containsExactly(100L);
    }

    @Test
    void servesALongQueueInSeveralTurns() {
        VirtioDriver guest = Guests.start(device(), format);
        Buffer buffer = guest.buffers().writable(RngDevice.MAX_REQUEST);
        List<Integer> heads = new ArrayList<>();
        for (int i = 0; i < 40; i++) {
            heads.add(guest.queue(0).add(buffer));
        }
        var turns = new int[1];
        guest.loop().execute(() -> turns[0] = source.asked.size());
        guest.mmio().setRegister(0x050, 0);
        guest.loop().execute(() -> turns[0] = source.asked.size());
        guest.run();

        // 2.5 MiB of 1 MiB a turn: the code given to the loop meanwhile ran in between.
        assertThat(turns[0]).isBetween(1, 39);
        for (int head : heads) {
            assertThat(guest.await(0, head).length()).isEqualTo(RngDevice.MAX_REQUEST);
        }
    }

    @Test
    void isNotifiedOfTheNextRequestAfterItHasServedTheLast() {
        VirtioDriver guest = Guests.start(device(), format);
        for (int i = 0; i < 300; i++) {
            guest.buffers().clear();
            int head = guest.queue(0).add(guest.buffers().writable(3));
            // Virtio 1.2, 2.7.10: a driver notifies only if the device asks for it.
            assertThat(guest.queue(0).kickNeeded()).isTrue();
            guest.kick(0);
            assertThat(guest.await(0, head).length()).isEqualTo(3);
        }
    }

    @Test
    void asksForAResetWhenThereAreNoRandomBytes() {
        RngDevice device = new RngDevice(
                "rng0",
                target -> {
                    throw new IllegalStateException("no entropy");
                },
                RateLimiter.unlimited());
        VirtioDriver guest = Guests.start(device, format);
        guest.queue(0).add(guest.buffers().writable(8));
        guest.kick(0);

        assertThat(guest.needsReset()).isTrue();
        assertThat(guest.queue(0).takeUsed()).isEmpty();
    }

    @Test
    void servesWhatWasHeldUpWhenItWasSavedAfterItIsRestored() {
        RateLimiter never =
                RateLimiter.builder().clock(() -> 0).bytesPerSecond(1, 1).build();
        VirtioDriver guest = Guests.start(new RngDevice("rng0", source, never), format);
        int first = guest.queue(0).add(guest.buffers().writable(1));
        int second = guest.queue(0).add(guest.buffers().writable(4));
        guest.kick(0);
        guest.await(0, first);

        VirtioDriver restored = Guests.restoreInto(guest, device(), guest.save());

        assertThat(restored.await(0, second).length()).isEqualTo(4);
        guest.close();
    }

    @Test
    void givesTheHostsRandomBytes() {
        VirtioDriver guest = Guests.start(new RngDevice("rng0"), format);
        Buffer first = guest.buffers().writable(4096);
        Buffer second = guest.buffers().writable(4096);
        guest.request(0, first);
        guest.request(0, second);

        byte[] bytes = guest.buffers().bytes(first);
        assertThat(bytes).isNotEqualTo(guest.buffers().bytes(second));
        var values = new boolean[256];
        for (byte each : bytes) {
            values[each & 0xFF] = true;
        }
        // A value is missing from 4096 random bytes with a probability of 256 * (255/256)^4096, or 3e-5; several with
        // far less.
        int missing = 0;
        for (boolean value : values) {
            missing += value ? 0 : 1;
        }
        assertThat(missing).isLessThan(3);
    }

    @Test
    void closesWithRequestsHeldUp() {
        RateLimiter limiter =
                RateLimiter.builder().clock(() -> 0).bytesPerSecond(1, 1).build();
        VirtioDriver guest = Guests.start(new RngDevice("rng0", source, limiter), format);
        guest.queue(0).add(guest.buffers().writable(1));
        guest.queue(0).add(guest.buffers().writable(1));
        guest.kick(0);

        guest.close();
        guest.close();

        assertThat(guest.loop().timers()).isZero();
        assertThat(guest.bus().held()).isZero();
    }
}
