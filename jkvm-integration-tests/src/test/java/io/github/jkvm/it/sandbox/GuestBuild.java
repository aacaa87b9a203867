package io.github.jkvm.it.sandbox;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.abort;

import io.github.jkvm.sandbox.FunctionSandbox;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** Builds guests as their authors do: with the files of the library and the command that its header tells. */
final class GuestBuild {
    private static final Pattern COMMAND = Pattern.compile("gcc -O2 .*? -o guest\\.elf", Pattern.DOTALL);
    private static final Map<String, byte[]> BUILT = new ConcurrentHashMap<>();

    private GuestBuild() {}

    /** Builds a guest of a file of the tests' resources; without a compiler, the test is skipped. */
    static byte[] resource(String name) {
        return BUILT.computeIfAbsent(name, file -> {
            try (InputStream in = GuestBuild.class.getResourceAsStream(file)) {
                return source(new String(Objects.requireNonNull(in, file).readAllBytes(), StandardCharsets.UTF_8));
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        });
    }

    /** Builds a guest of its text. */
    static byte[] source(String text) throws IOException {
        if (Stream.of(Objects.requireNonNullElse(System.getenv("PATH"), "").split(File.pathSeparator))
                .noneMatch(folder -> Files.isExecutable(Path.of(folder, "gcc")))) {
            return abort("the guest is written in C, and there is no gcc on the PATH; install gcc");
        }
        Path folder = Files.createTempDirectory("jkvm-guest");
        try {
            FunctionSandbox.copyGuestFiles(folder);
            Files.writeString(folder.resolve("guest.c"), text);
            Matcher command = COMMAND.matcher(Files.readString(folder.resolve("jkvm-sandbox.h")));
            assertThat(command.find()).isTrue();
            String line = command.group().replaceAll("\\\\\\s+\\*", " ").replace(" -o ", " -Wall -Wextra -Werror -o ");
            Path messages = folder.resolve("messages");
            Process process = new ProcessBuilder("sh", "-c", line)
                    .directory(folder.toFile())
                    .redirectErrorStream(true)
                    .redirectOutput(messages.toFile())
                    .start();
            int status = process.waitFor();
            assertThat(status).as(line + "\n" + Files.readString(messages)).isZero();
            return Files.readAllBytes(folder.resolve("guest.elf"));
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        } finally {
            try (Stream<Path> files = Files.walk(folder)) {
                files.sorted(Comparator.reverseOrder())
                        .forEach(file -> file.toFile().delete());
            }
        }
    }
}
