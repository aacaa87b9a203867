package io.github.jkvm.it.sandbox;

import static java.util.concurrent.TimeUnit.SECONDS;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.sun.management.ThreadMXBean;
import io.github.jkvm.Hypervisor;
import io.github.jkvm.it.HostUse;
import io.github.jkvm.it.Lane;
import io.github.jkvm.sandbox.CallCancelledException;
import io.github.jkvm.sandbox.FunctionSandbox;
import io.github.jkvm.sandbox.FunctionSandboxBuilder;
import io.github.jkvm.sandbox.GuestCrashedException;
import io.github.jkvm.sandbox.Limit;
import io.github.jkvm.sandbox.LimitExceededException;
import io.github.jkvm.sandbox.Limits;
import io.github.jkvm.sandbox.SandboxState;
import io.github.jkvm.testkit.RequiresKvm;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Nothing that a guest does gets it out of its limits; what it may not do poisons the sandbox, and restoring cures that. */
@RequiresKvm
class HostileGuestTest {
    private static final long MINUTE = 60;
    private static final Duration SHORT = Duration.ofMillis(20);

    private final Hypervisor hypervisor = Hypervisor.open();
    private final CountDownLatch called = new CountDownLatch(1);
    private final CountDownLatch answer = new CountDownLatch(1);
    private final ExecutorService threads = Executors.newCachedThreadPool();

    @AfterEach
    void close() {
        answer.countDown();
        threads.close();
        hypervisor.close();
    }

    /** The host's function of the guest. */
    interface Host {
        long host_wait() throws InterruptedException;
    }

    private FunctionSandboxBuilder builder() {
        // Tells that it was called, and waits to be let go.
        Host waits = () -> {
            called.countDown();
            answer.await();
            return 5;
        };
        return FunctionSandbox.builder(hypervisor, GuestBuild.resource("hostile.c"))
                .hostFunctions(Host.class, waits);
    }

    private static void assertWorks(FunctionSandbox sandbox) {
        assertThat(sandbox.state()).isEqualTo(SandboxState.READY);
        assertThat(sandbox.call("get", long.class)).isEqualTo(7);
        assertThat(sandbox.call("touch", long.class, 3L)).isEqualTo(3);
        sandbox.call("set", void.class, 9L);
        assertThat(sandbox.call("get", long.class)).isEqualTo(9);
        assertThat(sandbox.call("recurse", long.class, 10L)).isEqualTo(55);
    }

