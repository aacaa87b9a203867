package io.github.jkvm.sandbox;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

class SandboxPoolTest {
    private static final Duration LONG = Duration.ofMinutes(1);

    private final List<Fake> made = new CopyOnWriteArrayList<>();

    /** A sandbox of which only the state is there. */
    private static final class Fake implements Sandbox {
        final AtomicInteger restored = new AtomicInteger();
        volatile SandboxState state = SandboxState.READY;
        volatile boolean breaks;

        @Override
        public SandboxState state() {
            return state;
        }

        @Override
        public void restore() {
            if (breaks) {
                throw new SandboxException("restoring fails in this test");
            }
            restored.incrementAndGet();
            state = SandboxState.READY;
        }

        @Override
        public void cancel() {
            state = SandboxState.POISONED;
        }

        @Override
        public void close() {
            state = SandboxState.CLOSED;
        }
    }

    private Fake make() {
        var fake = new Fake();
        made.add(fake);
        return fake;
    }

    @Test
    void lendsASandboxAgainOnceItIsClean() throws Exception {
        try (var pool = new SandboxPool<>("test", 1, this::make)) {
            try (var loan = pool.take(LONG)) {
                loan.sandbox().cancel();
            }
            try (var loan = pool.take(LONG)) {
                assertThat(loan.sandbox().state()).isEqualTo(SandboxState.READY);
                assertThat(loan.sandbox().restored).hasValue(1);
            }
        }
        assertThat(made).hasSize(1);
    }

    @Test
    void replacesASandboxThatWasClosedOrDoesNotComeBack() throws Exception {
        try (var pool = new SandboxPool<>("test", 1, this::make)) {
            try (var loan = pool.take(LONG)) {
                loan.sandbox().state = SandboxState.CLOSED;
            }
            try (var loan = pool.take(LONG)) {
                loan.sandbox().breaks = true;
            }
            try (var loan = pool.take(LONG)) {
                assertThat(loan.sandbox()).isSameAs(made.get(2));
            }
        }
        assertThat(made.get(1).state).isEqualTo(SandboxState.CLOSED);
    }

    @Test
    void neverHasMoreThanItsSize() throws Exception {
        var concurrent = new AtomicInteger();
        var most = new AtomicInteger();
        try (var pool = new SandboxPool<>("test", 3, this::make)) {
            List<Thread> threads = new ArrayList<>();
            var failed = new CompletableFuture<Throwable>();
            for (int i = 0; i < 8; i++) {
                threads.add(Thread.ofPlatform().start(() -> {
                    try {
                        for (int turn = 0; turn < 50; turn++) {
                            try (var loan = pool.take(LONG)) {
                                most.accumulateAndGet(concurrent.incrementAndGet(), Math::max);
                                loan.sandbox().cancel();
                                concurrent.decrementAndGet();
                            }
                        }
                    } catch (InterruptedException | RuntimeException e) {
                        failed.complete(e);
                    }
                }));
            }
            for (Thread thread : threads) {
                thread.join();
            }
            assertThat(failed).isNotDone();
        }
        assertThat(most.get()).isBetween(1, 3);
        assertThat(made).hasSizeLessThanOrEqualTo(3);
    }

    @Test
    void doesNotLendWhatIsLent() throws Exception {
        try (var pool = new SandboxPool<>("test", 1, this::make);
                var loan = pool.take(LONG)) {
            assertThat(loan.sandbox()).isSameAs(made.getFirst());
            assertThatIllegalStateException()
                    .isThrownBy(() -> pool.take(Duration.ZERO))
                    .withMessageContaining("none of the pool's 1 sandboxes got ready within PT0S");
        }
    }

    @Test
    void aLoanIsOverOnce() throws Exception {
        try (var pool = new SandboxPool<>("test", 1, this::make)) {
            var first = pool.take(LONG);
            first.close();
            first.close();
            assertThatIllegalStateException().isThrownBy(first::sandbox).withMessageContaining("given back");
            try (var second = pool.take(LONG)) {
                first.close();
                assertThat(pool.ready()).isZero();
                assertThat(second.sandbox().restored).hasValue(1);
            }
        }
    }

    @Test
    void tellsOnceWhyNoneCanBeMadeAndTriesAgain() throws Exception {
        var tries = new AtomicInteger();
        try (var pool = new SandboxPool<>("test", 1, () -> {
            if (tries.incrementAndGet() == 1) {
                throw new SandboxException("the host has no memory left");
            }
            return make();
        })) {
            assertThatThrownBy(() -> pool.take(LONG)).hasMessage("the host has no memory left");
            try (var loan = pool.take(LONG)) {
                assertThat(loan.sandbox()).isSameAs(made.getFirst());
            }
        }
    }

    @Test
    void closesAllAndEndsTheWaits() throws Exception {
        var begun = new CountDownLatch(1);
        var waiter = new CompletableFuture<Throwable>();
        var pool = new SandboxPool<>("test", 1, this::make);
        var loan = pool.take(LONG);
        Fake lent = loan.sandbox();
        Thread thread = Thread.ofPlatform().start(() -> {
            begun.countDown();
            try (var other = pool.take()) {
                waiter.completeExceptionally(new AssertionError(
                        "was lent one that is " + other.sandbox().state()));
            } catch (InterruptedException | RuntimeException e) {
                waiter.complete(e);
            }
        });
        begun.await();
        pool.close();
        pool.close();
        assertThat(waiter.get(1, TimeUnit.MINUTES)).hasMessage("the pool is closed");
        thread.join();
        assertThat(lent.state).isEqualTo(SandboxState.CLOSED);
        loan.close();
        assertThatIllegalStateException().isThrownBy(pool::take);
    }

    @Test
    void refusesASizeThatMakesNoSense() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new SandboxPool<>("test", 0, this::make))
                .withMessage("a pool of 0 sandboxes makes no sense; give 1 or more");
    }
}
