package io.github.jkvm.benchmarks;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/** The C program (src/main/c/kvm-peer.c) as a child process that measures when it is told to. */
final class Peer implements AutoCloseable {
    private final Process process;
    private final Writer commands;
    private final BufferedReader answers;

    /** Starts the program. */
    Peer(Path program) throws IOException {
        process = new ProcessBuilder(program.toString())
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        commands = process.outputWriter(StandardCharsets.US_ASCII);
        answers = process.inputReader(StandardCharsets.US_ASCII);
    }

    /**
     * Runs a measurement.
     *
     * @param what the command's name
     * @param guest the machine code to run
     * @param count how often
     * @return the time it took in nanoseconds
     */
    long measure(String what, RealModeGuest guest, int count) {
        return measure(what, guest.hex(), count);
    }

    /**
     * Runs a measurement.
     *
     * @param what the command's name
     * @param code the machine code to run, in hexadecimal
     * @param count how often
     * @return the time it took in nanoseconds
     */
    long measure(String what, String code, int count) {
        try {
            commands.write(what + " " + code + " " + count + "\n");
            commands.flush();
            String answer = answers.readLine();
            if (answer == null) {
                throw new IllegalStateException("kvm-peer ended while it measured " + what + "; its message is above");
            }
            return Long.parseLong(answer);
        } catch (IOException e) {
            throw new UncheckedIOException("kvm-peer is gone", e);
        }
    }

    /** Ends the program. */
    @Override
    public void close() {
        process.destroy();
    }
}
