package io.github.jkvm.machine.boot;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * The command line of a kernel: parameters, and arguments for the first program.
 *
 * <p>Follows the rules of Linux (lib/cmdline.c, {@code next_arg}; kernel-parameters.rst): parameters stand between spaces, {@code "} keeps
 * spaces together and can't be escaped, and what follows {@code --} goes to the first program. Only printable ASCII is taken, so that a
 * value from elsewhere can't smuggle in a parameter. Immutable.
 *
 * <p>{@snippet lang = java :
 * CommandLine line = CommandLine.empty().add("console", "ttyS0").add("quiet").add("panic", "-1");
 * }
 */
public final class CommandLine {
    /** Longest command line of Linux on x86 without the closing zero byte (COMMAND_LINE_SIZE - 1). */
    public static final int MAX_LENGTH = 2047;

    private static final String SEPARATOR = "--";
    private static final CommandLine EMPTY = new CommandLine(List.of(), List.of());

    private final List<Parameter> parameters;
    private final List<String> initArguments;
    private final String text;

    /**
     * One parameter.
     *
     * @param key its name: printable ASCII without space, {@code =} and {@code "}, and not {@code --}
     * @param value its value, printable ASCII without {@code "}; empty for a parameter without {@code =}
     */
    public record Parameter(String key, Optional<String> value) {
        /**
         * Checks the parts.
         *
         * @throws IllegalArgumentException if a part has a character that it must not have
         */
        public Parameter {
            checkPrintable("key", key);
            if (key.isEmpty() || key.equals(SEPARATOR) || key.chars().anyMatch(c -> c == ' ' || c == '=')) {
                throw new IllegalArgumentException(
                        "command line key \"" + key + "\" must have a character, no space, no '=', and not be \"--\"");
            }
            value.ifPresent(v -> checkPrintable("value of " + key, v));
        }

        /** Returns the parameter as the kernel reads it, quoted where it must be. */
        @Override
        public String toString() {
            return value.map(v -> key + "=" + (v.indexOf(' ') < 0 ? v : '"' + v + '"'))
                    .orElse(key);
        }
    }

    private CommandLine(List<Parameter> parameters, List<String> initArguments) {
        this.parameters = List.copyOf(parameters);
        this.initArguments = List.copyOf(initArguments);
        List<String> words = this.parameters.stream().map(Parameter::toString).collect(Collectors.toList());
        if (!this.initArguments.isEmpty()) {
            words.add(SEPARATOR);
            this.initArguments.forEach(
                    argument -> words.add(argument.indexOf(' ') < 0 ? argument : '"' + argument + '"'));
        }
        text = String.join(" ", words);
        if (text.length() > MAX_LENGTH) {
            throw new IllegalArgumentException("command line has " + text.length() + " characters; Linux takes up to "
                    + MAX_LENGTH + ": put the rest into the initrd");
        }
    }

    /**
     * Returns a command line without parameters.
     *
     * @return the command line
     */
    public static CommandLine empty() {
        return EMPTY;
    }

    /**
     * Reads a command line as the kernel does.
     *
     * @param text the text; words are separated by one or more spaces
     * @return the command line
     * @throws IllegalArgumentException if it has a character that is not printable ASCII, a {@code "} that is not closed or does not begin a
     *     word or a value, a word that begins with {@code =}, or is longer than {@link #MAX_LENGTH}
     */
    public static CommandLine parse(String text) {
        checkAscii("text", text);
        List<Parameter> parameters = new ArrayList<>();
        List<String> initArguments = new ArrayList<>();
        boolean forInit = false;
        for (String word : words(text)) {
            String plain = unquote(word);
            if (forInit) {
                initArguments.add(checkInitArgument(plain));
            } else if (word.equals(SEPARATOR)) {
                forInit = true;
            } else {
                int equals = plain.indexOf('=');
                parameters.add(
                        equals < 0
                                ? new Parameter(plain, Optional.empty())
                                : new Parameter(plain.substring(0, equals), Optional.of(plain.substring(equals + 1))));
            }
        }
        return new CommandLine(parameters, initArguments);
    }

    /**
     * Returns this command line with one more parameter, without a value.
     *
     * @param key its name
     * @return the new command line
     * @throws IllegalArgumentException if the key has a character that it must not have, or the line gets too long
     */
    public CommandLine add(String key) {
        return plus(new Parameter(key, Optional.empty()));
    }

    /**
     * Returns this command line with one more parameter.
     *
     * @param key its name
     * @param value its value
     * @return the new command line
     * @throws IllegalArgumentException if key or value has a character that it must not have, or the line gets too long
     */
    public CommandLine add(String key, String value) {
        return plus(new Parameter(key, Optional.of(value)));
    }

    /**
     * Returns this command line with one more argument for the first program of user space.
     *
     * @param argument the argument: printable ASCII without {@code "}
     * @return the new command line
     * @throws IllegalArgumentException if the argument is empty or {@code --}, has a character that it must not have, or the line gets too long
     */
    public CommandLine addInitArgument(String argument) {
        List<String> next = new ArrayList<>(initArguments);
        next.add(checkInitArgument(argument));
        return new CommandLine(parameters, next);
    }

    private CommandLine plus(Parameter parameter) {
        List<Parameter> next = new ArrayList<>(parameters);
        next.add(parameter);
        return new CommandLine(next, initArguments);
    }

    /**
     * Returns the parameters in order.
     *
     * @return an immutable list
     */
    public List<Parameter> parameters() {
        return parameters;
    }

    /**
     * Returns the arguments for the first program, in order.
     *
     * @return an immutable list
     */
    public List<String> initArguments() {
        return initArguments;
    }

    /**
     * Returns the values of a parameter, in order; a parameter may be given more than once.
     *
     * @param key its name
     * @return the values of those that have one
     */
    public List<String> values(String key) {
        return parameters.stream()
                .filter(parameter -> parameter.key().equals(key))
                .flatMap(parameter -> parameter.value().stream())
                .collect(Collectors.collectingAndThen(Collectors.toList(), Collections::unmodifiableList));
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof CommandLine that && text.equals(that.text);
    }

    @Override
    public int hashCode() {
        return text.hashCode();
    }

    /** Returns the text that the kernel gets: ASCII, at most {@link #MAX_LENGTH} characters. */
    @Override
    public String toString() {
        return text;
    }

    private static List<String> words(String text) {
        List<String> words = new ArrayList<>();
        boolean quoted = false;
        int start = 0;
        for (int i = 0; i <= text.length(); i++) {
            char c = i < text.length() ? text.charAt(i) : ' ';
            if (c == '"') {
                quoted = !quoted;
            } else if (c == ' ' && (!quoted || i == text.length())) {
                if (i > start) {
                    words.add(text.substring(start, i));
                }
                start = i + 1;
            }
        }
        if (quoted) {
            throw new IllegalArgumentException("command line \"" + text + "\" has a quote that is not closed");
        }
        return words;
    }

    /** Takes the quotes off {@code "key=a value"}, {@code key="a value"} and {@code "a word"}. */
    private static String unquote(String word) {
        if (word.startsWith("\"") && word.endsWith("\"")) {
            return word.substring(1, word.length() - 1);
        }
        int value = word.indexOf('=') + 1;
        if (value > 0 && word.startsWith("\"", value) && word.endsWith("\"")) {
            return word.substring(0, value) + word.substring(value + 1, word.length() - 1);
        }
        return word;
    }

    private static String checkInitArgument(String argument) {
        checkPrintable("init argument", argument);
        if (argument.isEmpty() || argument.equals(SEPARATOR)) {
            throw new IllegalArgumentException("init argument \"" + argument
                    + "\" must have a character and not be \"--\": Linux stops reading there");
        }
        return argument;
    }

    private static void checkPrintable(String what, String text) {
        checkAscii(what, text);
        if (text.indexOf('"') >= 0) {
            throw new IllegalArgumentException(
                    "command line " + what + " has a '\"' in \"" + text + "\"; Linux has no way to escape it");
        }
    }

    private static void checkAscii(String what, String text) {
        Objects.requireNonNull(text, what);
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c < ' ' || c > '~') {
                throw new IllegalArgumentException(String.format(
                        "command line %s has character U+%04X at position %d; it must be printable ASCII",
                        what, (int) c, i));
            }
        }
    }
}
