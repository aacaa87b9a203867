package io.github.jkvm.testkit.linux;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * What a guest is to run: a script for the shell of busybox, with what goes into it and where its output goes. Immutable; each {@code with}
 * method returns another one.
 *
 * <p>{@snippet lang = java :
 * CommandResult sorted = machine.execute(GuestCommand.of("sort -n")
 *         .withInput("10\n9\n")
 *         .withEnvironment("LC_ALL", "C")
 *         .withDeadline(Duration.ofSeconds(10)));
 * }
 */
public final class GuestCommand {
    private static final Pattern NAME = Pattern.compile("[A-Za-z_][A-Za-z0-9_]*");

    /** Writes a command's input. */
    @FunctionalInterface
    interface Input {
        void writeTo(OutputStream out) throws IOException;
    }

    private final String script;
    private final Map<String, String> environment;
    private final @Nullable String directory;
    private final @Nullable Input input;
    private final @Nullable Duration deadline;
    private final @Nullable OutputStream outputTarget;
    private final @Nullable OutputStream errorTarget;

    private GuestCommand(
            String script,
            Map<String, String> environment,
            @Nullable String directory,
            @Nullable Input input,
            @Nullable Duration deadline,
            @Nullable OutputStream outputTarget,
            @Nullable OutputStream errorTarget) {
        this.script = script;
        this.environment = environment;
        this.directory = directory;
        this.input = input;
        this.deadline = deadline;
        this.outputTarget = outputTarget;
        this.errorTarget = errorTarget;
    }

    /**
     * Describes a command with an empty standard input, in {@code /root}.
     *
     * @param script for the shell of busybox, of any length
     * @return the command
     */
    public static GuestCommand of(String script) {
        Objects.requireNonNull(script, "script");
        return new GuestCommand(script, Map.of(), null, null, null, null, null);
    }

    /**
     * Sets a variable.
     *
     * @param name letters, digits and underscores, no digit in front
     * @param value anything but zero characters
     * @return another command
     * @throws IllegalArgumentException if name or value are none
     */
    public GuestCommand withEnvironment(String name, String value) {
        if (!NAME.matcher(name).matches() || value.indexOf('\0') >= 0) {
            throw new IllegalArgumentException(
                    "'" + name + "' with the value '" + value + "' is no environment variable");
        }
        Map<String, String> more = new LinkedHashMap<>(environment);
        more.put(name, value);
        return new GuestCommand(script, more, directory, input, deadline, outputTarget, errorTarget);
    }

    /**
     * Sets the folder it runs in; if the guest has none, the command fails with exit status 126.
     *
     * @param path the folder, absolute or seen from {@code /root}
     * @return another command
     */
    public GuestCommand withDirectory(String path) {
        Objects.requireNonNull(path, "path");
        return new GuestCommand(script, environment, path, input, deadline, outputTarget, errorTarget);
    }

    /**
     * Sets its standard input.
     *
     * @param bytes the whole input; copied
     * @return another command
     */
    public GuestCommand withInput(byte[] bytes) {
        byte[] copy = bytes.clone();
        return withInput(out -> out.write(copy));
    }

    /**
     * Sets its standard input.
     *
     * @param text the whole input, which becomes UTF-8
     * @return another command
     */
    public GuestCommand withInput(String text) {
        return withInput(text.getBytes(StandardCharsets.UTF_8));
    }

    /**
     * Sets its standard input.
     *
     * @param file of the host; read while the command runs
     * @return another command
     */
    public GuestCommand withInput(Path file) {
        Objects.requireNonNull(file, "file");
        return withInput(out -> Files.copy(file, out));
    }

    GuestCommand withInput(Input source) {
        return new GuestCommand(script, environment, directory, source, deadline, outputTarget, errorTarget);
    }

    /**
     * Sets how long it may take, in place of the machine's deadline.
     *
     * @param limit more than zero
     * @return another command
     * @throws IllegalArgumentException if it is not
     */
    public GuestCommand withDeadline(Duration limit) {
        if (limit.isNegative() || limit.isZero()) {
            throw new IllegalArgumentException("the deadline " + limit + " lets nothing run; give more than zero");
        }
        return new GuestCommand(script, environment, directory, input, limit, outputTarget, errorTarget);
    }

    /**
     * Hands its standard output on, however much it is. The result has none of it then.
     *
     * @param target gets the bytes as they come, on another thread; one that blocks holds the guest back; stays the caller's to close
     * @return another command
     */
    public GuestCommand withOutputTo(OutputStream target) {
        Objects.requireNonNull(target, "target");
        return new GuestCommand(script, environment, directory, input, deadline, target, errorTarget);
    }

    /**
     * Hands its standard error on, as {@link #withOutputTo} does with the output.
     *
     * @param target gets the bytes
     * @return another command
     */
    public GuestCommand withErrorsTo(OutputStream target) {
        Objects.requireNonNull(target, "target");
        return new GuestCommand(script, environment, directory, input, deadline, outputTarget, target);
    }

    /** Returns the script with what prepares for it. */
    byte[] request() {
        var text = new StringBuilder();
        environment.forEach((name, value) -> text.append("export ")
                .append(name)
                .append('=')
                .append(quoted(value))
                .append('\n'));
        if (directory != null) {
            text.append("cd -- ").append(quoted(directory)).append(" || exit 126\n");
        }
        return text.append(script).append('\n').toString().getBytes(StandardCharsets.UTF_8);
    }

    /** Writes a text so that a shell takes it as it is. */
    static String quoted(String text) {
        return "'" + text.replace("'", "'\\''") + "'";
    }

    Optional<Input> input() {
        return Optional.ofNullable(input);
    }

    Duration deadlineOr(Duration other) {
        return deadline == null ? other : deadline;
    }

    @Nullable
    OutputStream outputTarget() {
        return outputTarget;
    }

    @Nullable
    OutputStream errorTarget() {
        return errorTarget;
    }

    /** Returns the script. */
    @Override
    public String toString() {
        return script;
    }
}
