package io.github.jkvm.kvm;

import io.github.jkvm.Doorbell;
import io.github.jkvm.EventLoop;
import io.github.jkvm.EventSource;
import io.github.jkvm.kvm.ffi.Epoll;
import io.github.jkvm.kvm.ffi.EventFd;
import io.github.jkvm.kvm.ffi.OwnedFd;
import io.github.jkvm.kvm.ffi.TimerFd;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Objects;
import java.util.function.Consumer;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;

/**
 * An event loop on {@code epoll(7)}: one daemon thread, an eventfd that wakes it, a timerfd for the earliest delay, and a descriptor for each
 * thing that is watched.
 *
 * <p>{@link #lock} guards what threads share and is never held while a piece of code runs. What is watched is known to the kernel by a token that
 * is never used again, so an event that was fetched before its registration was closed finds nothing. Once everything has
 * been used once, nothing is allocated to run a piece of code.
 */
final class EpollEventLoop implements EventLoop {
    private static final Logger LOG = System.getLogger(EpollEventLoop.class.getName());

    private static final long WAKE_UP = -1;
    private static final long TIMER = -2;

    /** The longest delay, 146 years: a difference of two deadlines must fit a long. Longer ones count as this. */
    private static final long LONGEST_DELAY = Long.MAX_VALUE / 2;

    private final String name;
    private final Thread thread;
    private final Consumer<EpollEventLoop> onEnd;
    private final Epoll epoll;
    private final EventFd wakeUp;
    private final LoopTimers timers;

    private final Object lock = new Object();
    private volatile boolean closing;

    /** Code given to {@link #execute}; the loop's thread swaps it for the empty {@link #running} and runs it all. */
    private ArrayDeque<Runnable> waiting = new ArrayDeque<>();

    private ArrayDeque<Runnable> running = new ArrayDeque<>();

    /** Whether {@link #wakeUp} was signalled for what is waiting: once is enough. */
    private boolean woken;

    /** What is watched, at the index in the low half of its token. */
    private @Nullable Watch[] watches = new @Nullable Watch[8];

    private long registrations;

    private EpollEventLoop(
            String name, Epoll epoll, EventFd wakeUp, LoopTimers timers, Consumer<EpollEventLoop> onEnd) {
        this.onEnd = onEnd;
        this.name = name;
        this.epoll = epoll;
        this.wakeUp = wakeUp;
        this.timers = timers;
        this.thread = Thread.ofPlatform().daemon().name(name).unstarted(this::loop);
    }

    /**
     * Starts a loop.
     *
     * @param name name of its thread
     * @param onEnd told when the loop has ended
     * @return the loop
     * @throws KvmException if the kernel refuses, usually because the process has too many files open
     */
    static EpollEventLoop start(String name, Consumer<EpollEventLoop> onEnd) {
        Epoll epoll = Epoll.create(name);
        EventFd wakeUp = null;
        TimerFd timer = null;
        try {
            wakeUp = EventFd.create(name + " wake-up");
            timer = TimerFd.create(name + " timer");
            epoll.add(wakeUp.fd(), Epoll.IN, WAKE_UP);
            epoll.add(timer.fd(), Epoll.IN, TIMER);
            var loop = new EpollEventLoop(name, epoll, wakeUp, new LoopTimers(timer), onEnd);
            loop.thread.start();
            return loop;
        } catch (Throwable t) {
            epoll.close();
            if (wakeUp != null) {
                wakeUp.close();
            }
            if (timer != null) {
                timer.close();
            }
            throw t;
        }
    }

    @Override
    public Registration onRing(Doorbell doorbell, Runnable action) {
        Objects.requireNonNull(action, "action");
        if (!(doorbell instanceof KvmDoorbell ours)) {
            throw new IllegalArgumentException(
                    "event loop " + name + " takes doorbells made by a KVM VM, got " + doorbell);
        }
        return ours.register(this, action);
    }

    /**
     * Runs code each time an eventfd was signalled, and takes the signals.
     *
     * @param event the eventfd, in no other registration
     * @param action the code
     * @param afterEnd run once the registration has ended, by its own close or the loop's
     * @return the registration
     * @throws IllegalStateException if the loop or the eventfd is closed
     */
    Watch onSignal(EventFd event, Runnable action, Runnable afterEnd) {
        return watch(event.fd(), Epoll.IN, afterEnd, events -> {
            if (taken(event)) {
                action.run();
            }
        });
    }

    private static boolean taken(EventFd event) {
        try {
            return event.take();
        } catch (IllegalStateException closedMeanwhile) {
            return false;
        }
    }

    @Override
    public Registration onReady(EventSource source, IntConsumer action) {
        Objects.requireNonNull(action, "action");
        if (!(source instanceof OwnedFd fd)) {
            throw new IllegalArgumentException("event loop " + name + " waits for file descriptors, got " + source);
        }
        return watch(fd, Epoll.IN | Epoll.OUT | Epoll.EDGE_TRIGGERED, () -> {}, action);
    }

