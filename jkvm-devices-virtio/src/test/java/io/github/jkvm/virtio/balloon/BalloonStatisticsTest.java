package io.github.jkvm.virtio.balloon;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.testkit.virtio.Buffer;
import io.github.jkvm.testkit.virtio.VirtioDriver;
import io.github.jkvm.virtio.Guests;
import io.github.jkvm.virtio.balloon.MemoryStatistics.Kind;
import io.github.jkvm.virtio.queue.RingFormat;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Statistics of the guest's memory: virtio 1.2, 5.5.6.3. */
class BalloonStatisticsTest {
    private static final int STATISTICS = 2;
    private static final Duration LONG = Duration.ofSeconds(20);

    private final BalloonDevice device = new BalloonDevice("balloon0");

    private static Buffer statistics(VirtioDriver guest, long... tagsAndValues) {
        ByteBuffer bytes = ByteBuffer.allocate(tagsAndValues.length / 2 * 10).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < tagsAndValues.length; i += 2) {
            bytes.putShort((short) tagsAndValues[i]).putLong(tagsAndValues[i + 1]);
        }
        return guest.buffers().readable(bytes.array());
    }

    private static void offer(VirtioDriver guest, Buffer... buffers) {
        guest.queue(STATISTICS).add(buffers);
        guest.kick(STATISTICS);
    }

    private static CompletableFuture<Optional<MemoryStatistics>> ask(BalloonDevice balloon, Duration timeout) {
        return CompletableFuture.supplyAsync(() -> {
            try {
                return balloon.statistics(timeout);
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
        });
    }

    private static boolean bufferIsBack(VirtioDriver guest) {
        return guest.queue(STATISTICS).takeUsed().isPresent();
    }

    /** "The device uses the buffer and sends a used buffer notification. The driver pops the used buffer [...] and writes them into a new buffer." */
    @ParameterizedTest
    @EnumSource
    void asksTheDriverForNewNumbers(RingFormat format) throws Exception {
        VirtioDriver guest = Guests.start(device, format);
        offer(guest, statistics(guest, 4, 1000));
        assertThat(bufferIsBack(guest)).as("nobody has asked").isFalse();

        var answer = ask(device, LONG);
        guest.loop().runUntil(() -> bufferIsBack(guest));
        assertThat(guest.interrupts()).isEqualTo(1);
        assertThat(answer).isNotDone();
        offer(guest, statistics(guest, 5, 4096, 4, 2000, 0xFFF0, 7, 2, -1));
        guest.loop().runUntil(answer::isDone);
        MemoryStatistics told = answer.get().orElseThrow();
        assertThat(told.values()).isEqualTo(Map.of(5, 4096L, 4, 2000L, 0xFFF0, 7L, 2, -1L));
        assertThat(told.get(Kind.FREE)).hasValue(2000);
        assertThat(told.get(Kind.TOTAL)).hasValue(4096);
        assertThat(told.get(Kind.SWAP_IN)).isEmpty();

        var again = ask(device, LONG);
        guest.loop().runUntil(() -> bufferIsBack(guest));
        offer(guest, statistics(guest, 4, 3000));
        guest.loop().runUntil(again::isDone);
        assertThat(again.get().orElseThrow().get(Kind.FREE)).hasValue(3000);
        assertThat(device.counters()).containsEntry("statisticsReceived", 2L);
    }

    @Test
    void numbersOfKindsAreThoseOfTheSpecification() {
        assertThat(Kind.SWAP_IN.tag()).isZero();
        assertThat(Kind.FREE.tag()).isEqualTo(4);
        assertThat(Kind.CACHES.tag()).isEqualTo(7);
        assertThat(Kind.HUGE_PAGE_FAILURES.tag()).isEqualTo(9);
        assertThat(Kind.DIRECT_RECLAIMS.tag()).isEqualTo(15);
    }

    /** Asks on the loop's thread, which the test's is. */
    private CompletableFuture<Optional<MemoryStatistics>> askNow() {
        var answer = new CompletableFuture<Optional<MemoryStatistics>>();
        device.ask(answer);
        return answer;
    }

    @Test
    void answersAllWhoAskMeanwhile() throws Exception {
        VirtioDriver guest = Guests.start(device, RingFormat.SPLIT);
        offer(guest, statistics(guest, 4, 1));
        var first = askNow();
        var second = askNow();
        assertThat(bufferIsBack(guest)).isTrue();
        offer(guest, statistics(guest, 4, 2));
        assertThat(first.get().orElseThrow().get(Kind.FREE)).hasValue(2);
        assertThat(second.get()).isEqualTo(first.get());
        assertThat(bufferIsBack(guest)).isFalse();
    }

    @Test
    void waitsForADriverThatHasNotLeftABufferYet() throws Exception {
        VirtioDriver guest = Guests.start(device, RingFormat.SPLIT);
        var answer = askNow();
        offer(guest, statistics(guest, 4, 1));
        assertThat(answer).isNotDone();
        assertThat(bufferIsBack(guest)).isTrue();
        offer(guest, statistics(guest, 4, 2));
        assertThat(answer.get().orElseThrow().get(Kind.FREE)).hasValue(2);
    }

    @Test
    void hasNoAnswerWithoutADriverThatTellsThem() throws Exception {
        VirtioDriver guest = Guests.attach(device);
        var noDriver = ask(device, LONG);
        guest.loop().runUntil(noDriver::isDone);
        assertThat(noDriver.get()).isEmpty();

        var other = new BalloonDevice("balloon1");
        VirtioDriver plain = Guests.start(other, RingFormat.SPLIT, 0);
        var notAgreedOn = ask(other, LONG);
        plain.loop().runUntil(notAgreedOn::isDone);
        assertThat(notAgreedOn.get()).isEmpty();
    }

    @Test
    void doesNotWaitForADriverForEver() throws Exception {
        VirtioDriver guest = Guests.start(device, RingFormat.SPLIT);
        offer(guest, statistics(guest, 4, 1));
        var answer = ask(device, Duration.ofMillis(20));
        guest.loop().runUntil(answer::isDone);
        assertThat(answer.get()).isEmpty();
    }

    @Test
    void endsWaitingWhenTheDriverGoesAway() throws Exception {
        VirtioDriver guest = Guests.start(device, RingFormat.SPLIT);
        offer(guest, statistics(guest, 4, 1));
        var answer = ask(device, LONG);
        guest.loop().runUntil(() -> bufferIsBack(guest));
        guest.mmio().setRegister(0x070, 0);
        guest.loop().runUntil(answer::isDone);
        assertThat(answer.get()).isEmpty();
    }

    @Test
    void ignoresWhatIsNoWholeEntry() throws Exception {
        VirtioDriver guest = Guests.start(device, RingFormat.SPLIT);
        offer(guest, statistics(guest, 4, 1));
        var answer = ask(device, LONG);
        guest.loop().runUntil(() -> bufferIsBack(guest));
        offer(guest, statistics(guest, 4, 2), guest.buffers().readable(new byte[9]));
        guest.loop().runUntil(answer::isDone);
        assertThat(answer.get().orElseThrow().values()).containsOnlyKeys(4);
    }

    /** "The driver MUST make at most one buffer available to the device in the statsq, at all times." */
    @Test
    void givesBackWhatIsMoreThanOneBuffer() {
        VirtioDriver guest = Guests.start(device, RingFormat.SPLIT);
        for (int i = 0; i < 20; i++) {
            guest.queue(STATISTICS).add(statistics(guest, 4, i));
        }
        guest.kick(STATISTICS);
        int back = 0;
        while (bufferIsBack(guest)) {
            back++;
        }
        assertThat(back).isEqualTo(19);
        assertThat(guest.needsReset()).isFalse();
    }

    @ParameterizedTest
    @EnumSource
    void findsTheBufferAgainAfterASave(RingFormat format) throws Exception {
        VirtioDriver guest = Guests.start(device, format);
        offer(guest, statistics(guest, 4, 1));
        guest.save();
        var answer = askNow();
        assertThat(bufferIsBack(guest)).isTrue();
        offer(guest, statistics(guest, 4, 2));
        assertThat(answer.get().orElseThrow().get(Kind.FREE)).hasValue(2);
    }

    @ParameterizedTest
    @EnumSource
    void findsTheBufferAgainAfterARestore(RingFormat format) throws Exception {
        VirtioDriver guest = Guests.start(device, format);
        offer(guest, statistics(guest, 4, 1));
        var other = new BalloonDevice("balloon0");
        VirtioDriver restored = Guests.restoreInto(guest, other, guest.save());
        var answer = ask(other, LONG);
        restored.loop().runUntil(() -> bufferIsBack(restored));
        offer(restored, statistics(restored, 4, 2));
        restored.loop().runUntil(answer::isDone);
        assertThat(answer.get().orElseThrow().get(Kind.FREE)).hasValue(2);
    }
}
