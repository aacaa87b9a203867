package io.github.jkvm.machine;

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
 * Keeps machines ready to start, hands them out and makes others in their place in the background:
 *
 * <p>{@snippet lang = java :
 * try (var pool = new VmPool("workers", 4, 32, () -> Machine.restore(hypervisor, snapshot).build())) {
 *     try (Machine machine = pool.take()) {
 *         machine.start();
 *         machine.awaitExit(Duration.ofSeconds(10));
 *     }
 * }
 * }
 *
 * <p>A machine is handed out once: the user closes it, and the pool makes another. The number of machines there are at a time is bounded, and with it the
 * memory that they take. Safe for use by many threads.
 */
public final class VmPool implements AutoCloseable {
    private final Supplier<Machine> maker;
    private final int ready;
    private final int limit;
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();
    private final Deque<Machine> waiting = new ArrayDeque<>();

    /** Those waiting and those handed out. */
    private final Set<Machine> alive = new HashSet<>();

    private final Thread worker;

    /** Why no machine could be made; the next who asks is told, and then it is tried again. */
    private @Nullable RuntimeException failure;

    private boolean closed;

    /**
     * Creates a pool and begins to fill it.
     *
     * @param name what the pool's thread is named
     * @param ready how many machines are kept ready, 1 or more
     * @param limit how many there may be at a time, those handed out and not closed included; {@code ready} or more
     * @param maker makes a machine that is not started, such as {@code Machine.restore(...)...build()}; called on the pool's thread
     * @throws IllegalArgumentException if a number is out of range
     */
    public VmPool(String name, int ready, int limit, Supplier<Machine> maker) {
        if (ready < 1 || limit < ready) {
            throw new IllegalArgumentException("a pool that keeps " + ready + " machines ready and has at most " + limit
                    + ": the first must be 1 or more, and the second not less than the first");
        }
        this.maker = Objects.requireNonNull(maker, "maker");
        this.ready = ready;
        this.limit = limit;
        this.worker = Thread.ofPlatform().name(name + "-pool").daemon().start(this::fill);
    }

    private void fill() {
        while (awaitRoom()) {
            try {
                Machine machine = maker.get();
                add(machine);
                machine.whenClosed(() -> forget(machine));
            } catch (RuntimeException e) {
                fail(e);
            } catch (Error e) {
                // Such as memory that ran out: not to be waited for without end, either.
                fail(new IllegalStateException("a machine for the pool can't be made: " + e, e));
            }
        }
    }

    /** Waits until another machine is wanted. Returns false if the pool is closed. */
    private boolean awaitRoom() {
        lock.lock();
        try {
            while (!closed && (failure != null || waiting.size() >= ready || alive.size() >= limit)) {
                changed.awaitUninterruptibly();
            }
            return !closed;
        } finally {
            lock.unlock();
        }
    }

    private void add(Machine machine) {
        lock.lock();
        try {
            if (!closed) {
                alive.add(machine);
                waiting.add(machine);
                changed.signalAll();
                return;
            }
        } finally {
            lock.unlock();
        }
        machine.close();
    }

    private void forget(Machine machine) {
        lock.lock();
        try {
            alive.remove(machine);
            waiting.remove(machine);
            changed.signalAll();
        } finally {
            lock.unlock();
        }
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
     * Takes a machine, and waits for one if none is ready.
     *
     * @return a machine that is not started, to be closed by the caller
     * @throws InterruptedException if the calling thread is interrupted
     * @throws IllegalStateException if the pool is closed, or gets closed meanwhile
     * @throws RuntimeException what the maker threw, if it could make none; the next call has it try again
     */
    public Machine take() throws InterruptedException {
        return Objects.requireNonNull(take(Long.MAX_VALUE));
    }

    /**
     * Takes a machine, and waits a while for one if none is ready.
     *
     * @param patience how long to wait; zero or negative does not wait
     * @return a machine that is not started, to be closed by the caller
     * @throws InterruptedException if the calling thread is interrupted
     * @throws IllegalStateException if none got ready in time, or the pool is closed
     * @throws RuntimeException what the maker threw, if it could make none; the next call has it try again
     */
    public Machine take(Duration patience) throws InterruptedException {
        Machine machine = take(TimeUnit.NANOSECONDS.convert(patience));
        if (machine == null) {
            throw new IllegalStateException("no machine got ready within " + patience + ", with " + handedOut()
                    + " of at most " + limit + " handed out; close those that are done, or raise the limit");
        }
        return machine;
    }

    private @Nullable Machine take(long nanos) throws InterruptedException {
        long left = nanos;
        lock.lockInterruptibly();
        try {
            while (true) {
                if (closed) {
                    throw new IllegalStateException("the pool is closed");
                }
                Machine machine = waiting.poll();
                if (machine != null) {
                    changed.signalAll();
                    return machine;
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
     * Returns how many machines are ready.
     *
     * @return the number at this moment
     */
    public int ready() {
        lock.lock();
        try {
            return waiting.size();
        } finally {
            lock.unlock();
        }
    }

    /**
     * Returns how many machines were handed out and not closed yet.
     *
     * @return the number at this moment
     */
    public int handedOut() {
        lock.lock();
        try {
            return alive.size() - waiting.size();
        } finally {
            lock.unlock();
        }
    }

    /** Closes all machines, also those handed out, and waits for it. Closing twice does nothing. */
    @Override
    public void close() {
        List<Machine> last;
        lock.lock();
        try {
            closed = true;
            last = List.copyOf(alive);
            changed.signalAll();
        } finally {
            lock.unlock();
        }
        last.forEach(Machine::close);
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
