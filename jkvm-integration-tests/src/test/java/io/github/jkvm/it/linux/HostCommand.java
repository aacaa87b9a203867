package io.github.jkvm.it.linux;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.TimeUnit;

/** A program of the host that a test runs: the other side of a network, for instance. */
final class HostCommand implements AutoCloseable {
    private static final int PATIENCE_SECONDS = 60;

    private final Process process;

    private HostCommand(Process process) {
        this.process = process;
    }

    /** Starts a program that runs until it is closed. The test is skipped if the host lacks it. */
    static HostCommand start(String... command) throws IOException {
        return new HostCommand(process(command));
    }

    /**
     * Runs a program and returns what it prints.
     *
     * @throws AssertionError if it fails, or takes more than a minute
     */
    static String run(String... command) throws IOException, InterruptedException {
        try (var running = new HostCommand(process(command))) {
            String output = new String(running.process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            if (!running.process.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS) || running.process.exitValue() != 0) {
                throw new AssertionError(String.join(" ", command) + " has failed:\n" + output);
            }
            return output;
        }
    }

    private static Process process(String... command) throws IOException {
        try {
            return new ProcessBuilder(command)
                    .redirectErrorStream(true)
                    .redirectInput(ProcessBuilder.Redirect.from(new File("/dev/null")))
                    .start();
        } catch (IOException e) {
            assumeTrue(false, "no " + command[0] + " on this host: " + e.getMessage());
            throw e;
        }
    }

    /**
     * Reads its output up to a line.
     *
     * @param part what the line contains
     * @throws AssertionError if it ends before
     */
    void awaitLine(String part) throws IOException {
        var seen = new StringBuilder();
        var reader = process.inputReader(StandardCharsets.UTF_8);
        for (String line = reader.readLine(); line != null; line = reader.readLine()) {
            seen.append(line).append('\n');
            if (line.contains(part)) {
                return;
            }
        }
        throw new AssertionError(process.info().command() + " has ended without '" + part + "':\n" + seen);
    }

    @Override
    public void close() {
        process.destroyForcibly();
        process.onExit().join();
    }
}
