package io.github.jkvm.kvm;

import static java.util.concurrent.TimeUnit.SECONDS;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.Doorbell;
import io.github.jkvm.EventLoop;
import io.github.jkvm.kvm.ffi.Epoll;
import io.github.jkvm.kvm.ffi.EventFd;
import java.io.File;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class EpollEventLoopTest {
    private final EpollEventLoop loop = EpollEventLoop.start("test loop", ended -> {});

    @AfterEach
    void closeLoop() {
        loop.close();
    }

    private static KvmDoorbell doorbell() {
        return new KvmDoorbell(Doorbell.Match.port(0x10, 2), EventFd.create("test doorbell"), closed -> {});
    }

    /** Waits until the loop has done all that it was given and told of before. */
    private void settle() throws InterruptedException {
        var done = new CountDownLatch(1);
        loop.execute(done::countDown);
        assertThat(done.await(30, SECONDS)).isTrue();
        // A ring that came in the same round as the code above is handled before it; one that came later, in the next
        // round.
        var again = new CountDownLatch(1);
        loop.execute(again::countDown);
        assertThat(again.await(30, SECONDS)).isTrue();
    }

    @Test
    void runsCodeOnItsDaemonThreadOfTheGivenName() throws InterruptedException {
        var where = new LinkedBlockingQueue<Thread>();
        var inLoop = new AtomicBoolean();
        loop.execute(() -> {
            inLoop.set(loop.inLoop());
            where.add(Thread.currentThread());
        });

        Thread thread = where.poll(30, SECONDS);
        assertThat(thread.getName()).isEqualTo("test loop");
        assertThat(thread.isDaemon()).isTrue();
        assertThat(thread.isVirtual()).isFalse();
        assertThat(inLoop).isTrue();
        assertThat(loop.inLoop()).isFalse();
    }

    @Test
    void runsCodeOfManyThreadsOnceAndInTheOrderOfEachThread() throws InterruptedException {
        int threads = 4;
        int each = 25_000;
        int[] next = new int[threads];
        var outOfOrder = new AtomicInteger();
        var done = new CountDownLatch(threads * each);
        List<Thread> givers = IntStream.range(0, threads)
                .mapToObj(t -> Thread.ofPlatform().start(() -> {
                    for (int i = 0; i < each; i++) {
                        int number = i;
                        loop.execute(() -> {
                            if (next[t]++ != number) {
                                outOfOrder.incrementAndGet();
                            }
                            done.countDown();
                        });
                    }
                }))
                .toList();
        for (Thread giver : givers) {
            giver.join();
        }

        assertThat(done.await(30, SECONDS)).isTrue();
        assertThat(outOfOrder).hasValue(0);
        assertThat(next).containsOnly(each);
    }

    @Test
    void runsCodeGivenFromItsOwnThread() throws InterruptedException {
        var left = new AtomicInteger(10_000);
        var done = new CountDownLatch(1);
        loop.execute(new Runnable() {
            @Override
            public void run() {
                if (left.decrementAndGet() == 0) {
                    done.countDown();
                } else {
                    loop.execute(this);
                }
            }
        });

        assertThat(done.await(30, SECONDS)).isTrue();
    }

    @Test
    void goesOnAfterCodeThatThrows() throws InterruptedException {
        var done = new CountDownLatch(3);
        try (KvmDoorbell doorbell = doorbell()) {
            loop.onRing(doorbell, () -> {
                done.countDown();
                throw new IllegalArgumentException("thrown by a test");
            });
            loop.execute(() -> {
                done.countDown();
                throw new AssertionError("thrown by a test");
            });
            loop.schedule(Duration.ZERO, () -> {
                done.countDown();
                throw new StackOverflowError("thrown by a test");
            });
            doorbell.event().signal();

            assertThat(done.await(30, SECONDS)).isTrue();
            settle();
        }
    }

    @Test
    void mergesRingsThatComeBeforeTheCodeBegins() throws InterruptedException {
        var runs = new AtomicInteger();
        var hold = new Semaphore(0);
        try (KvmDoorbell doorbell = doorbell()) {
            loop.onRing(doorbell, runs::incrementAndGet);
            holdLoop(hold);
            doorbell.event().signal();
            doorbell.event().signal();
            doorbell.event().signal();
            hold.release();
            settle();

            assertThat(runs).hasValue(1);
            assertThat(doorbell.poll()).isFalse();
        }
    }

    /** Has the loop wait for a permit, and returns once it does. */
    private void holdLoop(Semaphore permit) throws InterruptedException {
        var begun = new CountDownLatch(1);
        loop.execute(() -> {
            begun.countDown();
            permit.acquireUninterruptibly();
        });
        assertThat(begun.await(30, SECONDS)).isTrue();
    }

    @Test
    void losesNoRingThatComesWhileTheCodeRuns() throws InterruptedException {
        int rings = 100_000;
        var rung = new AtomicInteger();
        var seen = new AtomicInteger();
        var all = new CountDownLatch(1);
        try (KvmDoorbell doorbell = doorbell()) {
            loop.onRing(doorbell, () -> {
                seen.set(rung.get());
                if (seen.get() == rings) {
                    all.countDown();
                }
            });
            for (int i = 0; i < rings; i++) {
                rung.incrementAndGet();
                doorbell.event().signal();
            }

            assertThat(all.await(30, SECONDS)).isTrue();
        }
    }

    @Test
    void takesRingsFromBeforeTheRegistration() throws InterruptedException {
        var ran = new CountDownLatch(1);
        try (KvmDoorbell doorbell = doorbell()) {
            doorbell.event().signal();
            loop.onRing(doorbell, ran::countDown);

            assertThat(ran.await(30, SECONDS)).isTrue();
        }
    }

    @Test
    void leavesRingsToThePollerOnceTheRegistrationIsClosed() throws InterruptedException {
        var runs = new AtomicInteger();
        try (KvmDoorbell doorbell = doorbell()) {
            EventLoop.Registration registration = loop.onRing(doorbell, runs::incrementAndGet);
            registration.close();
            registration.close();
            doorbell.event().signal();
            settle();

            assertThat(runs).hasValue(0);
            assertThat(doorbell.poll()).isTrue();
            assertThat(doorbell.poll()).isFalse();
        }
    }

    @Test
    void refusesADoorbellThatIsRegisteredOrClosed() {
        KvmDoorbell doorbell = doorbell();
        EventLoop.Registration registration = loop.onRing(doorbell, () -> {});
        assertThatThrownBy(() -> loop.onRing(doorbell, () -> {}))
                .isInstanceOf(IllegalStateException.class)
                .hasMessage(
                        "doorbell at port 0x10, 2 bytes is registered with an event loop already; close that registration"
                                + " first");

        registration.close();
        loop.onRing(doorbell, () -> {}).close();
        doorbell.close();
        assertThatThrownBy(() -> loop.onRing(doorbell, () -> {}))
                .isInstanceOf(IllegalStateException.class)
                .hasMessage("doorbell at port 0x10, 2 bytes is closed");
        assertThatThrownBy(doorbell::poll)
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("closed");
    }

    @Test
    void registersADoorbellWithAnotherLoopAfterTheFirstIsClosed() throws InterruptedException {
        var rang = new CountDownLatch(1);
        EpollEventLoop first = EpollEventLoop.start("first", ended -> {});
        try (KvmDoorbell doorbell = doorbell()) {
            first.onRing(doorbell, () -> {});
            first.close();
            loop.onRing(doorbell, rang::countDown);
            doorbell.event().signal();

            assertThat(rang.await(30, SECONDS)).isTrue();
        }
    }

    @Test
    void closingARegistrationWaitsForItsRunningCode() throws InterruptedException {
        var began = new CountDownLatch(1);
        var hold = new Semaphore(0);
        var ended = new AtomicBoolean();
        var endedWhenClosed = new AtomicReference<Boolean>();
        try (KvmDoorbell doorbell = doorbell()) {
            EventLoop.Registration registration = loop.onRing(doorbell, () -> {
                began.countDown();
                hold.acquireUninterruptibly();
                ended.set(true);
            });
            doorbell.event().signal();
            assertThat(began.await(30, SECONDS)).isTrue();
            Thread closer = Thread.ofPlatform().start(() -> {
                registration.close();
                endedWhenClosed.set(ended.get());
            });
            while (closer.getState() != Thread.State.BLOCKED) {
                Thread.onSpinWait();
            }
            hold.release();
            closer.join();

            assertThat(endedWhenClosed).hasValue(true);
        }
    }

    @Test
    void codeMayCloseItsOwnRegistrationAndDoorbell() throws InterruptedException {
        var runs = new AtomicInteger();
        var registration = new AtomicReference<EventLoop.Registration>();
        var registered = new CountDownLatch(1);
        KvmDoorbell doorbell = doorbell();
        registration.set(loop.onRing(doorbell, () -> {
            await(registered);
            runs.incrementAndGet();
            registration.get().close();
            doorbell.close();
        }));
        doorbell.event().signal();
        registered.countDown();
        settle();

        assertThat(runs).hasValue(1);
    }

    @Test
    void closingADoorbellOfTheSameRoundKeepsItsCodeFromRunning() throws InterruptedException {
        var runs = new AtomicInteger();
        var hold = new Semaphore(0);
        KvmDoorbell[] doorbells = {doorbell(), doorbell()};
        for (KvmDoorbell doorbell : doorbells) {
            loop.onRing(doorbell, () -> {
                runs.incrementAndGet();
                Arrays.stream(doorbells).forEach(KvmDoorbell::close);
            });
        }
        holdLoop(hold);
        for (KvmDoorbell doorbell : doorbells) {
            doorbell.event().signal();
        }
        hold.release();
        settle();

        assertThat(runs).hasValue(1);
    }

    @Test
    void doorbellsThatComeAndGoWhileTheyRingNeverRunTheCodeOfOthers() throws InterruptedException {
        var foreign = new AtomicInteger();
        var ringing = new LinkedBlockingQueue<EventFd>();
        var stop = new AtomicBoolean();
        Thread ringer = Thread.ofPlatform().start(() -> {
            while (!stop.get()) {
                EventFd event = ringing.poll();
                if (event != null) {
                    try {
                        event.signal();
                    } catch (IllegalStateException closed) {
                        Thread.onSpinWait();
                    }
                }
            }
        });
        for (int i = 0; i < 5_000; i++) {
            // The kernel gives each of them the number that the one before had.
            KvmDoorbell doorbell = doorbell();
            var live = new AtomicBoolean(true);
            EventLoop.Registration registration = loop.onRing(doorbell, () -> {
                if (!live.get()) {
                    foreign.incrementAndGet();
                }
            });
            ringing.add(doorbell.event());
            if (i % 2 == 0) {
                registration.close();
                live.set(false);
            }
            doorbell.close();
        }
        stop.set(true);
        ringer.join();
        settle();

        assertThat(foreign).hasValue(0);
    }

    @Test
    void runsDelayedCodeInOrderOfTimeAndNotBefore() throws InterruptedException {
        List<Integer> order = Collections.synchronizedList(new ArrayList<>());
        var early = new AtomicInteger();
        long start;
        CountDownLatch done;
        do {
            order.clear();
            start = System.nanoTime();
            done = scheduleOutOfOrder(start, order, early);
            // On a busy host this thread may have stood still for longer than the delays differ by, which changes their
            // order.
        } while (System.nanoTime() - start > 10_000_000L && done.await(30, SECONDS));

        assertThat(done.await(30, SECONDS)).isTrue();
        assertThat(order).containsExactly(0, 10, 20, 30);
        assertThat(early).hasValue(0);
    }

    private CountDownLatch scheduleOutOfOrder(long start, List<Integer> order, AtomicInteger early) {
        var done = new CountDownLatch(4);
        for (int millis : new int[] {30, 10, 0, 20}) {
            loop.schedule(Duration.ofMillis(millis), () -> {
                if (System.nanoTime() - start < millis * 1_000_000L) {
                    early.incrementAndGet();
                }
                order.add(millis);
                done.countDown();
            });
        }
        return done;
    }

    @Test
    void closedDelaysDoNotRun() throws InterruptedException {
        var runs = new AtomicInteger();
        var last = new CountDownLatch(1);
        // On the loop, which can't run the first before it is closed.
        loop.execute(() -> {
            EventLoop.Registration first = loop.schedule(Duration.ofMillis(5), runs::incrementAndGet);
            loop.schedule(Duration.ofMillis(10), last::countDown);
            first.close();
        });

        assertThat(last.await(30, SECONDS)).isTrue();
        assertThat(runs).hasValue(0);
    }

    @Test
    void takesDelaysOfAnyLength() throws InterruptedException {
        var runs = new AtomicInteger();
        loop.schedule(Duration.ofSeconds(Long.MAX_VALUE), runs::incrementAndGet);
        var ran = new CountDownLatch(1);
        loop.schedule(Duration.ofSeconds(Long.MIN_VALUE), ran::countDown);

        assertThat(ran.await(30, SECONDS)).isTrue();
        assertThat(runs).hasValue(0);
    }

    @Test
    void codeThatDelaysItselfByNothingLetsOthersRun() throws InterruptedException {
        var stop = new AtomicBoolean();
        loop.schedule(Duration.ZERO, new Runnable() {
            @Override
            public void run() {
                if (!stop.get()) {
                    loop.schedule(Duration.ZERO, this);
                }
            }
        });
        var rang = new CountDownLatch(1);
        try (KvmDoorbell doorbell = doorbell()) {
            loop.onRing(doorbell, rang::countDown);
            doorbell.event().signal();

            assertThat(rang.await(30, SECONDS)).isTrue();
        }
        stop.set(true);
    }

    @Test
    void closeEndsTheThreadAfterThePieceOfCodeItIsIn() throws InterruptedException {
        var began = new CountDownLatch(1);
        var hold = new Semaphore(0);
        var ended = new AtomicBoolean();
        var dropped = new AtomicInteger();
        var thread = new AtomicReference<Thread>();
        loop.execute(() -> {
            thread.set(Thread.currentThread());
            began.countDown();
            hold.acquireUninterruptibly();
            ended.set(true);
        });
        loop.execute(dropped::incrementAndGet);
        loop.schedule(Duration.ZERO, dropped::incrementAndGet);
        assertThat(began.await(30, SECONDS)).isTrue();
        Thread closer = Thread.ofPlatform().start(loop::close);
        while (closer.getState() != Thread.State.WAITING) {
            Thread.onSpinWait();
        }
        hold.release();
        closer.join();

        assertThat(ended).isTrue();
        assertThat(dropped.get()).isLessThanOrEqualTo(1); // the delayed code may have begun before the held one
        assertThat(thread.get().isAlive()).isFalse();
    }

    @Test
    void closeFromItsOwnThreadDropsWhatHasNotBegun() throws InterruptedException {
        var runs = new AtomicInteger();
        var thread = new AtomicReference<Thread>();
        var given = new CountDownLatch(1);
        var closed = new CountDownLatch(1);
        loop.execute(() -> {
            await(given);
            thread.set(Thread.currentThread());
            loop.close();
            closed.countDown();
            runs.incrementAndGet();
        });
        loop.execute(runs::incrementAndGet);
        given.countDown();
        assertThat(closed.await(30, SECONDS)).isTrue();
        loop.close();

        assertThat(runs).hasValue(1);
        assertThat(thread.get().isAlive()).isFalse();
    }

    @Test
    void refusesEverythingOnceClosed() {
        loop.close();
        loop.close();
        try (KvmDoorbell doorbell = doorbell()) {
            assertThatThrownBy(() -> loop.execute(() -> {}))
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessage("event loop test loop is closed");
            assertThatThrownBy(() -> loop.schedule(Duration.ZERO, () -> {})).isInstanceOf(IllegalStateException.class);
            assertThatThrownBy(() -> loop.onRing(doorbell, () -> {})).isInstanceOf(IllegalStateException.class);
        }
    }

    @Test
    void survivesCloseFromManyThreadsWhileOthersGiveItWork() throws InterruptedException {
        for (int round = 0; round < 200; round++) {
            EpollEventLoop closed = EpollEventLoop.start("closed " + round, ended -> {});
            var unexpected = new AtomicReference<Throwable>();
            List<Thread> threads = new ArrayList<>();
            for (int t = 0; t < 2; t++) {
                threads.add(Thread.ofPlatform().start(() -> {
                    try {
                        while (true) {
                            closed.execute(() -> {});
                            closed.schedule(Duration.ofNanos(10), () -> {}).close();
                        }
                    } catch (IllegalStateException expected) {
                        assertThat(expected).hasMessageContaining("is closed");
                    } catch (Throwable t2) {
                        unexpected.set(t2);
                    }
                }));
                threads.add(Thread.ofPlatform().start(closed::close));
            }
            for (Thread thread : threads) {
                thread.join();
            }
            assertThat(unexpected).hasValue(null);
        }
    }

    @Test
    void leavesNoDescriptorOpen() {
        long before = openDescriptors();
        for (int i = 0; i < 100; i++) {
            EpollEventLoop closed = EpollEventLoop.start("closed " + i, ended -> {});
            KvmDoorbell doorbell = doorbell();
            closed.onRing(doorbell, () -> {});
            closed.schedule(Duration.ofDays(1), () -> {});
            closed.close();
            doorbell.close();
        }

        // Other tests' threads and the JVM itself open a few now and then.
        assertThat(openDescriptors()).isLessThan(before + 20);
    }

    private static long openDescriptors() {
        return new File("/proc/self/fd").list().length;
    }

    @Test
    void tellsOfADescriptorThatBecomesReadable() throws InterruptedException {
        var events = new LinkedBlockingQueue<Integer>();
        try (EventFd event = EventFd.create("test descriptor")) {
            EventLoop.Registration registration = loop.onReady(event.fd(), events::add);
            assertThat(events.poll(30, SECONDS)).isEqualTo(Epoll.OUT);
            event.signal();
            assertThat(events.poll(30, SECONDS)).isEqualTo(Epoll.OUT | Epoll.IN);
            registration.close();
            event.signal();
            settle();
            assertThat(events).isEmpty();
        }
    }

    @Test
    void refusesADoorbellOfSomeoneElse() {
        Doorbell foreign = new Doorbell() {
            @Override
            public Match match() {
                return Match.port(1, 1);
            }

            @Override
            public boolean poll() {
                return false;
            }

            @Override
            public void close() {}
        };

        assertThatThrownBy(() -> loop.onRing(foreign, () -> {}))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("takes doorbells made by a KVM VM");
    }

    @Test
    void latencyOfDelaysIsNotRoundedToMilliseconds() throws InterruptedException {
        var shortest = new AtomicLong(Long.MAX_VALUE);
        for (int i = 0; i < 20; i++) {
            var done = new CountDownLatch(1);
            long start = System.nanoTime();
            loop.schedule(Duration.ofNanos(50_000), () -> {
                shortest.accumulateAndGet(System.nanoTime() - start, Math::min);
                done.countDown();
            });
            assertThat(done.await(30, SECONDS)).isTrue();
        }

        assertThat(shortest.get()).isBetween(50_000L, 900_000L);
    }

    private static void await(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }
}
