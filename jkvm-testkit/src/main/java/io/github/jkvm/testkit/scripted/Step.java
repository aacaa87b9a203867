package io.github.jkvm.testkit.scripted;

import io.github.jkvm.ExitHandler;
import io.github.jkvm.VmExit;
import java.util.Objects;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** One thing that the guest's program asks for. Done by the thread that runs the vCPU while the program waits. */
abstract class Step {
    private boolean finished;

    /**
     * Does it, or as much of it as can be done now.
     *
     * @param handler what serves ports and MMIO, or null if these are exits for the program
     * @return the exit to return; null if the step is {@linkplain #isFinished() finished}, or waits until it {@link #canGoOn}
     */
    abstract @Nullable VmExit perform(@Nullable ExitHandler handler);

    /** Completes the step: what it changes in the vCPU is changed, and the program may go on. Doing so again changes nothing. */
    final void finish() {
        if (!finished) {
            finished = true;
            complete();
        }
    }

    /** Changes what the instruction changes when it ends. */
    void complete() {}

    /** Tells whether a step that waits need not wait any longer. */
    boolean canGoOn() {
        return true;
    }

    final boolean isFinished() {
        return finished;
    }

    /** Something done at once. What it throws is the program's, not that of the run. */
    static final class Action<T> extends Step {
        private final Supplier<T> action;
        private @Nullable T result;
        private @Nullable RuntimeException failure;

        Action(Supplier<T> action) {
            this.action = action;
        }

        @Override
        @Nullable
        VmExit perform(@Nullable ExitHandler handler) {
            try {
                result = action.get();
            } catch (RuntimeException refused) {
                failure = refused;
            }
            finish();
            return null;
        }

        /** Returns what the action returned, or throws what it threw. */
        T result() {
            if (failure != null) {
                throw failure;
            }
            return Objects.requireNonNull(result, "the step is not finished");
        }
    }

    /** A wait of the vCPU that does not leave the guest. */
    static final class Wait extends Step {
        private final BooleanSupplier until;

        Wait(BooleanSupplier until) {
            this.until = until;
        }

        @Override
        @Nullable
        VmExit perform(@Nullable ExitHandler handler) {
            if (canGoOn()) {
                finish();
            }
            return null;
        }

        @Override
        boolean canGoOn() {
            return until.getAsBoolean();
        }
    }

    /** An exit that wants no answer. */
    static final class Leave extends Step {
        private final VmExit exit;

        Leave(VmExit exit) {
            this.exit = exit;
        }

        @Override
        VmExit perform(@Nullable ExitHandler handler) {
            return exit;
        }
    }
}
