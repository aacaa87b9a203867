package io.github.jkvm.samples.function;

import io.github.jkvm.Hypervisor;
import io.github.jkvm.sandbox.FunctionSandbox;
import io.github.jkvm.sandbox.GuestErrorException;
import io.github.jkvm.sandbox.LimitExceededException;
import io.github.jkvm.sandbox.Limits;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;

/** Has a guest in C find the longest word of each argument, and then misbehave. */
public final class FunctionSample {
    private FunctionSample() {}

    /**
     * What the guest finds; {@code JKVM_RECORD(word, ...)} in words.c.
     *
     * @param text the word
     * @param length how many bytes it has
     */
    public record Word(String text, int length) {}

    /** The guest's functions. */
    public interface Words {
        /**
         * Finds the longest word.
         *
         * @param text words with spaces between them
         * @return the first that is longest
         */
        Word longest(String text);

        /**
         * Counts.
         *
         * @return how often {@link #longest} was called
         */
        long called();

        /** Does not come back. */
        void misbehave();
    }

    /** What the guest may ask of us. */
    public interface Host {
        /**
         * Prints.
         *
         * @param line a line
         */
        @SuppressWarnings("MemberName") // it is C's
        void log_line(String line);
    }

    /**
     * Runs the sample.
     *
     * @param texts texts to look at
     * @throws IOException if the guest can't be built
     * @throws InterruptedException if the thread is interrupted
     */
    public static void main(String[] texts) throws IOException, InterruptedException {
        byte[] program = build();
        Limits limits = Limits.DEFAULT.withDeadline(Duration.ofSeconds(2));
        Host host = line -> System.out.println("  host: " + line);
        try (Hypervisor hypervisor = Hypervisor.open();
                FunctionSandbox sandbox = FunctionSandbox.builder(hypervisor, program)
                        .limits(limits)
                        .hostFunctions(Host.class, host)
                        .build()) {
            Words words = sandbox.bind(Words.class);
            for (String text : texts) {
                try {
                    System.out.println("longest of '" + text + "': " + words.longest(text));
                } catch (GuestErrorException error) {
                    System.out.println("the guest says: " + error.getMessage());
                }
            }
            System.out.println("the guest was called " + words.called() + " times; it is " + sandbox.state());
            try {
                words.misbehave();
            } catch (LimitExceededException exceeded) {
                System.out.println("stopped: " + exceeded.getMessage() + "; it is " + sandbox.state());
            }
            sandbox.restore();
            System.out.println("restored: called " + words.called() + " times; it is " + sandbox.state());
        }
    }

    /** Has the C compiler make the guest, as its author would. */
    private static byte[] build() throws IOException, InterruptedException {
        Path folder = Files.createTempDirectory("function-sandbox");
        try {
            FunctionSandbox.copyGuestFiles(folder);
            try (InputStream source = FunctionSample.class.getResourceAsStream("/words.c")) {
                Files.copy(Objects.requireNonNull(source, "words.c"), folder.resolve("words.c"));
            }
            String command =
                    "gcc -O2 -ffreestanding -nostdlib -static -no-pie -fno-pic -fno-stack-protector -fcf-protection=none"
                            + " -fno-asynchronous-unwind-tables -I. words.c jkvm-sandbox.c jkvm-sandbox.S"
                            + " -T jkvm-sandbox.ld -Wl,--build-id=none -o guest.elf";
            int status = new ProcessBuilder(List.of(command.split(" ", -1)))
                    .directory(folder.toFile())
                    .inheritIO()
                    .start()
                    .waitFor();
            if (status != 0) {
                throw new IOException("gcc ended with status " + status + "; see above");
            }
            return Files.readAllBytes(folder.resolve("guest.elf"));
        } finally {
            try (Stream<Path> files = Files.walk(folder)) {
                for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                    Files.delete(file);
                }
            }
        }
    }
}
