package io.github.jkvm.virtio;

import io.github.jkvm.Doorbell;
import io.github.jkvm.EventLoop;
import io.github.jkvm.EventSource;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.Queue;
import java.util.function.BooleanSupplier;
import java.util.function.IntConsumer;

/**
 * An event loop whose thread is the test's: nothing happens before {@link #run}, and time passes only by {@link #advance}. Other
 * threads may give it code; {@link #runUntil} waits for them.
 */
public final class ManualEventLoop implements EventLoop {
    private static final Duration PATIENCE = Duration.ofSeconds(20);

    private final Thread thread = Thread.currentThread();
    private final Queue<Runnable> waiting = new ArrayDeque<>();
    private final List<Delayed> delayed = new ArrayList<>();
    private final List<Ready> sources = new ArrayList<>();
    private long now;
    private boolean closed;

    private record Delayed(long due, Runnable action) {}

    private record Ready(EventSource source, IntConsumer action) {}

    /** Creates a loop of the calling thread. */
    public ManualEventLoop() {}

    /** Returns this loop for someone who closes it; that is to have no effect on others. */
    EventLoop shared() {
        return new EventLoop() {
            @Override
            public Registration onRing(Doorbell doorbell, Runnable action) {
                return ManualEventLoop.this.onRing(doorbell, action);
            }

            @Override
            public Registration onReady(EventSource source, IntConsumer action) {
                return ManualEventLoop.this.onReady(source, action);
            }

            @Override
            public Registration schedule(Duration delay, Runnable action) {
                return ManualEventLoop.this.schedule(delay, action);
            }

            @Override
            public void execute(Runnable action) {
                ManualEventLoop.this.execute(action);
            }

            @Override
            public boolean inLoop() {
                return ManualEventLoop.this.inLoop();
            }

            @Override
            public void close() {}
        };
    }

    /** Runs all code given to the loop so far, and what that gives to it, up to a bound. */
    public void run() {
        for (int i = 0; i < 100_000; i++) {
            Optional<Runnable> next = next();
            if (next.isEmpty()) {
                return;
            }
            next.get().run();
        }
        throw new AssertionError("code given to the loop gives more code to it without end");
    }

    private synchronized Optional<Runnable> next() {
        return Optional.ofNullable(waiting.poll());
    }

    /** Runs code, also what other threads give to the loop, until something holds; fails after 20 s. */
    public void runUntil(BooleanSupplier condition) {
        long limit = System.nanoTime() + PATIENCE.toNanos();
        while (true) {
            run();
            if (condition.getAsBoolean()) {
                return;
            }
            synchronized (this) {
                long left = limit - System.nanoTime();
                if (left <= 0) {
                    throw new AssertionError("what the test waits for did not happen in " + PATIENCE);
                }
                try {
                    if (waiting.isEmpty()) {
                        // Nobody tells of sources: the condition may look at them.
                        wait(Math.min(left / 1_000_000 + 1, sources.isEmpty() ? 50 : 2));
                    }
                } catch (InterruptedException e) {
                    throw new AssertionError(e);
                }
            }
        }
    }

    /** Lets time pass, and runs what falls due, in order. */
    public void advance(Duration time) {
        run();
        long end = now + time.toNanos();
        while (true) {
            Optional<Delayed> next = takeDue(end);
            if (next.isEmpty()) {
                break;
            }
            now = Math.max(now, next.get().due());
            next.get().action().run();
            run();
        }
        now = end;
    }

    private synchronized Optional<Delayed> takeDue(long end) {
        Optional<Delayed> next = delayed.stream().min(Comparator.comparingLong(Delayed::due));
        if (next.isEmpty() || next.get().due() > end) {
            return Optional.empty();
        }
        delayed.remove(next.get());
        return next;
    }

    /** Returns the time that has passed, in nanoseconds. */
    public synchronized long nanoTime() {
        return now;
    }

    /** Returns how many pieces of code wait for their time. */
    public synchronized int timers() {
        return delayed.size();
    }

    /** Tells that a source has become ready. */
    public void ready(EventSource source, int events) {
        for (Ready each : List.copyOf(sources)) {
            if (each.source().equals(source)) {
                each.action().accept(events);
            }
        }
    }

    /** Has everyone look at the source they wait for, whether it is ready or not. */
    public void checkSources() {
        for (Ready each : List.copyOf(sources)) {
            each.action().accept(EventSource.READABLE);
        }
    }

    @Override
    public Registration onRing(Doorbell doorbell, Runnable action) {
        return ((FakeBus.Bell) doorbell).register(action);
    }

    @Override
    public synchronized Registration onReady(EventSource source, IntConsumer action) {
        var ready = new Ready(source, action);
        sources.add(ready);
        return () -> sources.remove(ready);
    }

    @Override
    public synchronized Registration schedule(Duration delay, Runnable action) {
        checkOpen();
        var entry = new Delayed(now + Math.max(0, delay.toNanos()), action);
        delayed.add(entry);
        return () -> {
            synchronized (ManualEventLoop.this) {
                delayed.remove(entry);
            }
        };
    }

    @Override
    public synchronized void execute(Runnable action) {
        checkOpen();
        waiting.add(action);
        notifyAll();
    }

    private void checkOpen() {
        if (closed) {
            throw new IllegalStateException("event loop is closed");
        }
    }

    @Override
    public boolean inLoop() {
        return Thread.currentThread() == thread;
    }

    @Override
    public synchronized void close() {
        closed = true;
        waiting.clear();
        delayed.clear();
    }
}
