package io.github.jkvm.kvm;

import io.github.jkvm.VmExit;
import io.github.jkvm.kvm.ffi.KickSignal;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Who may use a vCPU now, and how others stop it.
 *
 * <p>A request (interrupt, deadline, close) is first written down, then {@code immediate_exit} is set in the run page, then the running thread
 * gets a signal, all under the lock that also marks the vCPU as running. So a request finds the thread before the kernel (which then
 * returns at once), in it (which the signal ends), or not at all, and then the next run sees what is written down. The signal can't go to a
 * thread that has left, whose number may have been given to another.
 */
final class VCpuGate implements DeadlineTimer.Member {
    /** As a limit: none. */
    static final long NO_LIMIT = Long.MAX_VALUE;

    private static final VmExit INTERRUPTED = new VmExit.Interrupted();
    private static final VmExit DEADLINE_REACHED = new VmExit.DeadlineReached();

    private final Object lock = new Object();
    private final RunPage page;
    private final DeadlineTimer timer;
    private final String name;

    /** The thread that runs the vCPU, or reads or writes its state. */
    private @Nullable Thread owner;

    /** Host's number of the thread that runs the vCPU, 0 if none does. */
    private int runner;

    private boolean interruptRequested;
    private boolean deadlineReached;
    private boolean deadlineSet;
    private long deadline;
    private Closing closing = Closing.NO;

    private enum Closing {
        NO,
        REQUESTED,
        UNDER_WAY,
        DONE
    }

    VCpuGate(RunPage page, DeadlineTimer timer, String name) {
        this.page = page;
        this.timer = timer;
        this.name = name;
    }

    /**
     * Makes the calling thread the one that runs the vCPU, until {@link #end}.
     *
     * @param limitNanos the longest time to run; 0 or less lets the guest run no instruction
     * @return an exit to be returned without entering the guest, or null
     */
    @Nullable
    VmExit begin(long limitNanos) {
        int thread = KickSignal.receiver();
        long now = limitNanos == NO_LIMIT ? 0 : System.nanoTime();
        synchronized (lock) {
            claim("run it");
            runner = thread;
            page.setImmediateExit(false);
            if (interruptRequested) {
                interruptRequested = false;
                return INTERRUPTED;
            }
            if (limitNanos == NO_LIMIT) {
                return null;
            }
            if (limitNanos <= 0) {
                // Pending input is finished by an entry that returns at once.
                deadlineReached = true;
                page.setImmediateExit(true);
                return null;
            }
            deadline = now + limitNanos;
            deadlineSet = true;
        }
        // Not under the lock: the timer holds its own while it takes this one.
        timer.watch(this, now + limitNanos);
        return null;
    }

    /** Tells the gate that a virtual thread may be on another host thread than before. */
    void rebind() {
        synchronized (lock) {
            runner = KickSignal.receiver();
        }
    }

    /**
     * Looks at what was requested, after an entry was ended by a signal.
     *
     * @return the exit to return, or null to go on: any program may send signals
     * @throws IllegalStateException if the vCPU is to be closed
     */
    @Nullable
    VmExit takeRequest() {
        synchronized (lock) {
            page.setImmediateExit(false);
            if (closing != Closing.NO) {
                throw closedWhileRunning();
            }
            if (interruptRequested) {
                interruptRequested = false;
                return INTERRUPTED;
            }
            return deadlineReached ? DEADLINE_REACHED : null;
        }
    }

    /**
     * Ends what {@link #begin} began. A deadline does not outlive its run.
     *
     * @return true if the vCPU is to be closed and the calling thread is the one to do it
     */
    boolean end() {
        synchronized (lock) {
            runner = 0;
            deadlineSet = false;
            deadlineReached = false;
            return leave();
        }
    }

    /**
     * Makes the calling thread the one that uses the vCPU's state, until {@link #endState}.
     *
     * @return false if it is within a run of its own, which stays as it is
     */
    boolean beginState() {
        synchronized (lock) {
            if (owner == Thread.currentThread() && closing == Closing.NO) {
                return false;
            }
            claim("use its state");
            return true;
        }
    }

    /** Ends what {@link #beginState} began; the result is that of {@link #end}. */
    boolean endState() {
        synchronized (lock) {
            return leave();
        }
    }

    /** Requests that the run under way, or the next one, is interrupted. */
    void interrupt() {
        synchronized (lock) {
            // A request that is still there has its signal, or needs none.
            if (closing == Closing.NO && !interruptRequested) {
                interruptRequested = true;
                kick();
            }
        }
    }

    @Override
    public long expire(long now) {
        synchronized (lock) {
            if (!deadlineSet) {
                return NONE;
            }
            if (deadline - now > 0) {
                return deadline - now;
            }
            deadlineSet = false;
            deadlineReached = true;
            kick();
            return NONE;
        }
    }

    /**
     * Requests that the vCPU is closed.
     *
     * @return true if the calling thread is the one to do it now; if not, the thread that uses the vCPU does when it leaves, or another
     *     thread is at it
     */
    boolean close() {
        synchronized (lock) {
            if (closing == Closing.NO) {
                closing = Closing.REQUESTED;
                kick();
            }
            return owner == null && takeClosing();
        }
    }

    /** Tells those who wait that the vCPU is closed. */
    void closed() {
        synchronized (lock) {
            closing = Closing.DONE;
            lock.notifyAll();
        }
    }

    /** Waits until the vCPU is closed. */
    void awaitClosed() {
        await(() -> closing == Closing.DONE);
    }

    boolean isClosed() {
        synchronized (lock) {
            return closing != Closing.NO;
        }
    }

    boolean isRunByCurrentThread() {
        synchronized (lock) {
            return runner != 0 && owner == Thread.currentThread();
        }
    }

    IllegalStateException closedWhileRunning() {
        return new IllegalStateException(name + " was closed while it ran");
    }

    private void kick() {
        if (runner != 0) {
            page.setImmediateExit(true);
            KickSignal.send(runner);
        }
    }

    /** With the lock held. */
    private void claim(String intent) {
        // Uses of the state are short; a run may last for ever.
        await(() -> owner == null || runner != 0 || closing != Closing.NO);
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
        lock.notifyAll();
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

    private void await(Supplier<Boolean> condition) {
        boolean interrupted = false;
        synchronized (lock) {
            while (!condition.get()) {
                try {
                    lock.wait();
                } catch (InterruptedException e) {
                    // What is waited for is brief or has been told to end.
                    interrupted = true;
                }
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
