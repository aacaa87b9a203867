package io.github.jkvm.sandbox.process;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;

/** The namespaces that a process gets of its own, by the program of unshare(1), in as far as the host permits them. */
final class Namespaces {
    private static final long PATIENCE_SECONDS = 10;

    /** What each command was answered; a host does not change its mind often. */
    private static final Map<List<String>, Boolean> PERMITTED = new ConcurrentHashMap<>();

    private Namespaces() {}

    /**
     * Returns what to put before a command so that it runs in namespaces of its own; nothing if the host permits none.
     *
     * @param network whether it keeps this process's network
     */
    static List<String> prefix(Network network) {
        // Process ids of its own also make it end with the process that waits for it, which is the one this JVM can
        // kill.
        List<String> kinds = new ArrayList<>(List.of("--ipc", "--uts", "--pid", "--fork", "--kill-child"));
        if (network == Network.NONE) {
            kinds.add("--net");
        }
        for (List<String> user : List.of(List.<String>of(), List.of("--user", "--map-current-user"))) {
            List<String> command = new ArrayList<>(List.of("unshare"));
            command.addAll(user);
            command.addAll(kinds);
            if (PERMITTED.computeIfAbsent(List.copyOf(command), Namespaces::isPermitted)) {
                return command;
            }
        }
        return List.of();
    }

    private static boolean isPermitted(List<String> prefix) {
        List<String> command = new ArrayList<>(prefix);
        command.add("true");
        try {
            Process process = new ProcessBuilder(command)
                    .redirectErrorStream(true)
                    .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                    .start();
            try {
                return process.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS) && process.exitValue() == 0;
            } finally {
                process.destroyForcibly();
            }
        } catch (IOException e) {
            // There is no such program.
            return false;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
    }
}
