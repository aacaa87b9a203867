package io.github.jkvm.virtio.queue;

import static io.github.jkvm.testkit.virtio.Buffer.writable;
import static io.github.jkvm.virtio.queue.TestQueue.BUFFERS;
import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.GuestMemory;
import io.github.jkvm.testkit.virtio.DriverQueue;
import java.util.Set;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.random.RandomGenerator;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The moment in which a queue goes from busy to idle, on two processors at once: each side writes what it has, then reads what the other one
 * wants. Without a full barrier between the two on both sides, processors let the read go first, and each misses the other (virtio 1.2,
 * 2.7.7.2, 2.7.13.4.1, 2.8.21.3.1). The two threads meet before each try and start a few nanoseconds apart, a different number each time.
 *
 * <p>It takes two free processors to fail: there, without the barriers of {@link VirtQueue}, about one try in 50,000 does. On a host that has not got them, where
 * each meeting takes a change of threads, there are fewer tries.
 */
class NotificationFenceTest {
    private static final int TRIES = 100_000;
    private static final long PATIENCE_SECONDS = 120;
    private static final int LONGEST_DELAY = 48;
    private static final long LONGEST_NANOS = TimeUnit.SECONDS.toNanos(15);

    private final GuestMemory memory = TestQueue.memory();
    private final QueueLayout layout = TestQueue.layout(4);
    private final VirtQueue queue = new VirtQueue(memory, 4);
    private final DescriptorChain chain = new DescriptorChain();
    private final Meeting meeting = new Meeting();

    /** What the device's thread found in this try; the meeting after it makes it known. */
    private boolean deviceKnows;

    /** There are no more tries; the next meeting makes it known. */
    private boolean over;

    private final long started = System.nanoTime();

    @ParameterizedTest
    @CsvSource({"SPLIT, flags", "SPLIT, event index", "PACKED, flags", "PACKED, event index"})
    void aChainIsSeenOrNotified(RingFormat format, String suppression) throws Exception {
        DriverQueue driver = activate(format, suppression);
        var device = start(() -> deviceKnows = queue.enableNotifications());
        var random = RandomGenerator.getDefault();

        for (int i = 0; isTimeFor(i); i++) {
            // Pops until there is nothing, so that the ring's index is one that the device has read already.
            assertThat(queue.pop(chain)).isEqualTo(PopResult.EMPTY);
            queue.disableNotifications();
            meeting.first();
            delay(random.nextInt(LONGEST_DELAY));
            driver.add(writable(BUFFERS, 4));
            boolean kick = driver.kickNeeded();
            meeting.first();

            assertThat(kick || deviceKnows).as("chain %s is noticed", i).isTrue();
            assertThat(queue.pop(chain)).isEqualTo(PopResult.CHAIN);
            queue.complete(chain, 4);
            assertThat(driver.takeUsed()).isPresent();
        }
        end(device);
    }

    @ParameterizedTest
    @CsvSource({"SPLIT, flags", "SPLIT, event index", "PACKED, flags", "PACKED, event index"})
    void aCompletionIsSeenOrInterrupts(RingFormat format, String suppression) throws Exception {
        DriverQueue driver = activate(format, suppression);
        var device = start(() -> {
            queue.complete(chain, 4);
            deviceKnows = queue.interruptNeeded();
        });
        var random = RandomGenerator.getDefault();

        for (int i = 0; isTimeFor(i); i++) {
            driver.disableInterrupts();
            driver.add(writable(BUFFERS, 4));
            assertThat(queue.pop(chain)).isEqualTo(PopResult.CHAIN);
            assertThat(driver.takeUsed()).isEmpty();
            meeting.first();
            delay(random.nextInt(LONGEST_DELAY));
            boolean seen = driver.enableInterrupts();
            meeting.first();

            assertThat(seen || deviceKnows).as("completion %s is noticed", i).isTrue();
            assertThat(driver.takeUsed()).isPresent();
        }
        end(device);
    }

    private DriverQueue activate(RingFormat format, String suppression) {
        Set<QueueFeature> features = suppression.equals("flags")
                ? TestQueue.features(format)
                : TestQueue.features(format, QueueFeature.EVENT_INDEX);
        assertThat(queue.activate(layout, features)).isEmpty();
        return TestQueue.of(format, memory, layout, features);
    }

    /** Does this on a thread of its own, once between each two meetings. */
    private FutureTask<Void> start(Runnable step) {
        var task = new FutureTask<Void>(
                () -> {
                    var random = RandomGenerator.getDefault();
                    while (true) {
                        meeting.second();
                        if (over) {
                            return;
                        }
                        delay(random.nextInt(LONGEST_DELAY));
                        step.run();
                        meeting.second();
                    }
                },
                null);
        Thread.ofPlatform().daemon().name("device").start(task);
        return task;
    }

    private boolean isTimeFor(int tries) {
        return tries < TRIES && System.nanoTime() - started < LONGEST_NANOS;
    }

    private void end(FutureTask<Void> device) throws Exception {
        over = true;
        meeting.first();
        device.get(PATIENCE_SECONDS, TimeUnit.SECONDS);
        assertThat(queue.fault()).isEmpty();
    }

    private static void delay(int steps) {
        for (int i = 0; i < steps; i++) {
            Thread.onSpinWait();
        }
    }

    /** Two threads wait for each other without sleeping, as a sleeper would come microseconds late. */
    private static final class Meeting {
        private static final int SPINS_BEFORE_PARKING = 10_000;

        private final AtomicLong firstCame = new AtomicLong();
        private final AtomicLong secondCame = new AtomicLong();

        void first() {
            meet(firstCame, secondCame);
        }

        void second() {
            meet(secondCame, firstCame);
        }

        private static void meet(AtomicLong mine, AtomicLong other) {
            long meeting = mine.incrementAndGet();
            for (int spins = 0; other.get() < meeting; spins++) {
                pause(spins);
            }
        }

        /** On a machine with one processor to spare the other one has to get its turn. */
        private static void pause(int spins) {
            if (spins < SPINS_BEFORE_PARKING) {
                Thread.onSpinWait();
            } else {
                LockSupport.parkNanos(1);
            }
        }
    }
}
