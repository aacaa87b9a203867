package io.github.jkvm.sandbox.linux;

import io.github.jkvm.sandbox.CallCancelledException;
import io.github.jkvm.sandbox.GuestCrashedException;
import io.github.jkvm.sandbox.Limits;
import io.github.jkvm.sandbox.SandboxException;
import io.github.jkvm.sandbox.SandboxProcessException;
import io.github.jkvm.sandbox.SandboxState;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** The guest of a sandbox, its state, and the calls that run. Safe for use by many threads. */
public final class Calls implements AutoCloseable {
    private final CleanState clean;
    private final Duration patience;

    /** Held by who replaces the guest. */
    private final Object restoring = new Object();

    /** The rest is guarded by this. */
    private final Set<Call> running = new HashSet<>();

    private SandboxState state = SandboxState.POISONED;
    private SandboxException cause = new SandboxException("it was never started");
    private @Nullable LinuxGuest guest;

    /**
     * Starts a guest.
     *
     * @param clean what the guests begin as; closed with this
     * @param patience how long a guest may take until it answers
     */
    Calls(CleanState clean, Duration patience) {
        this.clean = clean;
        this.patience = patience;
        try {
            restore();
        } catch (RuntimeException | Error failure) {
            close();
            throw failure;
        }
    }

    /**
     * Boots a guest.
     *
     * @param settings what it is made of; its root is closed with the last that shares the guest's clean state
     * @return the guest with its calls
     * @throws SandboxException if it does not boot
     */
    public static Calls boot(BootSettings settings) {
        CleanState clean;
        try {
            clean = switch (settings.isolation()) {
                case VIRTUAL_MACHINE -> new MachineCleanState(settings);
                case PROCESS -> ChildCleanState.boot(settings);
            };
        } catch (RuntimeException | Error failure) {
            settings.root().close();
            throw failure;
        }
        return new Calls(clean, settings.patience());
    }

    /**
     * Starts another guest of the same clean state.
     *
     * @return the guest with its own calls
     */
    public Calls copy() {
        checkOpen();
        return new Calls(clean.share(), patience);
    }

    /** Returns how the sandbox is. */
    public synchronized SandboxState state() {
        return state;
    }

    /** What is done with a call. */
    interface Body<X extends Exception> {
        /** Does it. */
        void run(Call call) throws X;
    }

    /** Does something with a call, which is over then. */
    <X extends Exception> void run(Limits limits, Body<X> body) throws X {
        try (Call call = begin(limits)) {
            try {
                body.run(call);
            } catch (AgentFault fault) {
                throw call.failed(fault);
            }
        }
    }

    /**
     * Begins a call.
     *
     * @throws IllegalStateException if the sandbox is poisoned or closed
     */
    Call begin(Limits limits) {
        Call call;
        synchronized (this) {
            checkOpen();
            LinuxGuest current = guest;
            if (state == SandboxState.POISONED || current == null) {
                throw new IllegalStateException(
                        "this sandbox is poisoned (" + cause.getMessage() + "); restore() brings it back", cause);
            }
            call = new Call(this, current, limits);
            running.add(call);
        }
        try {
            call.open();
            return call;
        } catch (RuntimeException | Error failure) {
            call.close();
            throw failure;
        }
    }

    synchronized void forget(Call call) {
        running.remove(call);
    }

    /**
     * Stops a guest for good, if it is the sandbox's and nothing else has stopped it.
     *
     * @param culprit the call that ends with the exception, if there is one; others are cancelled
     */
    void poison(LinuxGuest which, @Nullable Call culprit, SandboxException why) {
        List<Call> ended;
        synchronized (this) {
            if (state != SandboxState.READY || !which.equals(guest)) {
                return;
            }
            ended = become(SandboxState.POISONED, why, culprit);
            which.stop();
        }
        ended.forEach(Call::hangUp);
    }

    /** Changes the state, and has all calls end. Returns them, to be hung up when nothing is locked. */
    private synchronized List<Call> become(SandboxState next, SandboxException why, @Nullable Call culprit) {
        state = next;
        cause = why;
        List<Call> ended = List.copyOf(running);
        for (Call call : ended) {
            call.end(
                    call.equals(culprit)
                                    || why instanceof GuestCrashedException
                                    || why instanceof SandboxProcessException
                                    || why instanceof CallCancelledException
                            ? why
                            : new CallCancelledException("another call ended the sandbox: " + why.getMessage(), why));
        }
        return ended;
    }

    private static CallCancelledException cancelled(String how) {
        return new CallCancelledException("the call was cancelled: " + how, null);
    }

    /**
     * Ends all calls that run. Does nothing if there is none.
     *
     * @param how why
     */
    public void cancel(String how) {
        LinuxGuest current;
        synchronized (this) {
            current = guest;
            if (running.isEmpty() || current == null) {
                return;
            }
        }
        poison(current, null, cancelled(how));
    }

    /** Replaces the guest by a clean one. */
    public void restore() {
        synchronized (restoring) {
            LinuxGuest old;
            List<Call> ended;
            synchronized (this) {
                checkOpen();
                ended = become(SandboxState.POISONED, cancelled("the sandbox was restored"), null);
                old = guest;
                guest = null;
            }
            ended.forEach(Call::hangUp);
            if (old != null) {
                old.close();
            }
            startAgain();
        }
    }

    private void startAgain() {
        LinuxGuest fresh = null;
        try {
            fresh = clean.start();
            LinuxGuest told = fresh;
            Agent.prepare(told, patience);
            told.network().ifPresent(order -> order.carryOut(told, patience));
            adopt(fresh);
            fresh = null;
        } catch (AgentFault fault) {
            var crashed = new GuestCrashedException("a clean guest does not answer: " + fault.getMessage(), fault);
            failToRestore(crashed);
            throw crashed;
        } catch (RuntimeException failure) {
            failToRestore(new SandboxException("it could not be restored: " + failure.getMessage(), failure));
            throw failure;
        } finally {
            if (fresh != null) {
                fresh.close();
            }
        }
    }

    private void adopt(LinuxGuest fresh) {
        synchronized (this) {
            checkOpen();
            guest = fresh;
            state = SandboxState.READY;
        }
        fresh.onEnd(how -> poison(fresh, null, how));
    }

    private synchronized void failToRestore(SandboxException why) {
        cause = why;
    }

    private synchronized void checkOpen() {
        if (state == SandboxState.CLOSED) {
            throw new IllegalStateException("this sandbox is closed; build another");
        }
    }

    @Override
    public void close() {
        LinuxGuest last;
        List<Call> ended;
        synchronized (this) {
            if (state == SandboxState.CLOSED) {
                return;
            }
            ended = become(SandboxState.CLOSED, cancelled("the sandbox was closed"), null);
            last = guest;
            guest = null;
        }
        ended.forEach(Call::hangUp);
        if (last != null) {
            last.close();
        }
        clean.close();
    }
}