    private Watch watch(OwnedFd fd, int interest, Runnable afterEnd, IntConsumer action) {
        synchronized (lock) {
            checkOpen();
            int index = freeIndex();
            long token = registrations++ << Integer.SIZE | index;
            epoll.add(fd, interest, token);
            var watch = new Watch(fd, token, afterEnd, action);
            watches[index] = watch;
            return watch;
        }
    }

    private int freeIndex() {
        for (int i = 0; i < watches.length; i++) {
            if (watches[i] == null) {
                return i;
            }
        }
        int index = watches.length;
        watches = Arrays.copyOf(watches, 2 * index);
        return index;
    }

    @Override
    public Registration schedule(Duration delay, Runnable action) {
        Objects.requireNonNull(action, "action");
        var timed = new Timed(System.nanoTime() + nanos(delay), action);
        synchronized (lock) {
            checkOpen();
            timers.add(timed);
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
        synchronized (lock) {
            checkOpen();
            waiting.add(action);
            // The loop's own thread looks before it waits.
            if (!woken && !inLoop()) {
                woken = true;
                wakeUp.signal();
            }
        }
    }

    @Override
    public boolean inLoop() {
        return Thread.currentThread() == thread;
    }

    @Override
    public void close() {
        synchronized (lock) {
            if (!closing) {
                closing = true;
                wakeUp.signal();
            }
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
        try {
            while (!closing) {
                int count = someWait() ? epoll.poll() : epoll.await();
                for (int i = 0; i < count && !closing; i++) {
                    dispatch(epoll.token(i), epoll.ready(i));
                }
                runDelayed();
                runWaiting();
            }
        } catch (Throwable t) {
            LOG.log(Level.ERROR, "event loop " + name + " ends, since it can't wait for events any more", t);
        } finally {
            end();
        }
    }

    private boolean someWait() {
        synchronized (lock) {
            return !waiting.isEmpty();
        }
    }

    private void dispatch(long token, int events) {
        if (token == WAKE_UP) {
            wakeUp.take();
        } else if (token == TIMER) {
            synchronized (lock) {
                timers.ranOut();
            }
        } else {
            Watch watch;
            synchronized (lock) {
                watch = watches[(int) token];
            }
            if (watch != null && watch.token == token) {
                watch.run(events);
            }
        }
    }

    private void runDelayed() {
        synchronized (lock) {
            if (timers.isEmpty()) {
                return;
            }
        }
        // Code that delays more code by nothing waits for the next round, so that it can't keep others from running.
        long now = System.nanoTime();
        while (!closing) {
            LoopTimers.Delayed due;
            synchronized (lock) {
                due = timers.takeDue(now);
            }
            if (due == null) {
                return;
            }
            due.run(0);
        }
    }

    private void runWaiting() {
        synchronized (lock) {
            ArrayDeque<Runnable> given = waiting;
            waiting = running;
            running = given;
            woken = false;
        }
        while (!closing && !running.isEmpty()) {
            Runnable action = running.remove();
            try {
                action.run();
            } catch (Throwable t) {
                log(t);
            }
        }
    }

    /** Reports what code threw. */
    void log(Throwable thrown) {
        LOG.log(Level.ERROR, "code run by event loop " + name + " threw; the loop goes on", thrown);
    }

    private void end() {
        Watch[] open;
        synchronized (lock) {
            closing = true;
            waiting.clear();
            timers.clear();
            open = Arrays.stream(watches).filter(Objects::nonNull).toArray(Watch[]::new);
        }
        for (Watch watch : open) {
            watch.end();
        }
        epoll.close();
        wakeUp.close();
        timers.close();
        onEnd.accept(this);
    }

    /** Code that runs once, after a delay. */
    private final class Timed extends LoopTimers.Delayed {
        private final Runnable action;

        Timed(long deadline, Runnable action) {
            super(EpollEventLoop.this, deadline);
            this.action = action;
        }

        @Override
        void ready(int events) {
            action.run();
        }

        @Override
        void end() {
            synchronized (lock) {
                setEnded();
                timers.remove(this);
            }
        }
    }

    /** Code that runs when something happens to a descriptor. */
    final class Watch extends LoopEntry {
        private final OwnedFd fd;
        private final long token;
        private final Runnable afterEnd;
        private final IntConsumer action;

        private Watch(OwnedFd fd, long token, Runnable afterEnd, IntConsumer action) {
            super(EpollEventLoop.this);
            this.fd = fd;
            this.token = token;
            this.afterEnd = afterEnd;
            this.action = action;
        }

        @Override
        void ready(int events) {
            action.accept(events);
        }

        /** Ends the registration without waiting for code that is running. */
        @Override
        void end() {
            synchronized (lock) {
                if (hasEnded()) {
                    return;
                }
                setEnded();
                watches[(int) token] = null;
                epoll.remove(fd);
            }
            afterEnd.run();
        }
    }
}
