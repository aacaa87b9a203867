package io.github.jkvm.testkit;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.opentest4j.TestAbortedException;

/**
 * Compiles test guests from C with the machine's own compiler ({@code cc}, {@code gcc} or {@code clang}), freestanding and linked to
 * {@link MicroGuest#CODE}.
 *
 * <p>The code has {@code int main(void)}, whose result becomes the guest's status, and may use what the testkit puts before its first line:
 * {@code inb}, {@code outb}, {@code inl}, {@code outl}, {@code halt}, {@code print} (to the debug port), {@code power_off}, and the
 * types {@code u8} to {@code u64}. There is no C library and no floating point.
 *
 * <p>{@snippet lang = java :
 * guest.loadElf(GuestCompiler.compile("int main(void) { print(\"Hi\"); return 0; }"));
 * }
 */
public final class GuestCompiler {
    private static final String HEADER = "jkvm-guest.h";
    private static final long LIMIT_SECONDS = 60;
    private static final List<String> OPTIONS = List.of(
            "-m64",
            "-O2",
            "-Wall",
            "-ffreestanding",
            "-fno-pic",
            "-fno-stack-protector",
            "-fno-asynchronous-unwind-tables",
            "-fcf-protection=none",
            "-mno-red-zone",
            "-mgeneral-regs-only",
            "-nostdlib",
            "-static",
            "-no-pie",
            "-Wl,--build-id=none",
            "-Wl,-z,norelro",
            "-Wl,-z,max-page-size=4096",
            "-Wl,-Ttext-segment=0x" + Long.toHexString(MicroGuest.CODE));

    /** What was compiled before: tests ask for the same guest again and again. */
    private static final Map<String, byte[]> COMPILED = new ConcurrentHashMap<>();

    private GuestCompiler() {}

    /**
     * Compiles a guest, or returns it if it was compiled before in this JVM.
     *
     * @param source the C code
     * @return a 64-bit ELF file for {@link MicroGuest#loadElf}
     * @throws IllegalArgumentException if the compiler refuses the code; the text is what it says
     * @throws TestAbortedException if this machine has no C compiler: the test is skipped, and says so
     */
    public static byte[] compile(String source) {
        return COMPILED.computeIfAbsent(source, GuestCompiler::compileAnew).clone();
    }

    private static byte[] compileAnew(String source) {
        String compiler = find().orElseThrow(() -> new TestAbortedException(
                "the guest is written in C, and none of cc, gcc and clang is on the PATH; install gcc"));
        try {
            Path folder = Files.createTempDirectory("jkvm-guest");
            try {
                return compileIn(folder, compiler, source);
            } finally {
                delete(folder);
            }
        } catch (IOException e) {
            throw new UncheckedIOException("the guest can't be compiled", e);
        }
    }

    private static byte[] compileIn(Path folder, String compiler, String source) throws IOException {
        Path header = folder.resolve(HEADER);
        try (InputStream in = GuestCompiler.class.getResourceAsStream(HEADER)) {
            Files.copy(Objects.requireNonNull(in, HEADER), header);
        }
        Path code = Files.writeString(folder.resolve("guest.c"), source);
        Path program = folder.resolve("guest.elf");
        Path messages = folder.resolve("messages");
        List<String> command = new ArrayList<>(List.of(compiler));
        command.addAll(OPTIONS);
        command.addAll(List.of("-include", header.toString(), code.toString(), "-o", program.toString()));
        Process process = new ProcessBuilder(command)
                .directory(folder.toFile())
                .redirectErrorStream(true)
                .redirectOutput(messages.toFile())
                .start();
        try {
            if (!process.waitFor(LIMIT_SECONDS, TimeUnit.SECONDS)) {
                throw new IllegalArgumentException(compiler + " still compiles after " + LIMIT_SECONDS + " s");
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted while the guest was compiled", e);
        } finally {
            process.destroyForcibly();
        }
        if (process.exitValue() != 0) {
            throw new IllegalArgumentException(
                    compiler + " refuses the guest's code:\n" + Files.readString(messages, StandardCharsets.UTF_8));
        }
        return Files.readAllBytes(program);
    }

    private static Optional<String> find() {
        String path = Optional.ofNullable(System.getenv("PATH")).orElse("");
        return Stream.of("cc", "gcc", "clang")
                .flatMap(name -> Stream.of(path.split(File.pathSeparator)).map(folder -> Path.of(folder, name)))
                .filter(Files::isExecutable)
                .map(Path::toString)
                .findFirst();
    }

    private static void delete(Path folder) throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            for (Path file : files.toList()) {
                Files.delete(file);
            }
        }
        Files.delete(folder);
    }
}
