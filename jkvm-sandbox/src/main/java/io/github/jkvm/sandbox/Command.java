package io.github.jkvm.sandbox;

import io.github.jkvm.sandbox.linux.Calls;
import io.github.jkvm.sandbox.linux.CommandDefaults;
import io.github.jkvm.sandbox.linux.CommandOrder;
import io.github.jkvm.sandbox.linux.CommandProcess;
import io.github.jkvm.sandbox.linux.CommandUser;
import io.github.jkvm.sandbox.linux.HandedOutput;
import io.github.jkvm.sandbox.linux.PipedOutput;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * A command for a {@link LinuxSandbox}. It may be run any number of times; its input is read once. For one thread.
 *
 * <p>A command runs in a session and process group of its own, with no open files but its three streams and the umask 022. Processes that it leaves behind go
 * on, but what they write to its streams is lost.
 */
public final class Command {
    private final Calls calls;
    private final CommandDefaults defaults;
    private final List<String> arguments;
    private final Map<String, String> environment = new LinkedHashMap<>();
    private String directory;
    private Limits limits;
    private CommandUser user;
    private @Nullable InputStream input;
    private @Nullable OutputStream output;
    private @Nullable OutputStream errors;

    Command(Calls calls, Limits limits, CommandDefaults defaults, List<String> arguments) {
        this.calls = calls;
        this.limits = limits;
        this.defaults = defaults;
        this.arguments = List.copyOf(arguments);
        this.directory = defaults.directory();
        this.user = defaults.user();
        order();
    }

    /**
     * Sets a variable of the command's environment, which else has those of the sandbox, {@code PATH} and {@code HOME}.
     *
     * @param name its name
     * @param value its value
     * @return this
     */
    public Command environment(String name, String value) {
        environment.put(Objects.requireNonNull(name, "name"), Objects.requireNonNull(value, "value"));
        return this;
    }

    /**
     * Sets where the command begins: if not set, in the container image's working directory, or else in {@code /}.
     *
     * @param path an absolute path
     * @return this
     */
    public Command directory(String path) {
        directory = Objects.requireNonNull(path, "path");
        return this;
    }

    /**
     * Sets who the command runs as, in no other groups; if not set, the container image's user, or else root, 0 and 0.
     *
     * @param userId the user's number, 0 or more
     * @param groupId the group's number, 0 or more
     * @return this
     * @throws IllegalArgumentException if a number is negative
     */
    public Command user(int userId, int groupId) {
        if (userId < 0 || groupId < 0) {
            throw new IllegalArgumentException("user " + userId + " and group " + groupId + " must be 0 or more");
        }
        user = new CommandUser.Numbers(userId, groupId);
        return this;
    }

    /**
     * Sets who the command runs as, as the guest's {@code /etc/passwd} and {@code /etc/group} tell of them when it starts; if not set, the container image's
     * user, or else root. A user without a group is in all of the user's groups, and else in no other. The variable {@code HOME} is the user's home, if it is not
     * set. There must be such a user and group, unless they are numbers.
     *
     * @param name {@code user} or {@code user:group}, each a name or a number
     * @return this
     * @throws IllegalArgumentException if it is empty
     */
    public Command user(String name) {
        if (name.isEmpty()) {
            throw new IllegalArgumentException("a user without a name; give one, or leave it to the sandbox");
        }
        user = new CommandUser.Named(name);
        return this;
    }

    /**
     * Sets what the command reads: nothing, if not set. Not for {@link #start()}.
     *
     * @param bytes all of its standard input
     * @return this
     */
    public Command input(byte[] bytes) {
        return input(new ByteArrayInputStream(bytes.clone()));
    }

    /**
     * Sets what the command reads: nothing, if not set. Not for {@link #start()}.
     *
     * @param stream all of its standard input, read on a thread of its own until its end or the command's; that thread may wait in it beyond that. Stays
     *     the caller's to close
     * @return this
     */
    public Command input(InputStream stream) {
        input = Objects.requireNonNull(stream, "stream");
        return this;
    }

    /**
     * Hands the standard output on as it comes, in place of keeping it for the result. Not for {@link #start()}.
     *
     * @param stream where it goes, written to by the thread that runs the command; one that blocks holds the command back. Stays the caller's to close
     * @return this
     */
    public Command outputTo(OutputStream stream) {
        output = Objects.requireNonNull(stream, "stream");
        return this;
    }

    /**
     * Hands the standard error on as it comes, as {@link #outputTo} does.
     *
     * @param stream where it goes
     * @return this
     */
    public Command errorsTo(OutputStream stream) {
        errors = Objects.requireNonNull(stream, "stream");
        return this;
    }

    /**
     * Sets what the command may use, in place of the sandbox's limits.
     *
     * @param value the limits; the output is that of both streams together
     * @return this
     */
    public Command limits(Limits value) {
        limits = Objects.requireNonNull(value, "value");
        return this;
    }

    private CommandOrder order() {
        return new CommandOrder(arguments, defaults.environmentWith(environment, user), directory, user);
    }

    /**
     * Runs the command and waits for its end. A command that fails, or is killed within the guest, by its kernel too when memory runs out, has a result like
     * any other.
     *
     * @return how it ended, and what it has put out
     * @throws IllegalArgumentException if an argument, variable or path is one that the guest's kernel does not take
     * @throws SandboxException if the guest can't run the program, as it has none of that name; the sandbox stays ready
     * @throws LimitExceededException if it goes over one of its limits; the sandbox is poisoned
     * @throws GuestCrashedException if the guest breaks down; the sandbox is poisoned
     * @throws CallCancelledException if another thread ends it, or this one is interrupted; the sandbox is poisoned
     * @throws UncheckedIOException if a stream for its output throws; the command is killed, and the sandbox stays ready
     * @throws IllegalStateException if the sandbox is poisoned or closed
     */
    public CommandResult run() {
        var keptOutput = new ByteArrayOutputStream();
        var keptErrors = new ByteArrayOutputStream();
        try (CommandProcess process = CommandProcess.start(
                calls,
                limits,
                order(),
                new HandedOutput(output == null ? keptOutput : output),
                new HandedOutput(errors == null ? keptErrors : errors))) {
            if (input == null) {
                process.input().close();
            } else {
                process.feedFrom(input);
            }
            CommandProcess.Ending ending = process.pump();
            return new CommandResult(ending, keptOutput.toByteArray(), keptErrors.toByteArray());
        } catch (IOException e) {
            throw new UncheckedIOException("a stream for the command's output failed: " + e.getMessage(), e);
        }
    }

    /**
     * Starts the command, for someone who talks with it while it runs.
     *
     * @return the command, to be closed by the caller
     * @throws IllegalArgumentException as {@link #run()} says
     * @throws SandboxException as {@link #run()} says
     * @throws IllegalStateException if the sandbox is poisoned or closed, or the command was given streams
     */
    public RunningCommand start() {
        if (input != null || output != null || errors != null) {
            throw new IllegalStateException(
                    "a command that is started has streams of its own; use those, or run() the command");
        }
        var pipedOutput = new PipedOutput();
        var pipedErrors = new PipedOutput();
        CommandProcess process = CommandProcess.start(calls, limits, order(), pipedOutput, pipedErrors);
        process.pumpInBackground();
        return new RunningCommand(process, pipedOutput, pipedErrors);
    }

    /** Returns the arguments, with spaces between them. */
    @Override
    public String toString() {
        return String.join(" ", arguments);
    }
}
