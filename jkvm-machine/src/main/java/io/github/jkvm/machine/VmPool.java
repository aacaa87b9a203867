package io.github.jkvm.machine;

import io.github.jkvm.machine.pool.Stock;
import java.time.Duration;
import java.util.Objects;
import java.util.function.Supplier;

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
    private final Stock<Machine> stock;
    private final int limit;

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
        this.limit = limit;
        this.stock = new Stock<>(name, ready, limit, new Machines(Objects.requireNonNull(maker, "maker")));
        stock.start();
    }

    private final class Machines implements Stock.Source<Machine> {
        private final Supplier<Machine> maker;

        Machines(Supplier<Machine> maker) {
            this.maker = maker;
        }

        @Override
        public Machine make() {
            Machine machine = maker.get();
            machine.whenClosed(() -> stock.forget(machine));
            return machine;
        }

        @Override
        public boolean clean(Machine machine) {
            // Used once; none comes back.
            return false;
        }

        @Override
        public void close(Machine machine) {
            machine.close();
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
        return stock.take();
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
        Machine machine = stock.take(patience);
        if (machine == null) {
            throw new IllegalStateException("no machine got ready within " + patience + ", with " + handedOut()
                    + " of at most " + limit + " handed out; close those that are done, or raise the limit");
        }
        return machine;
    }

    /**
     * Returns how many machines are ready.
     *
     * @return the number at this moment
     */
    public int ready() {
        return stock.ready();
    }

    /**
     * Returns how many machines were handed out and not closed yet.
     *
     * @return the number at this moment
     */
    public int handedOut() {
        return stock.handedOut();
    }

    /** Closes all machines, also those handed out, and waits for it. Closing twice does nothing. */
    @Override
    public void close() {
        stock.close();
    }
}
