package io.github.jkvm.machine.pool;

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
import org.jspecify.annotations.Nullable;

/**
 * Keeps things ready that take time to make: hands them out, and makes others, or cleans those that come back, in the background. How many there are at a time is
 * bounded. Safe for use by many threads.
 *
 * @param <T> the things, told apart by identity
 */
public final class Stock<T> implements AutoCloseable {
    private final Source<T> source;
    private final int wanted;
    private final int limit;
    private final Thread worker;
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();
    private final Deque<T> ready = new ArrayDeque<>();

    /** Those that came back and are to be cleaned. */
    private final Deque<T> returned = new ArrayDeque<>();

    /** All of them: ready, returned and handed out. */
    private final Set<T> alive = new HashSet<>();

    /** Why none could be made; the next who asks is told, and then it is tried again. */
    private @Nullable RuntimeException failure;

    private boolean closed;

    /**
     * Where the things come from.
     *
     * @param <T> the things
     */
    public interface Source<T> {
        /**
         * Makes one. On the stock's thread.
         *
         * @return a new thing
         */
        T make();

        /**
         * Makes one like new. On the stock's thread.
         *
         * @param thing what came back
         * @return false if that can't be done
         */
        boolean clean(T thing);

        /**
         * Closes one for good; called once for each that the stock still has, by whoever has to do with it.
         *
         * @param thing what is not needed any more
         */
        void close(T thing);
    }

    /**
     * Creates a stock, empty until {@link #start}.
     *
     * @param name what its thread is named
     * @param wanted how many are kept ready, 1 or more
     * @param limit how many there may be at a time, not less than {@code wanted}
     * @param source where they come from
     */
    public Stock(String name, int wanted, int limit, Source<T> source) {
        this.source = Objects.requireNonNull(source, "source");
        this.wanted = wanted;
        this.limit = limit;
        this.worker = Thread.ofPlatform().name(name + "-pool").daemon().unstarted(this::serve);
    }

    /**
     * Begins to fill it.
     *
     * @return this
     */
    public Stock<T> start() {
        worker.start();
        return this;
    }

    private void serve() {
        while (awaitWork()) {
            T back = nextReturned();
            try {
                if (back == null) {
                    add(source.make());
                } else if (isClean(back)) {
                    add(back);
                }
            } catch (RuntimeException e) {
                fail(e);
            } catch (Error e) {
                // Such as memory that ran out: not to be waited for without end, either.
                fail(new IllegalStateException("nothing can be made for the pool: " + e, e));
            }
        }
    }

    /** Waits until one is to be cleaned or made. Returns false if the stock is closed. */
    private boolean awaitWork() {
        lock.lock();
        try {
            while (!closed
                    && returned.isEmpty()
                    && (failure != null || ready.size() >= wanted || alive.size() >= limit)) {
                changed.awaitUninterruptibly();
            }
            return !closed;
        } finally {
            lock.unlock();
        }
    }

    private @Nullable T nextReturned() {
        lock.lock();
        try {
            return returned.poll();
        } finally {
            lock.unlock();
        }
    }

    /** Cleans one. If that can't be done, it is closed and forgotten. */
    private boolean isClean(T thing) {
        boolean clean = false;
        try {
            clean = source.clean(thing);
        } finally {
            if (!clean) {
                forget(thing);
                source.close(thing);
            }
        }
        return clean;
    }

    private void add(T thing) {
        lock.lock();
        try {
            if (!closed) {
                alive.add(thing);
                ready.add(thing);
                changed.signalAll();
                return;
            }
        } finally {
            lock.unlock();
        }
        source.close(thing);
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
     * Takes one, and waits for it if none is ready.
     *
     * @return one that was ready
     * @throws InterruptedException if the calling thread is interrupted
     * @throws IllegalStateException if the stock is closed, or gets closed meanwhile
     * @throws RuntimeException what the source threw, if it could make none; the next call has it try again
     */
    public T take() throws InterruptedException {
        return Objects.requireNonNull(take(Long.MAX_VALUE));
    }

    /**
     * Takes one, and waits a while for it if none is ready.
     *
     * @param patience how long to wait; zero or negative does not wait
     * @return one that was ready, or null if none got so in time
     * @throws InterruptedException if the calling thread is interrupted
     * @throws IllegalStateException if the stock is closed, or gets closed meanwhile
     * @throws RuntimeException what the source threw, if it could make none; the next call has it try again
     */
    public @Nullable T take(Duration patience) throws InterruptedException {
        return take(TimeUnit.NANOSECONDS.convert(patience));
    }

    private @Nullable T take(long nanos) throws InterruptedException {
        long left = nanos;
        lock.lockInterruptibly();
        try {
            while (true) {
                if (closed) {
                    throw new IllegalStateException("the pool is closed");
                }
                T thing = ready.poll();
                if (thing != null) {
                    changed.signalAll();
                    return thing;
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
     * Gives one back that was taken, to be cleaned. Does nothing once the stock is closed.
     *
     * @param thing what was taken and not given back yet
     */
    public void giveBack(T thing) {
        lock.lock();
        try {
            if (!closed) {
                returned.add(thing);
                changed.signalAll();
            }
        } finally {
            lock.unlock();
        }
    }

    /**
     * Lets another take the place of one that is gone for good.
     *
     * @param thing what is gone
     */
    public void forget(T thing) {
        lock.lock();
        try {
            alive.remove(thing);
            ready.remove(thing);
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /**
     * Returns how many are ready.
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

    /**
     * Returns how many were taken, and neither given back nor forgotten.
     *
     * @return the number at this moment
     */
    public int handedOut() {
        lock.lock();
        try {
            return alive.size() - ready.size() - returned.size();
        } finally {
            lock.unlock();
        }
    }

    /** Closes all, also those handed out, and waits for the stock's thread. Closing twice does nothing. */
    @Override
    public void close() {
        List<T> last;
        lock.lock();
        try {
            closed = true;
            last = List.copyOf(alive);
            changed.signalAll();
        } finally {
            lock.unlock();
        }
        last.forEach(source::close);
        boolean interrupted = false;
        while (worker.isAlive() && worker != Thread.currentThread()) {
            try {
                worker.join();
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        lock.lock();
        try {
            alive.clear();
            ready.clear();
            returned.clear();
        } finally {
            lock.unlock();
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
