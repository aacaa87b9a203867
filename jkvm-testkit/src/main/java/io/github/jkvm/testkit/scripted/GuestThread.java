package io.github.jkvm.testkit.scripted;

import io.github.jkvm.VmExit;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * The program of one vCPU, on a virtual thread that takes turns with the thread that runs the vCPU: either the program waits in a step, or the
 * vCPU's thread waits for the program's next one.
 */
final class GuestThread {
    private static final Logger LOG = System.getLogger(GuestThread.class.getName());

    /** A program that is told to end by an interrupt and an error does so at once, unless it ignores both. */
    private static final Duration PATIENCE = Duration.ofSeconds(10);

    private final RunGate gate;
    private final GuestProgram program;
    private final ScriptedGuest guest;
    private final String name;

    /** Made when the vCPU is first run. */
    private volatile @Nullable Thread thread;

    // What follows is guarded by the gate's lock.
    private @Nullable Step offered;
    private boolean ended;
    private boolean closing;
    private @Nullable Throwable thrown;

    /** Thrown within the program when its vCPU is closed. */
    private static final class GuestClosed extends Error {
        private static final long serialVersionUID = 1L;

        GuestClosed() {
            super("the vCPU is closed; the program of its guest must end", null, false, false);
        }
    }

    /**
     * Creates it; nothing runs yet.
     *
     * @param gate the vCPU's, which both threads wait on
     * @param program what the guest does
     * @param guest what the program gets
     * @param name of the thread
     */
    GuestThread(RunGate gate, GuestProgram program, ScriptedGuest guest, String name) {
        this.gate = gate;
        this.program = program;
        this.guest = guest;
        this.name = name;
    }

    /**
     * Lets the program go on if its last step is finished, and waits for the next. For the thread that runs the vCPU.
     *
     * @return the step; null if something is requested of the running thread before there is one
     * @throws RuntimeException what the program has thrown
     */
    @Nullable
    Step next() {
        if (thread == null) {
            // Known before it runs, since it asks whether it is itself.
            Thread made = Thread.ofVirtual().name(name).unstarted(this::runProgram);
            thread = made;
            made.start();
        } else if (offered != null && offered.isFinished()) {
            gate.change(() -> offered = null);
        }
        gate.await(() -> offered != null || ended);
        if (offered == null && ended) {
            throwFailure();
            // The instruction after the last: the processor halts, and halts again when it is run again.
            return new Step.Leave(new VmExit.Halt());
        }
        return offered;
    }

    private void throwFailure() {
        switch (thrown) {
            case null -> {}
            case RuntimeException runtime -> throw runtime;
            case Error error -> throw error;
            default -> throw new IllegalStateException(name + ": the guest's program failed: " + thrown, thrown);
        }
    }

    private void runProgram() {
        Throwable failure = null;
        try {
            program.run(guest);
        } catch (GuestClosed asked) {
            LOG.log(Level.TRACE, name, asked);
        } catch (Throwable t) {
            failure = t;
        }
        Throwable result = failure;
        gate.change(() -> {
            thrown = result;
            ended = true;
        });
    }

    /**
     * Offers a step and waits until it is finished. For the program's thread.
     *
     * @throws IllegalStateException if the calling thread is another
     */
    void take(Step step) {
        if (!isCurrent()) {
            throw new IllegalStateException("thread " + Thread.currentThread().getName()
                    + " can't act for the guest; use ScriptedGuest on the thread that its program runs on ("
                    + name + ")");
        }
        gate.change(() -> {
            if (closing) {
                throw new GuestClosed();
            }
            offered = step;
        });
        boolean interrupted = false;
        while (true) {
            try {
                gate.awaitChange(() -> offered == null || closing);
                break;
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
        if (!step.isFinished()) {
            throw new GuestClosed();
        }
    }

    boolean isCurrent() {
        return Thread.currentThread() == thread;
    }

    /** Ends the program and waits for that. The vCPU is not run any more. */
    void close() {
        gate.change(() -> closing = true);
        Thread started = thread;
        if (started == null || isCurrent()) {
            return;
        }
        started.interrupt();
        boolean interrupted = false;
        while (true) {
            try {
                if (!started.join(PATIENCE)) {
                    LOG.log(
                            Level.WARNING,
                            name + ": the guest's program goes on after its vCPU was closed, and was interrupted, for "
                                    + PATIENCE.toSeconds() + " s");
                }
                break;
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
