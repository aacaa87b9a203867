package io.github.jkvm.sandbox;

import io.github.jkvm.machine.pool.Stock;
import java.time.Duration;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Supplier;

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
    private final int size;
    private final Stock<S> stock;

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
        this.size = size;
        this.stock = new Stock<>(name, size, size, new Sandboxes<>(Objects.requireNonNull(maker, "maker"))).start();
    }

    private record Sandboxes<S extends Sandbox>(Supplier<S> maker) implements Stock.Source<S> {
        @Override
        public S make() {
            return maker.get();
        }

        @Override
        public boolean clean(S sandbox) {
            if (sandbox.state() == SandboxState.CLOSED) {
                return false;
            }
            try {
                sandbox.restore();
                return true;
            } catch (RuntimeException e) {
                // One that its user closes meanwhile ends here too. A host that is out of something shows when the next
                // is made.
                System.getLogger(SandboxPool.class.getName())
                        .log(System.Logger.Level.DEBUG, "a sandbox can't be restored; another takes its place", e);
                return false;
            }
        }

        @Override
        public void close(S sandbox) {
            sandbox.close();
        }
    }

    /** A sandbox that is lent. Closing it gives the sandbox back; its user must not touch the sandbox after that. */
    public final class Loan implements AutoCloseable {
        private final S sandbox;
        private final AtomicBoolean over = new AtomicBoolean();

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
            if (over.get()) {
                throw new IllegalStateException("this sandbox was given back to its pool; take another");
            }
            return sandbox;
        }

        /** Gives the sandbox back; calls that still run in it are cancelled. Closing twice does nothing. */
        @Override
        public void close() {
            if (over.compareAndSet(false, true)) {
                stock.giveBack(sandbox);
            }
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
        return new Loan(stock.take());
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
        S sandbox = stock.take(patience);
        if (sandbox == null) {
            throw new IllegalStateException("none of the pool's " + size + " sandboxes got ready within " + patience
                    + "; give those back that are done with, or make the pool larger");
        }
        return new Loan(sandbox);
    }

    /**
     * Returns how many sandboxes are ready.
     *
     * @return the number at this moment
     */
    public int ready() {
        return stock.ready();
    }

    /** Closes all sandboxes, also those that are lent, and waits for it. Closing twice does nothing. */
    @Override
    public void close() {
        stock.close();
    }
}
