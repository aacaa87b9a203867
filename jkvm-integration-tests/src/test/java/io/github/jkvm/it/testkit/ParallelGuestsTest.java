package io.github.jkvm.it.testkit;

import static io.github.jkvm.testkit.GuestAssertions.assertThat;
import static io.github.jkvm.testkit.asm.Mem.mem;
import static io.github.jkvm.testkit.asm.Reg32.EAX;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;

import io.github.jkvm.it.HostUse;
import io.github.jkvm.testkit.MicroGuest;
import io.github.jkvm.testkit.MicroVm;
import io.github.jkvm.testkit.RequiresKvm;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.RepetitionInfo;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;
import org.junit.platform.launcher.listeners.SummaryGeneratingListener;

@RequiresKvm
class ParallelGuestsTest {
    private static final int TESTS = 200;

    /** Not run by itself: tests that run in parallel, each with a guest of its own. */
    @MicroVm
    @Execution(ExecutionMode.CONCURRENT)
    static class ManyCase {
        static final Set<Thread> THREADS = ConcurrentHashMap.newKeySet();

        @RepeatedTest(TESTS)
        void answers(MicroGuest guest, RepetitionInfo info) {
            THREADS.add(Thread.currentThread());
            int number = info.getCurrentRepetition();
            guest.load(code -> code.mov(EAX, number).mov(mem(0x10_0000), EAX).hlt());
            assertThat(guest).halts().hasInt(0x10_0000, number);
        }
    }

    @Test
    void twoHundredTestsWithAFreshGuestEachLeaveNothingBehind() {
        // What the JVM and JUnit open once is open after the first time.
        run();
        HostUse before = HostUse.now();
        ManyCase.THREADS.clear();

        SummaryGeneratingListener listener = run();

        assertThat(listener.getSummary().getFailures()).isEmpty();
        assertThat(listener.getSummary().getTestsSucceededCount()).isEqualTo(TESTS);
        assertThat(ManyCase.THREADS).as("threads that ran tests").hasSizeGreaterThan(1);
        HostUse after = HostUse.now();
        assertThat(after.files()).isEqualTo(before.files());
        assertThat(after.kvmMappings()).isEqualTo(before.kvmMappings());
    }

    private static SummaryGeneratingListener run() {
        var listener = new SummaryGeneratingListener();
        LauncherFactory.create()
                .execute(
                        LauncherDiscoveryRequestBuilder.request()
                                .selectors(selectClass(ManyCase.class))
                                .configurationParameter("junit.jupiter.execution.parallel.enabled", "true")
                                .configurationParameter("junit.jupiter.execution.parallel.config.strategy", "fixed")
                                .configurationParameter(
                                        "junit.jupiter.execution.parallel.config.fixed.parallelism", "4")
                                .build(),
                        listener);
        return listener;
    }
}
