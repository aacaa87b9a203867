package io.github.jkvm.testkit.virtio;

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
 * threads may give it code; {@link #runUntil} waits for them. What the code throws comes out of these methods.
 */
public final class ManualEventLoop implements EventLoop {
    private static final Duration PATIENCE = Duration.ofSeconds(20);
    private static final int MOST_AT_ONCE = 100_000;

    /** How often conditions are looked at that nobody tells of, in milliseconds: with sources, and without. */
    private static final int LOOK_AT_SOURCES = 2;

    private static final int LOOK = 50;

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

    /**
     * Runs all code given to the loop so far, and what that gives to it.
     *
     * @throws AssertionError if that goes on for 100,000 pieces of code
     */
    public void run() {
        for (int i = 0; i < MOST_AT_ONCE; i++) {
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

    /**
     * Runs code, also what other threads give to the loop, until something holds.
     *
     * @param condition what is to hold; may look at anything
     * @throws AssertionError if it does not hold after 20 s
     */
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
                    throw new AssertionError("what the test waits for did not happen in " + PATIENCE.toSeconds()
                            + " s; timers that only advance() lets pass: " + delayed.size());
                }
                try {
                    if (waiting.isEmpty()) {
                        // Nobody tells of sources: the condition may look at them.
                        wait(Math.min(left / 1_000_000 + 1, sources.isEmpty() ? LOOK : LOOK_AT_SOURCES));
                    }
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                    throw new AssertionError("interrupted while waiting for the device", e);
                }
            }
        }
    }

    /**
     * Lets time pass, and runs what falls due, in order.
     *
     * @param time how much
     */
    public void advance(Duration time) {
        run();
        long end = nanoTime() + time.toNanos();
        while (true) {
            Optional<Delayed> next = takeDue(end);
            if (next.isEmpty()) {
                break;
            }
            next.get().action().run();
            run();
        }
        setNow(end);
    }

    private synchronized void setNow(long time) {
        now = Math.max(now, time);
    }

    private synchronized Optional<Delayed> takeDue(long end) {
        Optional<Delayed> next = delayed.stream().min(Comparator.comparingLong(Delayed::due));
        if (next.isEmpty() || next.get().due() > end) {
            return Optional.empty();
        }
        delayed.remove(next.get());
        setNow(next.get().due());
        return next;
    }

    /**
     * Returns the time that has passed: a clock for devices that take one.
     *
     * @return the time in nanoseconds, 0 in the beginning
     */
    public synchronized long nanoTime() {
        return now;
    }

    /**
     * Returns how many pieces of code wait for their time.
     *
     * @return the number
     */
    public synchronized int timers() {
        return delayed.size();
    }

    /**
     * Tells those who wait for a source that it has become ready.
     *
     * @param source the source
     * @param events for what: the sum of {@link EventSource#READABLE} and the like
     */
    public void ready(EventSource source, int events) {
        for (Ready each : registered()) {
            if (each.source().equals(source)) {
                each.action().accept(events);
            }
        }
    }

    /** Has everyone look at the source they wait for, whether it is ready or not. */
    public void checkSources() {
        for (Ready each : registered()) {
            each.action().accept(EventSource.READABLE);
        }
    }

    private synchronized List<Ready> registered() {
        return List.copyOf(sources);
    }

    /**
     * {@inheritDoc}
     *
     * @throws IllegalArgumentException if the doorbell is not of a {@link TestBus}
     */
    @Override
    public Registration onRing(Doorbell doorbell, Runnable action) {
        if (doorbell instanceof TestDoorbell bell) {
            return bell.register(action);
        }
        throw new IllegalArgumentException("doorbell " + doorbell + " is not one of a TestBus");
    }

    @Override
    public synchronized Registration onReady(EventSource source, IntConsumer action) {
        var ready = new Ready(source, action);
        sources.add(ready);
        return () -> {
            synchronized (ManualEventLoop.this) {
                sources.remove(ready);
            }
        };
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
