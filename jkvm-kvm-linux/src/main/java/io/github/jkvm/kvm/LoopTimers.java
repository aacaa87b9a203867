package io.github.jkvm.kvm;

import io.github.jkvm.kvm.ffi.TimerFd;
import java.util.PriorityQueue;
import org.jspecify.annotations.Nullable;

/** The delayed code of one event loop, and the timer that wakes it for the earliest. All methods are called with the loop's lock held. */
final class LoopTimers {
    private final TimerFd timer;

    /** By time. Times of {@link System#nanoTime()} may pass the end of a long: only their difference means something. */
    private final PriorityQueue<Delayed> delayed =
            new PriorityQueue<>((a, b) -> Long.compare(a.deadline - b.deadline, 0));

    private boolean set;
    private long setTo;

    LoopTimers(TimerFd timer) {
        this.timer = timer;
    }

    /** Code that runs once, at a time. */
    abstract static class Delayed extends LoopEntry {
        private final long deadline;

        /**
         * Creates an entry.
         *
         * @param loop the loop
         * @param deadline the time to run at, as {@link System#nanoTime()} tells it
         */
        Delayed(EpollEventLoop loop, long deadline) {
            super(loop);
            this.deadline = deadline;
        }
    }

    void add(Delayed entry) {
        delayed.add(entry);
        setTimer();
    }

    void remove(Delayed entry) {
        delayed.remove(entry);
    }

    boolean isEmpty() {
        return delayed.isEmpty();
    }

    /** Forgets that the timer was set, once it has run out. */
    void ranOut() {
        timer.take();
        set = false;
    }

    /**
     * Takes out what is due the longest.
     *
     * @param now what counts as now
     * @return the entry, or null if none is due; the timer is set for the next then
     */
    @Nullable
    Delayed takeDue(long now) {
        Delayed first = delayed.peek();
        if (first == null) {
            return null;
        }
        if (first.deadline - now > 0) {
            setTimer();
            return null;
        }
        return delayed.remove();
    }

    private void setTimer() {
        Delayed first = delayed.peek();
        if (first != null && !(set && setTo == first.deadline)) {
            timer.set(first.deadline - System.nanoTime());
            set = true;
            setTo = first.deadline;
        }
    }

    void clear() {
        delayed.clear();
    }

    void close() {
        timer.close();
    }
}
