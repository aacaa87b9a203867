package io.github.jkvm.testkit.scripted;

import io.github.jkvm.Doorbell;
import io.github.jkvm.EventLoop;
import io.github.jkvm.EventSource;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.PriorityQueue;
import java.util.Set;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.function.IntConsumer;

/** An event loop of plain Java: one daemon thread, a queue, and the delayed code by time. */
final class ScriptedEventLoop implements EventLoop {
    private static final Logger LOG = System.getLogger(ScriptedEventLoop.class.getName());

    /** The longest delay, 146 years: a difference of two deadlines must fit a long. Longer ones count as this. */
    private static final long LONGEST_DELAY = Long.MAX_VALUE / 2;

    private final String name;
    private final Thread thread;
    private final Consumer<ScriptedEventLoop> onEnd;
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();

    // What follows is guarded by the lock.
    private final ArrayDeque<Runnable> waiting = new ArrayDeque<>();

    /** By time. Times of {@link System#nanoTime()} may pass the end of a long: only their difference means something. */
    private final PriorityQueue<Timed> delayed =
            new PriorityQueue<>((a, b) -> Long.compare(a.deadline - b.deadline, 0));

    private final Set<RingEntry> rings = new HashSet<>();

    private volatile boolean closing;

    private ScriptedEventLoop(String name, Consumer<ScriptedEventLoop> onEnd) {
        this.name = name;
        this.onEnd = onEnd;
        this.thread = Thread.ofPlatform().daemon().name(name).unstarted(this::loop);
    }

    /**
     * Starts a loop.
     *
     * @param name name of its thread
     * @param onEnd told when the loop has ended
     */
    static ScriptedEventLoop start(String name, Consumer<ScriptedEventLoop> onEnd) {
        var loop = new ScriptedEventLoop(name, onEnd);
        loop.thread.start();
        return loop;
    }

    @Override
    public Registration onRing(Doorbell doorbell, Runnable action) {
        Objects.requireNonNull(action, "action");
        if (!(doorbell instanceof ScriptedDoorbell ours)) {
            throw new IllegalArgumentException(
                    "event loop " + name + " takes doorbells made by a scripted VM, got " + doorbell);
        }
        return ours.register(this, action);
    }

    /** Makes a registration; its doorbell tells it of rings. */
    RingEntry newEntry(ScriptedDoorbell doorbell, Runnable action) {
        var entry = new RingEntry(doorbell, action);
        lock.lock();
        try {
            checkOpen();
            rings.add(entry);
        } finally {
            lock.unlock();
        }
        return entry;
    }

    @Override
    public Registration onReady(EventSource source, IntConsumer action) {
        Objects.requireNonNull(action, "action");
        throw new IllegalArgumentException("event loop " + name + " of a scripted VM can't wait for " + source
                + ": files and sockets of the host need the host's own hypervisor");
    }

    @Override
    public Registration schedule(Duration delay, Runnable action) {
        Objects.requireNonNull(action, "action");
        var timed = new Timed(System.nanoTime() + nanos(delay), action);
        lock.lock();
        try {
            checkOpen();
            delayed.add(timed);
            changed.signal();
        } finally {
            lock.unlock();
        }
        return timed;
    }

    private static long nanos(Duration delay) {
        if (delay.isNegative()) {
            return 0;
        }
        return delay.compareTo(Duration.ofNanos(LONGEST_DELAY)) < 0 ? delay.toNanos() : LONGEST_DELAY;
    }

    @Override
    public void execute(Runnable action) {
        Objects.requireNonNull(action, "action");
        lock.lock();
        try {
            checkOpen();
            waiting.add(action);
            changed.signal();
        } finally {
            lock.unlock();
        }
    }

    /** Runs code unless the loop is closed. */
    void executeIfOpen(Runnable action) {
        try {
            execute(action);
        } catch (IllegalStateException loopIsClosed) {
            LOG.log(Level.TRACE, "event loop " + name + " has nothing to do any more", loopIsClosed);
        }
    }

    @Override
    public boolean inLoop() {
        return Thread.currentThread() == thread;
    }

