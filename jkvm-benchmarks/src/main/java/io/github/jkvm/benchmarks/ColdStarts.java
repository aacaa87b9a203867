package io.github.jkvm.benchmarks;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * What it takes from starting a JVM to the first result of a sandbox: a process that opens the hypervisor, makes a sandbox, calls a function and prints what it
 * gives. Beside a process of the C program that makes a guest and runs it to its first exit. And with an archive of the classes, linked and with the profiles of
 * a run before ({@code -XX:AOTCache}, JEP 514), as a program can have that is started often.
 */
final class ColdStarts {
    private static final int TURNS = 21;
    private static final int WARM_UP = 2;

    private final Path guest;
    private final Path program;

    /**
     * Creates it.
     *
     * @param guest sandbox-guest.c, compiled
     * @param program the C program
     */
    ColdStarts(Path guest, Path program) {
        this.guest = guest;
        this.program = program;
    }

    void print() throws IOException {
        Comparison.Side c = count -> start(List.of(program.toString()), "first-ring " + SandboxCosts.RINGS + " 1\n");
        new Comparison("sandbox.cold", 1, WARM_UP, TURNS).print(count -> start(java(), ""), c);
        Path cache = Files.createTempFile("jkvm-bench", ".aot");
        try {
            start(java("-XX:AOTCacheOutput=" + cache), "");
            new Comparison("sandbox.cold-aot", 1, WARM_UP, TURNS)
                    .print(count -> start(java("-XX:AOTCache=" + cache), ""), c);
        } finally {
            Files.delete(cache);
        }
    }

    private List<String> java(String... options) {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.addAll(List.of(
                "-XX:TieredStopAtLevel=1",
                "-XX:+UseSerialGC",
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty("java.class.path")));
        command.addAll(List.of(options));
        command.add(ColdStart.class.getName());
        command.add(guest.toString());
        return command;
    }

    /** Starts a program and returns how many nanoseconds later its first line came. */
    private static long start(List<String> command, String input) {
        try {
            long start = System.nanoTime();
            Process process = new ProcessBuilder(command)
                    .redirectError(ProcessBuilder.Redirect.INHERIT)
                    .start();
            try (Writer commands = process.outputWriter(StandardCharsets.US_ASCII)) {
                commands.write(input);
            }
            String line;
            long nanos;
            try (BufferedReader output = process.inputReader(StandardCharsets.US_ASCII)) {
                line = output.readLine();
                nanos = System.nanoTime() - start;
                // A JVM that writes an archive has more to say.
                output.transferTo(Writer.nullWriter());
            }
            int status = process.waitFor();
            if (line == null || status != 0) {
                throw new IllegalStateException("a program ended with status " + status + ", its message is above: "
                        + String.join(" ", command));
            }
            return nanos;
        } catch (IOException e) {
            throw new UncheckedIOException("a program could not be started: " + command, e);
        } catch (InterruptedException e) {
            throw new IllegalStateException("interrupted while a program ran", e);
        }
    }
}
