package io.github.jkvm.testkit.scripted;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.VmExit;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;

/** Which thread may run a vCPU, and what ends a run from outside. */
public interface RunContract extends HypervisorContract {
    /** How long a thread may take to do what it must do at once. */
    long LONG_SECONDS = 60;

    @Test
    default void interruptEndsATightLoopEveryTime() throws InterruptedException {
        int times = repeats(1_000);
        Semaphore returned = new Semaphore(0);
        try (var guest = start(PairedGuest.TIGHT_LOOP)) {
            Thread runner = Thread.ofPlatform().start(() -> {
                for (int i = 0; i < times; i++) {
                    if (guest.vcpu.run() instanceof VmExit.Interrupted) {
                        returned.release();
                    }
                }
            });
            for (int i = 0; i < times; i++) {
                // At another point each time: before the run, in it, and while the last one returns.
                if (i % 4 != 0) {
                    LockSupport.parkNanos(i % 97 * 1000L);
                }
                guest.vcpu.interrupt();
                assertThat(returned.tryAcquire(LONG_SECONDS, TimeUnit.SECONDS)).isTrue();
            }
            runner.join();
            assertThat(returned.availablePermits())
                    .as("runs that nobody interrupted")
                    .isZero();
        }
    }

    @Test
    default void interruptWaitsForTheNextRunAndCountsOnce() {
        try (var guest = start(PairedGuest.OUT_LOOP)) {
            guest.vcpu.interrupt();
            guest.vcpu.interrupt();
            assertThat(guest.run()).isEqualTo(new VmExit.Interrupted());
            assertThat(guest.run()).isInstanceOf(VmExit.PortOut.class);
        }
    }

    @Test
    default void interruptOutlivesARunThatEndsForAnotherReason() {
        try (var guest = start(PairedGuest.OUT_LOOP)) {
            var interrupting = new ExitContract.Recorder() {
                @Override
                public void portOut(int port, int size, long value) {
                    super.portOut(port, size, value);
                    guest.vcpu.interrupt();
                }
            };
            assertThat(guest.vcpu.run(interrupting, ContractGuest.LONG)).isEqualTo(new VmExit.Interrupted());
            assertThat(interrupting.calls).hasSize(1);
            assertThat(guest.run()).isInstanceOf(VmExit.PortOut.class);
        }
    }

    @Test
    default void anInterruptOfTheThreadDoesNotEndTheRunAndIsKept() {
        try (var guest = start(PairedGuest.TIGHT_LOOP)) {
            Thread.currentThread().interrupt();
            assertThat(guest.vcpu.run(Duration.ofMillis(20))).isEqualTo(new VmExit.DeadlineReached());
            assertThat(Thread.interrupted()).isTrue();
        }
    }

    @Test
    default void deadlineEndsATightLoopEveryTime() {
        try (var guest = start(PairedGuest.TIGHT_LOOP)) {
            for (int i = 0; i < repeats(500); i++) {
                Duration limit = Duration.ofNanos(20_000 + i % 50 * 1000L);
                long begin = System.nanoTime();
                assertThat(guest.vcpu.run(limit)).isEqualTo(new VmExit.DeadlineReached());
                assertThat(System.nanoTime() - begin).isGreaterThanOrEqualTo(limit.toNanos());
            }
        }
    }

    @Test
    default void deadlineLeavesNothingBehindForTheNextRun() {
        try (var guest = start(PairedGuest.OUT_LOOP)) {
            for (int i = 0; i < repeats(500); i++) {
                assertThat(guest.vcpu.run(Duration.ofNanos(1 + i % 100 * 500L)))
                        .isInstanceOfAny(VmExit.DeadlineReached.class, VmExit.PortOut.class);
                assertThat(guest.vcpu.run()).isInstanceOf(VmExit.PortOut.class);
            }
        }
    }

    @Test
    default void deadlineCountsForAllExitsThatAHandlerServes() {
        try (var guest = start(PairedGuest.OUT_LOOP)) {
            long[] count = new long[1];
            var counting = new ExitContract.Recorder() {
                @Override
                public void portOut(int port, int size, long value) {
                    count[0]++;
                }
            };
            assertThat(guest.vcpu.run(counting, Duration.ofMillis(50))).isEqualTo(new VmExit.DeadlineReached());
            assertThat(count[0]).isPositive();
        }
    }

    @Test
    default void noTimeAtAllRunsNoInstructionButFinishesPendingInput() {
        try (var guest = start(PairedGuest.INCREMENT)) {
            assertThat(guest.vcpu.run(Duration.ZERO)).isEqualTo(new VmExit.DeadlineReached());
            assertThat(guest.run()).isInstanceOf(VmExit.PortIn.class);
            guest.vcpu.respond(7);
            assertThat(guest.vcpu.run(Duration.ofSeconds(-1))).isEqualTo(new VmExit.DeadlineReached());
            assertThat(guest.vcpu.registers().rax() & 0xFFFF).isEqualTo(7);
            assertThat(guest.run()).isEqualTo(new VmExit.Halt());
            assertThat(guest.vcpu.registers().rax() & 0xFFFF).isEqualTo(8);
        }
    }

    @Test
    default void limitBeyondAllClocksIsNone() {
        try (var guest = start(PairedGuest.HALT)) {
            assertThat(guest.vcpu.run(Duration.ofSeconds(Long.MAX_VALUE))).isEqualTo(new VmExit.Halt());
        }
    }

    @Test
    default void aSecondRunnerIsRefusedByName() throws InterruptedException {
        try (var guest = start(PairedGuest.OUT_LOOP)) {
            CountDownLatch running = new CountDownLatch(1);
            var handler = new ExitContract.Recorder() {
                @Override
                public void portOut(int port, int size, long value) {
                    running.countDown();
                }
            };
            Thread runner = Thread.ofPlatform().name("first-runner").start(() -> guest.vcpu.run(handler));
            assertThat(running.await(LONG_SECONDS, TimeUnit.SECONDS)).isTrue();
            String me = Thread.currentThread().getName();
            assertThatThrownBy(guest.vcpu::run)
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessage("vCPU 0 runs on thread first-runner; thread " + me
                            + " can't run it until that run ends (interrupt() ends it)");
            assertThatThrownBy(guest.vcpu::registers)
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("first-runner")
                    .hasMessageContaining("can't use its state");
            guest.vcpu.interrupt();
            runner.join();
            assertThat(guest.vcpu.registers().rsp()).isEqualTo(0x8000);
        }
    }

    @Test
    default void twoVCpusRunAtTheSameTime() throws InterruptedException {
        try (var guest = start(PairedGuest.ECHO)) {
            var second = guest.createVCpu(1);
            CountDownLatch both = new CountDownLatch(2);
            var meeting = new ExitContract.Recorder() {
                @Override
                public synchronized long portIn(int port, int size) {
                    both.countDown();
                    return 5;
                }

                @Override
                public void portOut(int port, int size, long value) {
                    try {
                        assertThat(both.await(LONG_SECONDS, TimeUnit.SECONDS)).isTrue();
                    } catch (InterruptedException e) {
                        throw new AssertionError(e);
                    }
                }
            };
            Thread other = Thread.ofPlatform().start(() -> second.run(meeting));
            assertThat(guest.vcpu.run(meeting, ContractGuest.LONG)).isEqualTo(new VmExit.Halt());
            other.join();
            assertThat(guest.vm.vcpus()).containsExactly(guest.vcpu, second);
        }
    }
}