    private static void assertPoisoned(FunctionSandbox sandbox, String why) {
        assertThat(sandbox.state()).isEqualTo(SandboxState.POISONED);
        assertThatIllegalStateException()
                .isThrownBy(() -> sandbox.call("get", long.class))
                .withMessageStartingWith("the sandbox is poisoned: ")
                .withMessageContaining(why)
                .withMessageEndingWith("; restore() brings it back");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "write_null",
                "write_constant",
                "write_code",
                "run_data",
                "undefined",
                "halt",
                "out_other",
                "out_wide",
                "in",
                "load_cr3",
                "write_msr",
                "write_debug",
                "breakpoint",
                "interrupt",
                "divide",
                "trap",
                "disorder"
            })
    void crashesPoisonAndRestoringCures(String function) {
        try (FunctionSandbox sandbox = builder().build()) {
            Class<?> result = function.equals("in") ? long.class : void.class;
            assertThatExceptionOfType(GuestCrashedException.class)
                    .isThrownBy(() -> sandbox.call(function, result))
                    .withMessageStartingWith("the guest ");
            assertPoisoned(sandbox, "the guest ");
            sandbox.restore();
            assertWorks(sandbox);
            sandbox.restore();
            assertWorks(sandbox);
        }
    }

    @ParameterizedTest
    @CsvSource({
        "write_at, 0x300000",
        "write_at, 0x401000",
        "write_at, 0x7fffffff0000",
        "write_at, -4096",
        "run_at, 0",
        "run_at, 0x402000",
        "ring_anything, 2",
        "ring_anything, 1",
        "ring_anything, 77",
        "ring_anything, -1"
    })
    void wildAccessesAndMessagesAreCrashes(String function, String argument) throws Exception {
        try (FunctionSandbox sandbox = builder().build()) {
            assertThatExceptionOfType(GuestCrashedException.class)
                    .isThrownBy(() -> sandbox.call(function, void.class, Long.decode(argument)));
            sandbox.restore();
            assertWorks(sandbox);
        }
    }

    @Test
    void noAddressBeyondTheMemoryOrOfTheSystemCanBeRead() throws Exception {
        long end = 0x40_0000 + (4 << 20);
        try (FunctionSandbox sandbox = builder().memory(4 << 20).build()) {
            for (long address :
                    new long[] {0, 0x3F_FFFF, end - 1, end, end - 4096, 1L << 30, 3L << 30, 0xFEE0_0000L, -1}) {
                assertThatExceptionOfType(GuestCrashedException.class)
                        .as("0x%x", address)
                        .isThrownBy(() -> sandbox.call("read_at", long.class, address));
                sandbox.restore();
            }
            assertWorks(sandbox);
        }
    }

    @Test
    void aStackThatOverflowsMeetsItsGuard() throws Exception {
        try (FunctionSandbox sandbox = builder().vcpus(2).build()) {
            assertThatExceptionOfType(GuestCrashedException.class)
                    .isThrownBy(() -> sandbox.call("recurse", long.class, 1_000_000L));
            assertPoisoned(sandbox, "the guest ");
            sandbox.restore();
            assertWorks(sandbox);
        }
    }

    @Test
    void anEndlessLoopEndsAtTheDeadline() throws Exception {
        try (FunctionSandbox sandbox =
                builder().limits(Limits.DEFAULT.withDeadline(SHORT)).build()) {
            for (int i = 0; i < 3; i++) {
                assertThatExceptionOfType(LimitExceededException.class)
                        .isThrownBy(() -> sandbox.call("loop", void.class))
                        .withMessage("the call took longer than PT0.02S, its deadline")
                        .satisfies(exceeded -> assertThat(exceeded.limit()).isEqualTo(Limit.DEADLINE));
                assertPoisoned(sandbox, "PT0.02S");
                sandbox.restore();
            }
        }
    }

    @Test
    void anEndlessLoopEndsWhenItsProcessorTimeIsUsedUp() throws Exception {
        try (FunctionSandbox sandbox = builder()
                .limits(Limits.DEFAULT.withCpuTime(Duration.ofSeconds(1)))
                .build()) {
            assertThatExceptionOfType(LimitExceededException.class)
                    .isThrownBy(() -> sandbox.call("loop", void.class))
                    .satisfies(exceeded -> assertThat(exceeded.limit()).isEqualTo(Limit.CPU_TIME));
            sandbox.restore();
            assertWorks(sandbox);
        }
    }

    @Test
    void aLimitOfProcessorTimeNeedsAPlatformThread() throws Exception {
        try (FunctionSandbox sandbox = builder()
                        .limits(Limits.DEFAULT.withCpuTime(Duration.ofMinutes(1)))
                        .build();
                ExecutorService virtual = Executors.newVirtualThreadPerTaskExecutor()) {
            assertThat(virtual.submit(() -> failure(() -> sandbox.call("get", long.class)))
                            .get(MINUTE, SECONDS))
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("platform thread");
            assertWorks(sandbox);
        }
    }

    @Test
    void aFloodOfCallsToTheHostEndsAtTheOutputLimit() throws Exception {
        answer.countDown();
        String source = """
                #include "jkvm-sandbox.h"
                JKVM_IMPORT(void, log, (const char *));
                void flood(void) { for (;;) log("0123456789"); }
                JKVM_EXPORT(void, flood, (void));
                """;
        var logged = new AtomicLong();
        MethodHandle log = MethodHandles.lookup()
                .findVirtual(AtomicLong.class, "addAndGet", MethodType.methodType(long.class, long.class))
                .bindTo(logged);
        log = MethodHandles.insertArguments(log, 0, 1L).asType(MethodType.methodType(void.class));
        log = MethodHandles.dropArguments(log, 0, String.class);
        try (FunctionSandbox sandbox = FunctionSandbox.builder(hypervisor, GuestBuild.source(source))
                .hostFunction("log", log)
                .limits(Limits.DEFAULT.withOutput(1005))
                .build()) {
            assertThatExceptionOfType(LimitExceededException.class)
                    .isThrownBy(() -> sandbox.call("flood", void.class))
                    .withMessage("the call put out more than 1005 bytes, its limit")
                    .satisfies(exceeded -> assertThat(exceeded.limit()).isEqualTo(Limit.OUTPUT));
            assertThat(logged).hasValue(100);
            assertThat(sandbox.state()).isEqualTo(SandboxState.POISONED);
        }
    }

    private static Throwable failure(Callable<?> action) {
        try {
            return new AssertionError("gave " + action.call());
        } catch (Throwable failure) {
            return failure;
        }
    }

    private Future<Throwable> start(FunctionSandbox sandbox, String function, Class<?> result) {
        return threads.submit(() -> failure(() -> sandbox.call(function, result)));
    }

    private static Throwable outcome(Future<Throwable> call) throws Exception {
        return call.get(MINUTE, SECONDS);
    }

    /** A second vCPU is in a function of the host: so both are known to run. */
    private void awaitCall() throws InterruptedException {
        assertThat(called.await(MINUTE, SECONDS)).isTrue();
    }

    @Test
    void anotherThreadCancelsACall() throws Exception {
        try (FunctionSandbox sandbox = builder().build()) {
            sandbox.cancel();
            assertThat(sandbox.state()).as("nothing runs").isEqualTo(SandboxState.READY);
            Future<Throwable> call = start(sandbox, "wait_for_host", long.class);
            awaitCall();
            sandbox.cancel();
            answer.countDown();
            assertThat(outcome(call)).isInstanceOf(CallCancelledException.class).hasMessage("the call was cancelled");
            assertPoisoned(sandbox, "cancelled");
            sandbox.restore();
            assertWorks(sandbox);
        }
    }

    @Test
    void aCrashEndsTheOtherCallsOfTheSameGuest() throws Exception {
        try (FunctionSandbox sandbox = builder().vcpus(2).build()) {
            Future<Throwable> call = start(sandbox, "wait_for_host", long.class);
            awaitCall();
            assertThatExceptionOfType(GuestCrashedException.class)
                    .isThrownBy(() -> sandbox.call("write_null", void.class));
            answer.countDown();
            assertThat(outcome(call))
                    .isInstanceOf(CallCancelledException.class)
                    .hasMessageContaining("another call")
                    .hasCauseInstanceOf(GuestCrashedException.class);
            sandbox.restore();
            assertWorks(sandbox);
        }
    }

    @Test
    void restoringAndClosingEndTheCallsThatRun() throws Exception {
        FunctionSandbox sandbox = builder().build();
        Future<Throwable> restored = start(sandbox, "loop", void.class);
        awaitRunning(sandbox);
        sandbox.restore();
        assertThat(outcome(restored)).isInstanceOf(CallCancelledException.class);
        assertWorks(sandbox);
        Future<Throwable> closed = start(sandbox, "loop", void.class);
        awaitRunning(sandbox);
        sandbox.close();
        assertThat(outcome(closed)).isInstanceOf(CallCancelledException.class).hasMessage("the sandbox was closed");
        assertThat(sandbox.state()).isEqualTo(SandboxState.CLOSED);
    }

    /** A guest that loops tells nobody; that its thread works shows it. */
    private static void awaitRunning(FunctionSandbox sandbox) {
        assertThat(sandbox.state()).isEqualTo(SandboxState.READY);
        while (Thread.getAllStackTraces().values().stream()
                .noneMatch(frames ->
                        Stream.of(frames).anyMatch(frame -> frame.getClassName().endsWith("RunLoop")))) {
            Thread.onSpinWait();
        }
    }

    @Test
    void aFunctionOfTheHostMayCloseTheSandbox() throws Exception {
        var sandbox = new FunctionSandbox[1];
        Host closes = () -> {
            sandbox[0].close();
            return 1;
        };
        sandbox[0] = FunctionSandbox.builder(hypervisor, GuestBuild.resource("hostile.c"))
                .hostFunctions(Host.class, closes)
                .build();
        assertThatExceptionOfType(CallCancelledException.class)
                .isThrownBy(() -> sandbox[0].call("wait_for_host", long.class));
        assertThat(sandbox[0].state()).isEqualTo(SandboxState.CLOSED);
    }

    @Test
    void severalThreadsCallAtOnce() throws Exception {
        try (FunctionSandbox sandbox = builder().vcpus(3).build()) {
            MethodHandle recurse = sandbox.function("recurse", MethodType.methodType(long.class, long.class));
            List<Future<Long>> sums = new ArrayList<>();
            for (int i = 0; i < 6; i++) {
                sums.add(threads.submit(() -> {
                    long sum = 0;
                    for (int j = 0; j < 100; j++) {
                        sum += call(recurse, 10);
                    }
                    return sum;
                }));
            }
            for (Future<Long> sum : sums) {
                assertThat(sum.get(MINUTE, SECONDS)).isEqualTo(5500);
            }
        }
    }

    private static long call(MethodHandle function, long argument) {
        try {
            return (long) function.invokeExact(argument);
        } catch (RuntimeException | Error failure) {
            throw failure;
        } catch (Throwable checked) {
            throw new AssertionError(checked);
        }
    }

    @Test
    void aThousandPoisonedCallsLeaveNothingBehind() throws Exception {
        int cycles = Lane.repeats(1000);
        try (FunctionSandbox sandbox = builder().build()) {
            HostUse before = null;
            for (int i = 0; i < cycles; i++) {
                String crash = i % 2 == 0 ? "write_null" : "disorder";
                assertThatExceptionOfType(GuestCrashedException.class)
                        .isThrownBy(() -> sandbox.call(crash, void.class));
                sandbox.restore();
                assertThat(sandbox.call("get", long.class)).isEqualTo(7);
                sandbox.call("set", void.class, 9L);
                if (i == cycles / 2) {
                    before = HostUse.now();
                }
            }
            HostUse after = HostUse.now();
            assertThat(after.files()).isEqualTo(before.files());
            assertThat(after.kvmMappings()).isEqualTo(before.kvmMappings());
        }
    }

    @Test
    void aCallOfPrimitiveTypesAllocatesNothing() throws Throwable {
        assumeTrue(!Lane.isEmulated(), "only the first compiler runs in this lane, which leaves allocations in");
        try (FunctionSandbox sandbox = builder().build()) {
            MethodHandle recurse = sandbox.function("recurse", MethodType.methodType(long.class, long.class));
            var beans = (ThreadMXBean) ManagementFactory.getThreadMXBean();
            long allocated = Long.MAX_VALUE;
            for (int round = 0; round < 100 && allocated > 0; round++) {
                long before = beans.getCurrentThreadAllocatedBytes();
                for (int i = 0; i < 1000; i++) {
                    call(recurse, 1);
                }
                allocated = beans.getCurrentThreadAllocatedBytes() - before;
            }
            assertThat(allocated).isZero();
        }
    }
}
