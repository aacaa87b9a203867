package io.github.jkvm.sandbox.function;

import io.github.jkvm.sandbox.CallCancelledException;
import io.github.jkvm.sandbox.GuestCrashedException;
import io.github.jkvm.sandbox.LimitExceededException;
import io.github.jkvm.sandbox.Limits;
import io.github.jkvm.sandbox.SandboxState;
import io.github.jkvm.sandbox.internal.Patrol;
import io.github.jkvm.sandbox.internal.Watchdog;
import java.lang.invoke.MethodHandle;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * Who calls the guest now, and how the sandbox is. Gives a processor to each caller, as long as there are some; ends calls that are over their limits;
 * poisons the sandbox when a call does not come to a good end.
 *
 * <p>Everything is under one lock, but a call's own run.
 */
public final class CallTable implements AutoCloseable {
    private static final long NEVER = Long.MAX_VALUE;
    private static final String REMEDY = "; restore() brings it back";

    private final ReentrantLock lock = new ReentrantLock();

    /** A processor is free, or the state is another. */
    private final Condition changed = lock.newCondition();

    private final FunctionGuest guest;
    private final Limits limits;
    private final long deadline;
    private final long budget;
    private final Call[] calls;
    private final Call[] free;
    private final Patrol patrol = new Patrol(this::look);
    private int freeCount;
    /** Changed under the lock; read without it too, which who restores the guest may hold for long. */
    private volatile SandboxState state = SandboxState.READY;

    private String whyPoisoned = "";

    /** Somebody wants all processors idle: nobody else gets one. */
    private boolean pausing;

    private boolean guestClosed;

    /**
     * Creates a table for a guest that nobody has called.
     *
     * @param guest the guest, closed by this object
     * @param processors how many processors it has
     * @param limits of each call
     * @param hostFunctions functions of the host by their names, of which the guest finds all that it wants
     * @throws IllegalArgumentException if it does not
     */
    public CallTable(FunctionGuest guest, int processors, Limits limits, Map<String, MethodHandle> hostFunctions) {
        this.guest = guest;
        this.limits = limits;
        this.deadline = limits.deadline().toNanos();
        this.budget = limits.cpuTime().toNanos();
        List<HostFunctions.Bound> bound = HostFunctions.bind(guest.functions().imports(), hostFunctions);
        this.calls = new Call[processors];
        this.free = new Call[processors];
        for (int i = 0; i < processors; i++) {
            calls[i] = new Call(i, guest, bound);
            free[processors - 1 - i] = calls[i];
        }
        this.freeCount = processors;
    }

    /** Makes a free processor the calling thread's, until {@link #release}; waits until there is one. */
    Call acquire() {
        Thread me = Thread.currentThread();
        lock.lock();
        try {
            checkNotInside("call the sandbox");
            checkReady();
            while (pausing || freeCount == 0) {
                changed.awaitUninterruptibly();
                checkReady();
            }
            long cpu = budget == NEVER ? 0 : guest.workedNanos(me);
            Call call = free[--freeCount];
            call.begin(me, limits.output());
            if (deadline != NEVER || budget != NEVER) {
                call.startClock(System.nanoTime(), cpu);
                if (!patrol.isOnDuty()) {
                    patrol.lookIn(Math.min(deadline, budget));
                }
            }
            return call;
        } finally {
            lock.unlock();
        }
    }

    /**
     * Ends a call.
     *
     * @param thrown what it ended in, or null; thrown by the caller if this method throws nothing
     * @param call the call
     */
    void release(@Nullable Throwable thrown, Call call) {
        RuntimeException outcome;
        lock.lock();
        try {
            outcome = call.stopped();
            if (outcome == null && thrown != null) {
                outcome = outcome(thrown);
            }
            boolean midst = call.end();
            if (outcome != null) {
                poison(String.valueOf(outcome.getMessage()), outcome);
            } else if (midst) {
                poison(String.valueOf(thrown), thrown);
            }
            free[freeCount++] = call;
            if (state == SandboxState.CLOSED) {
                closeIdleGuest();
            }
            changed.signalAll();
        } finally {
            lock.unlock();
        }
        if (outcome != null) {
            // It may have been made by another thread.
            outcome.fillInStackTrace();
            throw outcome;
        }
    }

    /** What the caller is told of a call that broke down; null if it only failed. */
    private static @Nullable RuntimeException outcome(Throwable thrown) {
        return switch (thrown) {
            case CallEnded ended -> ended.outcome();
            case FunctionGuest.CrashException crash ->
                new GuestCrashedException("the guest " + crash.getMessage() + REMEDY, null);
            default -> null;
        };
    }

    private void checkReady() {
        switch (state) {
            case READY -> {
                // As it should be.
            }
            case POISONED ->
                throw new IllegalStateException(
                        "the sandbox is poisoned: " + whyPoisoned + (whyPoisoned.endsWith(REMEDY) ? "" : REMEDY));
            case CLOSED -> throw closed();
        }
    }

    private static IllegalStateException closed() {
        return new IllegalStateException("the sandbox is closed");
    }

