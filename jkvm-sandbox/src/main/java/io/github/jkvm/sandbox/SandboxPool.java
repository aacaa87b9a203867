package io.github.jkvm.sandbox;

import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Keeps clean sandboxes ready, lends them out, and cleans those that come back in the background:
 *
 * <p>{@snippet lang = java :
 * try (var pool = new SandboxPool<>("workers", 4, () -> FunctionSandbox.builder(hypervisor, program).build())) {
 *     try (var loan = pool.take()) {
 *         loan.sandbox().call("work", String.class, input);
 *     }
 * }
 * }
 *
 * <p>Whoever takes a sandbox finds it as it was built, whatever its last user or its guest has done: it was {@linkplain Sandbox#restore() restored}, or made
 * anew if that failed or its user closed it. There are never more sandboxes than the pool's size, which bounds the memory that they take. Safe for use by
 * many threads.
 *
 * @param <S> the kind of sandbox
 */
public final class SandboxPool<S extends Sandbox> implements AutoCloseable {
    private final Supplier<S> maker;
    private final int size;
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();

    /** All sandboxes; each is ready, used or lent. */
    private final Set<S> alive = new HashSet<>();

    private final Deque<S> ready = new ArrayDeque<>();

    /** Those that came back and are to be cleaned. */
    private final Deque<S> used = new ArrayDeque<>();

    private final Thread worker;

    /** Why no sandbox could be made; the next who asks is told, and then it is tried again. */
    private @Nullable RuntimeException failure;

    private boolean closed;

    /**
     * Creates a pool and begins to fill it.
     *
     * @param name what the pool's thread is named
     * @param size how many sandboxes there are, lent ones included; 1 or more
     * @param maker makes a sandbox; called on the pool's thread
     * @throws IllegalArgumentException if the size is below 1
     */
    public SandboxPool(String name, int size, Supplier<S> maker) {
        if (size < 1) {
            throw new IllegalArgumentException("a pool of " + size + " sandboxes makes no sense; give 1 or more");
        }
        this.maker = Objects.requireNonNull(maker, "maker");
        this.size = size;
        this.worker = Thread.ofPlatform().name(name + "-pool").daemon().start(this::serve);
    }

    /** A sandbox that is lent. Closing it gives the sandbox back; its user must not touch the sandbox after that. */
    public final class Loan implements AutoCloseable {
        private final S sandbox;
        private boolean over;

        private Loan(S sandbox) {
            this.sandbox = sandbox;
        }

        /**
         * Returns the sandbox.
         *
         * @return the sandbox, clean when it was taken
         * @throws IllegalStateException if it was given back
         */
        public S sandbox() {
            lock.lock();
            try {
                if (over) {
                    throw new IllegalStateException("this sandbox was given back to its pool; take another");
                }
                return sandbox;
            } finally {
                lock.unlock();
            }
        }

        /** Ends the calls that still run in the sandbox and gives it back. Closing twice does nothing. */
        @Override
        public void close() {
            lock.lock();
            try {
                if (over || closed) {
                    return;
                }
                over = true;
                used.add(sandbox);
                changed.signalAll();
            } finally {
                lock.unlock();
            }
        }
    }

    private void serve() {
        while (awaitWork()) {
            S back = nextUsed();
            try {
                if (back == null || !isClean(back)) {
                    add(maker.get());
                } else {
                    add(back);
                }
            } catch (RuntimeException e) {
                fail(e);
            } catch (Error e) {
                // Such as memory that ran out: not to be waited for without end, either.
                fail(new IllegalStateException("a sandbox for the pool can't be made: " + e, e));
            }
        }
    }

    /** Waits until a sandbox is to be cleaned or made. Returns false if the pool is closed. */
    private boolean awaitWork() {
        lock.lock();
        try {
            while (!closed && used.isEmpty() && (failure != null || alive.size() >= size)) {
                changed.awaitUninterruptibly();
            }
            return !closed;
        } finally {
            lock.unlock();
        }
    }

    private @Nullable S nextUsed() {
        lock.lock();
        try {
            return used.poll();
        } finally {
            lock.unlock();
        }
    }

    /** Cleans a sandbox. If that can't be done, it is closed and forgotten. */
    private boolean isClean(S sandbox) {
        try {
            if (sandbox.state() != SandboxState.CLOSED) {
                sandbox.restore();
                return true;
            }
        } catch (RuntimeException | Error e) {
            // One that its user closes meanwhile ends here too. A host that is out of something shows when the next is
            // made.
            System.getLogger(SandboxPool.class.getName())
                    .log(System.Logger.Level.DEBUG, "a sandbox can't be restored; another takes its place", e);
        }
        forget(sandbox);
        sandbox.close();
        return false;
    }

    private void forget(S sandbox) {
        lock.lock();
        try {
            alive.remove(sandbox);
        } finally {
            lock.unlock();
        }
    }

    private void add(S sandbox) {
        lock.lock();
        try {
            if (!closed) {
                alive.add(sandbox);
                ready.add(sandbox);
                changed.signalAll();
                return;
            }
        } finally {
            lock.unlock();
        }
        sandbox.close();
    }

    private void fail(RuntimeException e) {
        lock.lock();
        try {
            failure = e;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /**
     * Takes a sandbox, and waits for one if none is ready.
     *
     * @return the sandbox, to be given back by closing the loan
     * @throws InterruptedException if the calling thread is interrupted
     * @throws IllegalStateException if the pool is closed, or gets closed meanwhile
     * @throws RuntimeException what the maker threw, if it could make none; the next call has it try again
     */
    public Loan take() throws InterruptedException {
        return Objects.requireNonNull(take(Long.MAX_VALUE));
    }

    /**
     * Takes a sandbox, and waits a while for one if none is ready.
     *
     * @param patience how long to wait; zero or negative does not wait
     * @return the sandbox, to be given back by closing the loan
     * @throws InterruptedException if the calling thread is interrupted
     * @throws IllegalStateException if none got ready in time, or the pool is closed
     * @throws RuntimeException what the maker threw, if it could make none; the next call has it try again
     */
    public Loan take(Duration patience) throws InterruptedException {
        Loan loan = take(TimeUnit.NANOSECONDS.convert(patience));
        if (loan == null) {
            throw new IllegalStateException("none of the pool's " + size + " sandboxes got ready within " + patience
                    + "; give those back that are done with, or make the pool larger");
        }
        return loan;
    }

    private @Nullable Loan take(long nanos) throws InterruptedException {
        long left = nanos;
        lock.lockInterruptibly();
        try {
            while (true) {
                if (closed) {
                    throw new IllegalStateException("the pool is closed");
                }
                S sandbox = ready.poll();
                if (sandbox != null) {
                    return new Loan(sandbox);
                }
                RuntimeException why = failure;
                if (why != null) {
                    failure = null;
                    changed.signalAll();
                    throw why;
                }
                if (left <= 0) {
                    return null;
                }
                left = changed.awaitNanos(left);
            }
        } finally {
            lock.unlock();
        }
    }

    /**
     * Returns how many sandboxes are ready.
     *
     * @return the number at this moment
     */
    public int ready() {
        lock.lock();
        try {
            return ready.size();
        } finally {
            lock.unlock();
        }
    }

    /** Closes all sandboxes, also those that are lent, and waits for it. Closing twice does nothing. */
    @Override
    public void close() {
        List<S> last;
        lock.lock();
        try {
            closed = true;
            last = List.copyOf(alive);
            alive.clear();
            ready.clear();
            used.clear();
            changed.signalAll();
        } finally {
            lock.unlock();
        }
        last.forEach(Sandbox::close);
        boolean interrupted = false;
        while (worker.isAlive() && worker != Thread.currentThread()) {
            try {
                worker.join();
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
