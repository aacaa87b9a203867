package io.github.jkvm.testkit.scripted;

import io.github.jkvm.VmExit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Who may use a vCPU now, and how others stop it. A request (interrupt, deadline, close) is written down under the lock that the running thread looks
 * at before each step and waits on, so none is lost.
 */
final class RunGate {
    /** As a limit: none. */
    static final long NO_LIMIT = Long.MAX_VALUE;

    private static final VmExit INTERRUPTED = new VmExit.Interrupted();
    private static final VmExit DEADLINE_REACHED = new VmExit.DeadlineReached();

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();
    private final String name;

    /** The thread that runs the vCPU, or reads or writes its state. */
    private @Nullable Thread owner;

    /** Whether the owner runs the vCPU. */
    private boolean running;

    private boolean interruptRequested;
    private boolean deadlineSet;
    private long deadline;
    private Closing closing = Closing.NO;

    private enum Closing {
        NO,
        REQUESTED,
        UNDER_WAY,
        DONE
    }

    RunGate(String name) {
        this.name = name;
    }

    /**
     * Makes the calling thread the one that runs the vCPU, until {@link #end}.
     *
     * @param limitNanos the longest time to run; 0 or less lets the guest take no step
     * @return an exit to be returned without a step of the guest, or null
     */
    @Nullable
    VmExit begin(long limitNanos) {
        lock.lock();
        try {
            claim("run it");
            running = true;
            if (interruptRequested) {
                interruptRequested = false;
                return INTERRUPTED;
            }
            deadlineSet = limitNanos != NO_LIMIT;
            deadline = deadlineSet ? System.nanoTime() + Math.max(limitNanos, 0) : 0;
            return null;
        } finally {
            lock.unlock();
        }
    }

    /**
     * Looks at what was requested.
     *
     * @return the exit to return, or null to go on
     * @throws IllegalStateException if the vCPU is to be closed
     */
    @Nullable
    VmExit takeRequest() {
        lock.lock();
        try {
            if (closing != Closing.NO) {
                throw closedWhileRunning();
            }
            if (interruptRequested) {
                interruptRequested = false;
                return INTERRUPTED;
            }
            return isOver() ? DEADLINE_REACHED : null;
        } finally {
            lock.unlock();
        }
    }

    private boolean isOver() {
        return deadlineSet && deadline - System.nanoTime() <= 0;
    }

    /**
     * Lets the running thread wait until something is so, or something is requested.
     *
     * @param condition looked at with the lock held, whenever {@link #change} was called
     */
    void await(BooleanSupplier condition) {
        boolean interrupted = false;
        lock.lock();
        try {
            while (!condition.getAsBoolean() && closing == Closing.NO && !interruptRequested && !isOver()) {
                try {
                    if (deadlineSet) {
                        changed.awaitNanos(deadline - System.nanoTime());
                    } else {
                        changed.await();
                    }
                } catch (InterruptedException e) {
                    // Interrupts of the thread do not stop a vCPU; VCpu.interrupt() does.
                    interrupted = true;
                }
            }
        } finally {
            lock.unlock();
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    /** Changes something that threads wait for, with the lock held. */
    void change(Runnable action) {
        lock.lock();
        try {
            action.run();
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /** Tells the waiting thread to look again. */
    void wake() {
        change(() -> {});
    }

    /**
     * Lets a thread other than the running one wait until something is so.
     *
     * @throws InterruptedException if it is interrupted first
     */
    void awaitChange(BooleanSupplier condition) throws InterruptedException {
        lock.lockInterruptibly();
        try {
            while (!condition.getAsBoolean()) {
                changed.await();
            }
        } finally {
            lock.unlock();
        }
    }

    /**
     * Ends what {@link #begin} began. A deadline does not outlive its run.
     *
     * @return true if the vCPU is to be closed and the calling thread is the one to do it
     */
    boolean end() {
        lock.lock();
        try {
            running = false;
            deadlineSet = false;
            return leave();
        } finally {
            lock.unlock();
        }
    }

    /**
     * Makes the calling thread the one that uses the vCPU's state, until {@link #endState}.
     *
     * @return false if it is within a run of its own, which stays as it is
     */
    boolean beginState() {
        lock.lock();
        try {
            if (owner == Thread.currentThread() && closing == Closing.NO) {
                return false;
            }
            claim("use its state");
            return true;
        } finally {
            lock.unlock();
        }
    }

    /** Ends what {@link #beginState} began; the result is that of {@link #end}. */
    boolean endState() {
        lock.lock();
        try {
            return leave();
        } finally {
            lock.unlock();
        }
    }

    /** Requests that the run under way, or the next one, is interrupted. */
    void interrupt() {
        change(() -> interruptRequested |= closing == Closing.NO);
    }

    /**
     * Requests that the vCPU is closed.
     *
     * @return true if the calling thread is the one to do it now; if not, the thread that uses the vCPU does when it leaves, or another
     *     thread is at it
     */
    boolean close() {
        lock.lock();
        try {
            if (closing == Closing.NO) {
                closing = Closing.REQUESTED;
                changed.signalAll();
            }
            return owner == null && takeClosing();
        } finally {
            lock.unlock();
        }
    }

    /** Tells those who wait that the vCPU is closed. */
    void closed() {
        change(() -> closing = Closing.DONE);
    }

    /** Waits until the vCPU is closed. */
    void awaitClosed() {
        lock.lock();
        try {
            while (closing != Closing.DONE) {
                changed.awaitUninterruptibly();
            }
        } finally {
            lock.unlock();
        }
    }

    boolean isRunByCurrentThread() {
        lock.lock();
        try {
            return running && owner == Thread.currentThread();
        } finally {
            lock.unlock();
        }
    }

    IllegalStateException closedWhileRunning() {
        return new IllegalStateException(name + " was closed while it ran");
    }

    /** With the lock held. */
    private void claim(String intent) {
        // Uses of the state are short; a run may last for ever.
        while (owner != null && !running && closing == Closing.NO) {
            changed.awaitUninterruptibly();
        }
        if (closing != Closing.NO) {
            throw new IllegalStateException(name + " is closed");
        }
        Thread me = Thread.currentThread();
        if (owner == me) {
            throw new IllegalStateException(name + " runs on this thread (" + me.getName()
                    + ") already: an exit handler can't " + intent + " again; return from it first");
        }
        if (owner != null) {
            throw new IllegalStateException(name + " runs on thread " + owner.getName() + "; thread " + me.getName()
                    + " can't " + intent + " until that run ends (interrupt() ends it)");
        }
        owner = me;
    }

    /** With the lock held. */
    private boolean leave() {
        owner = null;
        changed.signalAll();
        return closing != Closing.NO && takeClosing();
    }

    /** With the lock held. */
    private boolean takeClosing() {
        if (closing != Closing.REQUESTED) {
            return false;
        }
        closing = Closing.UNDER_WAY;
        return true;
    }
}