    @Override
    public void close() {
        lock.lock();
        try {
            closing = true;
            changed.signal();
        } finally {
            lock.unlock();
        }
        if (!inLoop()) {
            join();
        }
    }

    private void join() {
        boolean interrupted = false;
        while (true) {
            try {
                thread.join();
                break;
            } catch (InterruptedException e) {
                // What the caller takes down next may be in use by the loop: it has to be waited for.
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    private void checkOpen() {
        if (closing) {
            throw new IllegalStateException("event loop " + name + " is closed");
        }
    }

    private void loop() {
        while (!closing) {
            for (Runnable action : due()) {
                if (closing) {
                    break;
                }
                try {
                    action.run();
                } catch (Throwable t) {
                    LOG.log(Level.ERROR, "code run by event loop " + name + " threw; the loop goes on", t);
                }
            }
        }
        end();
    }

    /** Waits for code to run, and takes all that there is now: code that it adds comes after it. */
    private List<Runnable> due() {
        lock.lock();
        try {
            List<Runnable> due = new ArrayList<>();
            while (!closing) {
                long now = System.nanoTime();
                Timed first = delayed.peek();
                while (first != null && first.deadline - now <= 0) {
                    due.add(delayed.remove());
                    first = delayed.peek();
                }
                due.addAll(waiting);
                waiting.clear();
                if (!due.isEmpty()) {
                    break;
                }
                try {
                    if (first == null) {
                        changed.await();
                    } else {
                        changed.awaitNanos(first.deadline - now);
                    }
                } catch (InterruptedException e) {
                    // Code that ran here left it behind; close() ends a loop.
                    LOG.log(Level.DEBUG, "event loop " + name + " was interrupted; it goes on", e);
                }
            }
            return due;
        } finally {
            lock.unlock();
        }
    }

    private void end() {
        List<RingEntry> open;
        lock.lock();
        try {
            closing = true;
            waiting.clear();
            delayed.clear();
            open = List.copyOf(rings);
        } finally {
            lock.unlock();
        }
        open.forEach(RingEntry::end);
        onEnd.accept(this);
    }

    /** Code that runs until its registration ends. */
    abstract class Entry implements Registration, Runnable {
        private final Runnable action;

        /** Held while the code runs, so that {@link #close()} can wait for it. */
        private final Object turn = new Object();

        private volatile boolean ended;

        Entry(Runnable action) {
            this.action = action;
        }

        /** Tells whether there is a reason to run. */
        boolean begin() {
            return true;
        }

        @Override
        public final void run() {
            synchronized (turn) {
                if (!ended && begin()) {
                    action.run();
                }
            }
        }

        final boolean hasEnded() {
            return ended;
        }

        /** Lets the code not begin any more, without waiting for it. */
        void end() {
            ended = true;
        }

        @Override
        public final void close() {
            end();
            if (!inLoop()) {
                synchronized (turn) {
                    assert ended : "the code can't begin any more, and now it is not running";
                }
            }
        }
    }

    /** Code that runs once, after a delay. */
    private final class Timed extends Entry {
        private final long deadline;

        Timed(long deadline, Runnable action) {
            super(action);
            this.deadline = deadline;
        }

        @Override
        void end() {
            super.end();
            lock.lock();
            try {
                delayed.remove(this);
            } finally {
                lock.unlock();
            }
        }
    }

    /** Code that runs for the rings of a doorbell. */
    final class RingEntry extends Entry {
        private final ScriptedDoorbell doorbell;

        RingEntry(ScriptedDoorbell doorbell, Runnable action) {
            super(action);
            this.doorbell = doorbell;
        }

        /** Tells that the doorbell has rung. */
        void rang() {
            if (!hasEnded()) {
                executeIfOpen(this);
            }
        }

        /** Rings that came before the code begins merge into one run. */
        @Override
        boolean begin() {
            return doorbell.take();
        }

        @Override
        void end() {
            if (hasEnded()) {
                return;
            }
            super.end();
            doorbell.forgetRegistration();
            lock.lock();
            try {
                rings.remove(this);
            } finally {
                lock.unlock();
            }
        }
    }
}
