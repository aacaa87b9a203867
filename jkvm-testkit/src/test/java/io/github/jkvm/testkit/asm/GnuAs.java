package io.github.jkvm.testkit.asm;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** The assembler and linker of GNU binutils, as judges of what the assembler writes. Tests without them are skipped, and say so. */
final class GnuAs {
    private static final Pattern ERROR_LINE = Pattern.compile("^[^:]+:(\\d+): Error: ", Pattern.MULTILINE);
    private static final List<String> TOOLS = List.of("as", "ld");

    /** What {@code as} says of a program: the line numbers it rejects, from 1, and its messages. */
    record Verdict(Set<Integer> rejected, String messages) {}

    private GnuAs() {}

    /** Skips the test where binutils are not installed. */
    static void assumeInstalled() {
        for (String tool : TOOLS) {
            assumeTrue(
                    Stream.of(System.getenv().getOrDefault("PATH", "").split(":"))
                            .anyMatch(folder -> Files.isExecutable(Path.of(folder, tool))),
                    () -> "needs GNU " + tool + " to compare encodings with; install binutils");
        }
    }

    /** Assembles lines in Intel syntax and links them at an address; fails with the messages if a line is rejected. */
    static byte[] assemble(Mode mode, long origin, List<String> lines) {
        return inFolder(folder -> {
            String messages = as(folder, mode, lines);
            if (ERROR_LINE.matcher(messages).find()) {
                throw new AssertionError("as rejects what the assembler takes:\n" + withLines(messages, lines));
            }
            run(
                    folder,
                    "ld",
                    "-m",
                    mode == Mode.BITS64 ? "elf_x86_64" : "elf_i386",
                    "-Ttext=" + Immediate.text(origin),
                    "-e",
                    "0",
                    "--oformat",
                    "binary",
                    "-o",
                    "out.bin",
                    "out.o");
            return Files.readAllBytes(folder.resolve("out.bin"));
        });
    }

    /** Tells which lines {@code as} rejects. */
    static Verdict judge(Mode mode, List<String> lines) {
        return inFolder(folder -> {
            String messages = as(folder, mode, lines);
            Set<Integer> rejected = new TreeSet<>();
            Matcher matcher = ERROR_LINE.matcher(messages);
            while (matcher.find()) {
                rejected.add(Integer.parseInt(matcher.group(1)) - PREAMBLE_LINES);
            }
            return new Verdict(rejected, messages);
        });
    }

    private static final int PREAMBLE_LINES = 2;

    private static String as(Path folder, Mode mode, List<String> lines) throws IOException, InterruptedException {
        List<String> source = new ArrayList<>(lines.size() + PREAMBLE_LINES);
        source.add(".intel_syntax noprefix");
        source.add(".code" + mode.bits());
        source.addAll(lines);
        Files.write(folder.resolve("in.s"), source, StandardCharsets.ISO_8859_1);
        return run(folder, "as", mode == Mode.BITS64 ? "--64" : "--32", "-o", "out.o", "in.s");
    }

    private static String withLines(String messages, List<String> lines) {
        StringBuilder text = new StringBuilder();
        messages.lines().filter(line -> line.contains("Error")).limit(20).forEach(line -> {
            Matcher matcher = ERROR_LINE.matcher(line);
            text.append(line);
            if (matcher.find()) {
                text.append("   in: ").append(lines.get(Integer.parseInt(matcher.group(1)) - PREAMBLE_LINES - 1));
            }
            text.append('\n');
        });
        return text.toString();
    }

    private static String run(Path folder, String... command) throws IOException, InterruptedException {
        Path messages = folder.resolve("messages");
        Process process = new ProcessBuilder(command)
                .directory(folder.toFile())
                .redirectErrorStream(true)
                .redirectOutput(messages.toFile())
                .start();
        int status = process.waitFor();
        String text = Files.readString(messages, StandardCharsets.ISO_8859_1);
        if (status != 0 && !ERROR_LINE.matcher(text).find()) {
            throw new AssertionError(String.join(" ", command) + " fails with status " + status + ":\n" + text);
        }
        return text;
    }

    private interface Work<T> {
        T in(Path folder) throws IOException, InterruptedException;
    }

    private static <T> T inFolder(Work<T> work) {
        try {
            Path folder = Files.createTempDirectory("jkvm-asm");
            try {
                return work.in(folder);
            } finally {
                try (Stream<Path> files = Files.walk(folder)) {
                    for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                        Files.delete(file);
                    }
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new AssertionError("interrupted while an assembler ran", e);
        }
    }
}