    private boolean isInside() {
        Thread me = Thread.currentThread();
        for (Call call : calls) {
            if (call.owner() == me) {
                return true;
            }
        }
        return false;
    }

    private void checkNotInside(String intent) {
        if (isInside()) {
            throw new IllegalStateException("a function of the host that the guest calls can't " + intent
                    + " of that guest: the guest waits for it; return first, or use another sandbox");
        }
    }

    private void poison(String why, @Nullable Throwable cause) {
        if (state == SandboxState.READY) {
            state = SandboxState.POISONED;
            whyPoisoned = why;
        }
        stopAll("another call into the same guest ended badly: " + why, cause);
        changed.signalAll();
    }

    private void stopAll(String why, @Nullable Throwable cause) {
        for (Call call : calls) {
            if (call.owner() != null) {
                call.stop(new CallCancelledException(why, cause));
            }
        }
    }

    private void look() {
        lock.lock();
        try {
            long now = System.nanoTime();
            long least = NEVER;
            for (Call call : calls) {
                Thread owner = call.owner();
                if (owner == null || call.stopped() != null) {
                    continue;
                }
                long left = deadline == NEVER ? NEVER : deadline - (now - call.started());
                long cpuLeft = budget == NEVER ? NEVER : budget - (guest.workedNanos(owner) - call.startedCpu());
                if (left <= 0 || cpuLeft <= 0) {
                    LimitExceededException exceeded =
                            left <= 0 ? Watchdog.tookTooLong(limits) : Watchdog.workedTooLong(limits);
                    call.stop(exceeded);
                    poison(String.valueOf(exceeded.getMessage()), exceeded);
                } else {
                    least = Math.min(least, Math.min(left, cpuLeft));
                }
            }
            if (least == NEVER) {
                patrol.end();
            } else {
                patrol.lookIn(least);
            }
        } finally {
            lock.unlock();
        }
    }

    /**
     * Returns how the sandbox is.
     *
     * @return the state
     */
    public SandboxState state() {
        return state;
    }

    /** Ends all calls that run; see {@link io.github.jkvm.sandbox.Sandbox#cancel}. */
    public void cancel() {
        if (state != SandboxState.READY) {
            // Calls that there are end by themselves.
            return;
        }
        lock.lock();
        try {
            if (freeCount < calls.length && state == SandboxState.READY) {
                state = SandboxState.POISONED;
                whyPoisoned = "a call was cancelled";
                stopAll("the call was cancelled", null);
                changed.signalAll();
            }
        } finally {
            lock.unlock();
        }
    }

    /**
     * Brings the guest back to its clean state; see {@link io.github.jkvm.sandbox.Sandbox#restore}.
     *
     * @throws IllegalStateException if the sandbox is closed, or a function of the host does this in a call
     */
    public void restore() {
        lock.lock();
        try {
            checkNotInside("restore the memory");
            if (state == SandboxState.CLOSED) {
                throw closed();
            }
            state = SandboxState.POISONED;
            whyPoisoned = "it is being restored";
            stopAll("the sandbox is restored", null);
            whileIdle(guest::restore);
            state = SandboxState.READY;
            whyPoisoned = "";
        } catch (RuntimeException failure) {
            if (state == SandboxState.POISONED) {
                whyPoisoned = "it could not be restored: " + failure.getMessage();
            }
            throw failure;
        } finally {
            lock.unlock();
        }
    }

    /**
     * Makes the guest's present state its clean one, once no call runs.
     *
     * @throws IllegalStateException if the sandbox is closed or poisoned, or a function of the host does this in a call
     */
    public void checkpoint() {
        lock.lock();
        try {
            checkNotInside("keep the state");
            checkReady();
            whileIdle(() -> {
                checkReady();
                try {
                    guest.checkpoint();
                } catch (RuntimeException failure) {
                    poison("its state could not be kept: " + failure.getMessage(), failure);
                    throw failure;
                }
            });
        } finally {
            lock.unlock();
        }
    }

    /** Waits until no call runs, and then does something before one can. */
    private void whileIdle(Runnable action) {
        while (pausing && state != SandboxState.CLOSED) {
            changed.awaitUninterruptibly();
        }
        pausing = true;
        try {
            while (freeCount < calls.length) {
                changed.awaitUninterruptibly();
            }
            if (state == SandboxState.CLOSED) {
                throw closed();
            }
            action.run();
            for (Call call : calls) {
                call.moved();
            }
        } finally {
            pausing = false;
            changed.signalAll();
        }
    }

    /** Ends all calls, and closes the guest when they have ended: from within a call, that is after it. */
    @Override
    public void close() {
        lock.lock();
        try {
            boolean inside = isInside();
            if (state != SandboxState.CLOSED) {
                state = SandboxState.CLOSED;
                patrol.end();
                stopAll("the sandbox was closed", null);
                closeIdleGuest();
                changed.signalAll();
            }
            while (!guestClosed && !inside) {
                changed.awaitUninterruptibly();
            }
        } finally {
            lock.unlock();
        }
    }

    private void closeIdleGuest() {
        if (freeCount == calls.length && !guestClosed) {
            guestClosed = true;
            guest.close();
        }
    }
}
