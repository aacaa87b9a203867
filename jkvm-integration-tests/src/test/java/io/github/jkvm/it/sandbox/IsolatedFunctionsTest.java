package io.github.jkvm.it.sandbox;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.github.jkvm.Hypervisor;
import io.github.jkvm.sandbox.FunctionSandbox;
import io.github.jkvm.sandbox.FunctionSandboxBuilder;
import io.github.jkvm.sandbox.GuestCrashedException;
import io.github.jkvm.sandbox.GuestErrorException;
import io.github.jkvm.sandbox.Isolation;
import io.github.jkvm.sandbox.Limit;
import io.github.jkvm.sandbox.LimitExceededException;
import io.github.jkvm.sandbox.Limits;
import io.github.jkvm.sandbox.SandboxProcessException;
import io.github.jkvm.sandbox.SandboxState;
import io.github.jkvm.testkit.RequiresKvm;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodType;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** A guest in a process of its own is called as one in this process is, and the end of that process is an exception here. */
@RequiresKvm
class IsolatedFunctionsTest {
    private final Hypervisor hypervisor = Hypervisor.open();
    private final ExecutorService threads = Executors.newCachedThreadPool();
    private List<ProcessHandle> before;

    @BeforeEach
    void countProcesses() {
        before = ProcessHandle.current().descendants().toList();
    }

    @AfterEach
    void close() {
        threads.close();
        hypervisor.close();
    }

    /** The processes that the test has started and that have not ended. */
    private List<ProcessHandle> children() {
        return ProcessHandle.current()
                .descendants()
                .filter(handle -> !before.contains(handle))
                .toList();
    }

    /** The host's functions of the guest. */
    interface Host {
        long host_add(long a, long b);

        long host_meet(long value) throws InterruptedException;
    }

    private FunctionSandboxBuilder isolated() {
        var both = new CountDownLatch(2);
        Host functions = new Host() {
            @Override
            public long host_add(long a, long b) {
                return Math.addExact(a, b);
            }

            @Override
            public long host_meet(long value) throws InterruptedException {
                // Returns once two calls are here.
                both.countDown();
                both.await();
                return value;
            }
        };
        return FunctionSandbox.builder(hypervisor, GuestBuild.resource("isolated.c"))
                .isolation(Isolation.PROCESS)
                .limits(Limits.DEFAULT.withDeadline(Duration.ofMinutes(1)))
                .hostFunctions(Host.class, functions);
    }

    /** One test for all that needs no process in a state of its own: each start takes a JVM's time, which is long on an emulated processor. */
    @Test
    void worksAsWithoutAProcessAndTellsOfItsEnd() throws Throwable {
        try (FunctionSandbox sandbox = isolated()
                .vcpus(2)
                .limits(Limits.DEFAULT.withDeadline(Duration.ofSeconds(10)))
                .build()) {
            assertThat(children()).isNotEmpty();
            carriesValuesAndErrorsBothWays(sandbox);
            runsSeveralCallsAtOnce(sandbox);
            crashesAndLimitsPoisonAndRestoringCures(sandbox);
            assertThat(sandbox.call("count", long.class)).isEqualTo(1);
            kill();
            assertThatExceptionOfType(SandboxProcessException.class)
                    .isThrownBy(() -> sandbox.call("count", long.class))
                    .withMessageContaining("the process of the sandbox");
            assertThat(sandbox.state()).isEqualTo(SandboxState.POISONED);
            sandbox.restore();
            assertThat(sandbox.call("count", long.class)).isEqualTo(1);
        }
        assertThat(children()).isEmpty();
    }

    private static void carriesValuesAndErrorsBothWays(FunctionSandbox sandbox) throws Throwable {
        MethodHandle add = sandbox.function("add", MethodType.methodType(long.class, long.class, long.class));
        for (long i = 0; i < 100; i++) {
            assertThat((long) add.invokeExact(i, 5L)).isEqualTo(i + 5);
        }
        // More than is sent in one piece, and with zeros at the end.
        byte[] bytes = new byte[100_000];
        Arrays.fill(bytes, 0, 70_000, (byte) 3);
        assertThat(sandbox.call("same_bytes", byte[].class, (Object) bytes)).isEqualTo(bytes);
        assertThat(sandbox.call("ask_add", long.class, 40L, 2L)).isEqualTo(42);
        assertThatExceptionOfType(GuestErrorException.class)
                .isThrownBy(() -> sandbox.call("ask_add", long.class, Long.MAX_VALUE, 1L))
                .withMessage("long overflow")
                .withCauseInstanceOf(ArithmeticException.class);
        assertThat(sandbox.state()).isEqualTo(SandboxState.READY);
    }

    private void runsSeveralCallsAtOnce(FunctionSandbox sandbox) throws Exception {
        Future<Long> first = threads.submit(() -> sandbox.call("ask_meet", long.class, 1L));
        assertThat(sandbox.call("ask_meet", long.class, 2L)).isEqualTo(2);
        assertThat(first.get()).isEqualTo(1);
    }

    private static void crashesAndLimitsPoisonAndRestoringCures(FunctionSandbox sandbox) {
        assertThatExceptionOfType(GuestCrashedException.class)
                .isThrownBy(() -> sandbox.call("write_null", void.class))
                .withMessageStartingWith("the guest ");
        sandbox.restore();
        assertThat(sandbox.call("count", long.class)).isEqualTo(1);
        assertThat(sandbox.call("count", long.class)).isEqualTo(2);
        assertThatExceptionOfType(LimitExceededException.class)
                .isThrownBy(() -> sandbox.call("loop", void.class))
                .matches(e -> e.limit() == Limit.DEADLINE);
        sandbox.restore();
    }

    @Test
    void countsWhatTheProcessWorksAndGoesBackToACheckpointOnlyInTheProcessThatHasIt() throws Exception {
        try (FunctionSandbox sandbox = isolated()
                .limits(Limits.DEFAULT.withDeadline(Duration.ofMinutes(2)).withCpuTime(Duration.ofSeconds(3)))
                .build()) {
            sandbox.call("count", long.class);
            sandbox.checkpoint();
            assertThatExceptionOfType(LimitExceededException.class)
                    .isThrownBy(() -> sandbox.call("loop", void.class))
                    .matches(e -> e.limit() == Limit.CPU_TIME);
            sandbox.restore();
            assertThat(sandbox.call("count", long.class)).isEqualTo(2);
            sandbox.restore();
            assertThat(sandbox.call("count", long.class)).isEqualTo(2);
            kill();
            assertThatExceptionOfType(SandboxProcessException.class)
                    .isThrownBy(() -> sandbox.call("count", long.class));
            assertThatExceptionOfType(SandboxProcessException.class)
                    .isThrownBy(sandbox::restore)
                    .withMessageContaining("the guest's checkpoint with it");
        }
    }

    private void kill() {
        // All of them: the one that waits for the JVM, and the JVM.
        List<ProcessHandle> victims = children();
        victims.forEach(ProcessHandle::destroyForcibly);
        victims.forEach(victim -> victim.onExit().join());
    }

    @Test
    void refusesAGuestThatIsNone() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> FunctionSandbox.builder(hypervisor, new byte[100])
                        .isolation(Isolation.PROCESS)
                        .build());
        assertThat(children()).isEmpty();
    }
}
