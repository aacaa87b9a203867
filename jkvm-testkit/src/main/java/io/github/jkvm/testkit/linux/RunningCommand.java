package io.github.jkvm.testkit.linux;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** A command that was begun in a guest, and may have ended. Safe for use by many threads. */
public final class RunningCommand {
    private final GuestShell shell;
    private final GuestCommand command;
    private final String word;
    private final CommandOutput output;
    private final CommandOutput errors;

    /** Open once the guest was asked to run it. */
    private final CountDownLatch asked = new CountDownLatch(1);

    private int streamsLeft = 2;
    private int status;
    private @Nullable String lost;
    private @Nullable String inputProblem;

    RunningCommand(GuestShell shell, GuestCommand command, String word) {
        this.shell = shell;
        this.command = command;
        this.word = word;
        this.output = new CommandOutput("standard output", GuestShell.MOST_KEPT, command.outputTarget());
        this.errors = new CommandOutput("standard error", GuestShell.MOST_KEPT, command.errorTarget());
    }

    /**
     * Waits for its end. May be called again, also after it has failed for the time.
     *
     * @param limit how long it may still take
     * @return how it ended
     * @throws AssertionError if it takes longer, the guest ends, its input can't be read, or its output is too much or can't be handed on
     * @throws InterruptedException if the thread is interrupted while it waits
     */
    public CommandResult await(Duration limit) throws InterruptedException {
        if (!awaitEnd(limit)) {
            throw failure("the command has not ended within " + limit);
        }
        return result();
    }

    /** Waits for its end, or that of the guest; returns whether one has come. */
    synchronized boolean awaitEnd(Duration limit) throws InterruptedException {
        long deadline = System.nanoTime() + limit.toNanos();
        while (streamsLeft > 0 && lost == null) {
            long left = deadline - System.nanoTime();
            if (left <= 0) {
                return false;
            }
            TimeUnit.NANOSECONDS.timedWait(this, left);
        }
        return true;
    }

    /** Returns how it has ended. */
    CommandResult result() {
        shell.forget(this);
        String problem = problem();
        if (!problem.isEmpty()) {
            throw failure(problem);
        }
        return new CommandResult(command.toString(), status, output.bytes(), errors.bytes());
    }

    private synchronized String problem() {
        if (streamsLeft > 0) {
            return lost == null ? "the command has not ended" : lost;
        }
        if (inputProblem != null) {
            return inputProblem;
        }
        return output.problem().isEmpty() ? errors.problem() : output.problem();
    }

    /**
     * Kills it, and all processes that it has started and that have not left its session. Does nothing if it has ended. Does not wait: {@link
     * #await} gives the exit status 137 then.
     */
    public void kill() {
        if (isRunning()) {
            shell.kill(this);
        }
    }

    /**
     * Tells whether it has not ended.
     *
     * @return true as long as neither the command nor the guest has ended
     */
    public synchronized boolean isRunning() {
        return streamsLeft > 0 && lost == null;
    }

    /**
     * Returns what it has written to its standard output so far.
     *
     * @return the text; empty if it is handed on
     */
    public String output() {
        return new String(output.bytes(), StandardCharsets.UTF_8);
    }

    /**
     * Returns what it has written to its standard error so far.
     *
     * @return the text; empty if it is handed on
     */
    public String errors() {
        return new String(errors.bytes(), StandardCharsets.UTF_8);
    }

    /** Returns the command and its output so far as the message of a failure, with what the guest's console has to say. */
    AssertionError failure(String headline) {
        var message = new StringBuilder(headline);
        String console = shell.console();
        String diagnosis = ConsoleDiagnosis.of(console);
        if (!diagnosis.isEmpty()) {
            message.append("\n").append(diagnosis);
        }
        message.append("\n-- command --\n").append(command);
        output.describe(message);
        errors.describe(message);
        message.append("\n-- the guest's console --\n").append(console.stripTrailing());
        return new AssertionError(message.toString());
    }

    /* What the shell does. */

    GuestCommand command() {
        return command;
    }

    String word() {
        return word;
    }

    CommandOutput outputSink() {
        return output;
    }

    CommandOutput errorSink() {
        return errors;
    }

    synchronized void streamEnded(int exitStatus) {
        status = exitStatus;
        streamsLeft--;
        notifyAll();
    }

    synchronized void lose(String how) {
        asked.countDown();
        if (lost == null) {
            lost = how;
        }
        notifyAll();
    }

    void asked() {
        asked.countDown();
    }

    void awaitAsked() throws InterruptedException {
        asked.await();
    }

    synchronized void inputFailed(String how) {
        inputProblem = how;
    }

    /** Returns the command. */
    @Override
    public String toString() {
        return command.toString();
    }
}
