package io.github.jkvm.sandbox.linux;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;

/**
 * What is to be run.
 *
 * @param arguments the program and its arguments
 * @param environment all of the command's environment
 * @param directory where it begins
 * @param user who runs it
 */
public record CommandOrder(
        List<String> arguments, Map<String, String> environment, String directory, CommandUser user) {
    /** Most arguments and most variables: the agent's limit. */
    public static final int MOST_STRINGS = 8192;

    /**
     * Copies and checks the lists.
     *
     * @throws IllegalArgumentException if there is nothing to run, or something the guest's kernel does not take
     */
    public CommandOrder {
        arguments = List.copyOf(arguments);
        environment = Map.copyOf(environment);
        if (arguments.isEmpty() || arguments.getFirst().isEmpty()) {
            throw new IllegalArgumentException("there is no program to run; give its name as the first argument");
        }
        if (arguments.size() > MOST_STRINGS || environment.size() > MOST_STRINGS) {
            throw new IllegalArgumentException(arguments.size() + " arguments and " + environment.size()
                    + " variables: at most " + MOST_STRINGS + " of each can be passed; give the rest in a file");
        }
        arguments.forEach(CommandOrder::bytes);
        environment.forEach((name, value) -> {
            if (name.isEmpty() || name.contains("=")) {
                throw new IllegalArgumentException("'" + name + "' is no name of a variable");
            }
            bytes(name + "=" + value);
        });
        GuestPath.check(directory);
        if (user instanceof CommandUser.Named named) {
            bytes(named.text());
        }
    }

    private static byte[] bytes(String text) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        if (bytes.length >= Frame.MAX_PAYLOAD || text.indexOf('\0') >= 0) {
            throw new IllegalArgumentException("an argument or variable of " + bytes.length
                    + " bytes is too long, or has a zero byte; Linux takes fewer than " + Frame.MAX_PAYLOAD
                    + " without, so give it in a file");
        }
        return bytes;
    }

    void send(AgentConnection connection) {
        arguments.forEach(argument -> connection.send(FrameType.ARGUMENT, bytes(argument)));
        environment.forEach((name, value) -> connection.send(FrameType.VARIABLE, bytes(name + "=" + value)));
        connection.send(FrameType.DIRECTORY, bytes(directory));
        switch (user) {
            case CommandUser.Numbers(int uid, int gid) ->
                connection.send(FrameType.USER, out -> out.putInt(uid).putInt(gid));
            case CommandUser.Named(String text) -> connection.send(FrameType.NAMED, bytes(text));
        }
        connection.send(FrameType.EXECUTE);
    }
}
