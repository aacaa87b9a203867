package io.github.jkvm.it;

import static io.github.jkvm.testkit.asm.Reg8.AL;
import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.VmExit;
import io.github.jkvm.kvm.KvmVCpu;
import io.github.jkvm.testkit.MicroGuest;
import io.github.jkvm.testkit.RequiresKvm;
import io.github.jkvm.testkit.asm.Label;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What ends a run from outside, again and again, while garbage is collected. Each by itself is a contract of every hypervisor: {@link KvmContractTest}. */
@RequiresKvm
class VCpuInterruptTest {
    /** A wake-up that takes this long is a lost one that something else made up for. */
    private static final long LATE_NANOS = TimeUnit.SECONDS.toNanos(30);

    /** Waiting threads leave the processors, of which there may be two, to those that are waited for. */
    private static final long POLL_NANOS = TimeUnit.MICROSECONDS.toNanos(20);

    /** A collection takes an emulated processor so much longer that little else would be done without longer pauses. */
    private static final long COLLECTION_PAUSE_NANOS = TimeUnit.MILLISECONDS.toNanos(20) * 1_000 / Lane.repeats(1_000);

    private final AtomicReference<Throwable> failure = new AtomicReference<>();
    private volatile boolean garbage = true;
    private Thread collector;

    @BeforeEach
    void startCollectingGarbage() {
        collector = Thread.ofPlatform().name("garbage").start(() -> {
            List<byte[]> kept = new ArrayList<>();
            while (garbage) {
                kept.add(new byte[64 * 1024]);
                if (kept.size() == 64) {
                    kept.clear();
                    System.gc();
                    LockSupport.parkNanos(COLLECTION_PAUSE_NANOS);
                }
            }
        });
    }

    @AfterEach
    void stopCollectingGarbage() throws InterruptedException {
        garbage = false;
        collector.join();
        assertThat(failure.get()).isNull();
    }

    private static MicroGuest tightLoop() {
        return MicroGuest.builder().build(code -> code.jmp(code.here("forever")));
    }

    private Thread start(String name, Runnable action) {
        return Thread.ofPlatform().name(name).start(() -> {
            try {
                action.run();
            } catch (Throwable t) {
                failure.compareAndSet(null, t);
            }
        });
    }

    @Test
    void interruptEndsATightLoopEveryTimeAndInTime() throws InterruptedException {
        int times = Lane.repeats(10_000);
        Semaphore returned = new Semaphore(0);
        long[] nanos = new long[times];
        try (MicroGuest guest = tightLoop()) {
            Thread runner = start("runner", () -> {
                for (int i = 0; i < times; i++) {
                    assertThat(guest.vcpu().run()).isInstanceOf(VmExit.Interrupted.class);
                    returned.release();
                }
            });
            for (int i = 0; i < times; i++) {
                // At another point each time: before the entry, in it, and while the last run returns.
                if (i % 4 != 0) {
                    LockSupport.parkNanos(i % 97 * 1000L);
                }
                long start = System.nanoTime();
                guest.vcpu().interrupt();
                assertThat(returned.tryAcquire(LATE_NANOS, TimeUnit.NANOSECONDS))
                        .as("wake-up %d came in time", i)
                        .isTrue();
                nanos[i] = System.nanoTime() - start;
            }
            runner.join();
            assertThat(returned.availablePermits())
                    .as("runs that nobody interrupted")
                    .isZero();
        }
        Arrays.sort(nanos);
        System.out.printf(
                "interrupt to return: median %d us, 99%% %d us, most %d us, %d times%n",
                nanos[times / 2] / 1000, nanos[times * 99 / 100] / 1000, nanos[times - 1] / 1000, times);
    }

