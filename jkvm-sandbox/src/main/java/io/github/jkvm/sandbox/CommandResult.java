package io.github.jkvm.sandbox;

import io.github.jkvm.sandbox.linux.CommandProcess;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.OptionalInt;

/** How a {@link Command} ended. Immutable. */
public final class CommandResult {
    /** What shells add to a signal's number to make a status of it. */
    private static final int SIGNALLED = 128;

    private final CommandProcess.Ending ending;
    private final byte[] output;
    private final byte[] errors;

    CommandResult(CommandProcess.Ending ending, byte[] output, byte[] errors) {
        this.ending = ending;
        this.output = output;
        this.errors = errors;
    }

    /**
     * Returns the exit status.
     *
     * @return 0 to 255; for a command that a signal ended, 128 and the signal's number, as in shells
     */
    public int status() {
        return ending.bySignal() ? SIGNALLED + ending.number() : ending.number();
    }

    /**
     * Returns the signal that ended the command.
     *
     * @return its number, such as 9; empty if the command ended by itself
     */
    public OptionalInt signal() {
        return ending.bySignal() ? OptionalInt.of(ending.number()) : OptionalInt.empty();
    }

    /**
     * Returns the standard output.
     *
     * @return a copy of the bytes; none if the output went elsewhere
     */
    public byte[] output() {
        return output.clone();
    }

    /**
     * Returns the standard output as text.
     *
     * @return the output, read as UTF-8
     */
    public String outputText() {
        return new String(output, StandardCharsets.UTF_8);
    }

    /**
     * Returns the standard error.
     *
     * @return a copy of the bytes; none if it went elsewhere
     */
    public byte[] errors() {
        return errors.clone();
    }

    /**
     * Returns the standard error as text.
     *
     * @return the standard error, read as UTF-8
     */
    public String errorText() {
        return new String(errors, StandardCharsets.UTF_8);
    }

    /**
     * Returns how long the command took by the wall clock.
     *
     * @return the time from the request to the command's end
     */
    public Duration wallTime() {
        return ending.wallTime();
    }

    /**
     * Returns for how long the guest's processors worked meanwhile, all together, whatever for.
     *
     * @return the time
     */
    public Duration cpuTime() {
        return ending.cpuTime();
    }

    /** Returns the status and the sizes of the output. */
    @Override
    public String toString() {
        return (ending.bySignal() ? "signal " : "status ") + ending.number() + ", " + output.length
                + " bytes of output and " + errors.length + " of errors";
    }
}