    @Test
    void interruptsFromManyThreadsMergeButNoneIsLost() throws InterruptedException {
        int rounds = Lane.repeats(2_000);
        AtomicInteger returned = new AtomicInteger();
        try (MicroGuest guest = tightLoop()) {
            CountDownLatch done = new CountDownLatch(3);
            Thread runner = start("runner", () -> {
                while (done.getCount() > 0) {
                    assertThat(guest.vcpu().run()).isInstanceOf(VmExit.Interrupted.class);
                    returned.incrementAndGet();
                }
            });
            List<Thread> senders = new ArrayList<>();
            for (int sender = 0; sender < 3; sender++) {
                senders.add(start("sender " + sender, () -> {
                    for (int i = 0; i < rounds && failure.get() == null; i++) {
                        int before = returned.get();
                        guest.vcpu().interrupt();
                        // A run that returned after the call began is for this call or one merged with it.
                        long start = System.nanoTime();
                        while (returned.get() == before && failure.get() == null) {
                            assertThat(System.nanoTime() - start).isLessThan(LATE_NANOS);
                            LockSupport.parkNanos(POLL_NANOS);
                        }
                    }
                    done.countDown();
                }));
            }
            for (Thread sender : senders) {
                sender.join();
            }
            guest.vcpu().interrupt();
            runner.join();
        }
        assertThat(returned.get()).isLessThanOrEqualTo(3 * rounds + 1);
    }

    @Test
    void interruptEndsAVirtualThreadsRun() throws InterruptedException {
        try (MicroGuest guest = tightLoop()) {
            int times = Lane.repeats(500);
            AtomicInteger returned = new AtomicInteger();
            Thread runner = Thread.ofVirtual().start(() -> {
                while (returned.get() < times) {
                    guest.vcpu().run();
                    returned.incrementAndGet();
                    LockSupport.parkNanos(1);
                }
            });
            for (int i = 0; i < times; i++) {
                guest.vcpu().interrupt();
                long start = System.nanoTime();
                while (returned.get() <= i) {
                    assertThat(System.nanoTime() - start).isLessThan(LATE_NANOS);
                    LockSupport.parkNanos(POLL_NANOS);
                }
            }
            runner.join();
        }
    }

    @Test
    void signalMaskThatLeavesTheInterruptsSignalOpenDoesNotHinderIt() {
        try (MicroGuest guest = tightLoop()) {
            KvmVCpu vcpu = KvmVCpu.of(guest.vcpu());
            // All real-time signals but number 40, which interrupts vCPUs.
            vcpu.setSignalMask(-1L << 33 & ~(1L << 39));
            assertThat(vcpu.run(Duration.ofMillis(10))).isEqualTo(new VmExit.DeadlineReached());
            vcpu.clearSignalMask();
            assertThat(vcpu.run(Duration.ofMillis(10))).isEqualTo(new VmExit.DeadlineReached());
        }
    }

    @Test
    void deadlineEndsATightLoopEveryTime() {
        int times = Lane.repeats(10_000);
        try (MicroGuest guest = tightLoop()) {
            for (int i = 0; i < times; i++) {
                Duration limit = Duration.ofNanos(20_000 + i % 50 * 1000L);
                long start = System.nanoTime();
                assertThat(guest.vcpu().run(limit)).isEqualTo(new VmExit.DeadlineReached());
                assertThat(System.nanoTime() - start).isBetween(limit.toNanos(), LATE_NANOS);
            }
        }
    }

    @Test
    void deadlineLeavesNothingBehindForTheNextRun() {
        int times = Lane.repeats(10_000);
        int reached = 0;
        try (MicroGuest guest = MicroGuest.builder().build(code -> {
            Label again = code.here("again");
            code.out(0x10, AL).jmp(again);
        })) {
            for (int i = 0; i < times; i++) {
                // About as long as the way to the next exit, so that both ends happen.
                VmExit exit = guest.vcpu().run(Duration.ofNanos(1 + i % 100 * 500L));
                if (exit instanceof VmExit.DeadlineReached) {
                    reached++;
                } else {
                    assertThat(exit).isInstanceOf(VmExit.PortOut.class);
                }
                assertThat(guest.vcpu().run()).isInstanceOf(VmExit.PortOut.class);
            }
        }
        System.out.printf("deadline came first %d times of %d%n", reached, times);
    }
}
