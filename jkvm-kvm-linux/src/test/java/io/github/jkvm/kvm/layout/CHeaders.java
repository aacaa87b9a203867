package io.github.jkvm.kvm.layout;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;

/**
 * Asks a C compiler what it makes of expressions over the installed kernel headers.
 *
 * <p>Each expression is a function on a line of its own, so that the lines of the compiler's errors tell which the headers lack: first all
 * are checked for errors, then those without are compiled and run.
 */
final class CHeaders {
    private static final Pattern ERROR = Pattern.compile("\\.c:(\\d+):(?:\\d+:)? error:");
    private static final String PROLOGUE =
            "#include <stddef.h>\n#include <stdio.h>\n#include <linux/version.h>\n#include <linux/kvm.h>\n";
    private static final int PROLOGUE_LINES = 4;

    private final Path compiler;
    private final Path folder;

    CHeaders(Path compiler, Path folder) {
        this.compiler = compiler;
        this.folder = folder;
    }

    /** Finds a compiler on the PATH. */
    static Optional<Path> compiler() {
        for (String folder : System.getenv("PATH").split(File.pathSeparator, -1)) {
            for (String name : List.of("cc", "gcc", "clang")) {
                Path file = Path.of(folder, name);
                if (Files.isExecutable(file)) {
                    return Optional.of(file);
                }
            }
        }
        return Optional.empty();
    }

    /**
     * Returns the value of each expression that the headers allow; the others are missing.
     *
     * @throws NoHeadersException if there are no headers at all
     */
    Map<String, Long> evaluate(List<String> expressions) throws IOException, InterruptedException {
        List<String> allowed = allowed(expressions);
        Path program = folder.resolve("values");
        String errors = run(compiler.toString(), "-w", "-o", program.toString(), source("values.c", allowed));
        if (!errors.isEmpty()) {
            throw new IOException(errors);
        }
        String[] values = run(program.toString()).split("\n", -1);
        Map<String, Long> result = new HashMap<>();
        for (int i = 0; i < allowed.size(); i++) {
            result.put(allowed.get(i), Long.parseLong(values[i]));
        }
        return result;
    }

    /** What is left when no line has an error any more; some compilers give up after twenty errors, so one look may not do. */
    private List<String> allowed(List<String> expressions) throws IOException, InterruptedException {
        List<String> allowed = new ArrayList<>(expressions);
        while (true) {
            String output = run(compiler.toString(), "-w", "-fsyntax-only", source("check.c", allowed));
            if (output.contains("fatal error:")) {
                throw new NoHeadersException(output.lines().findFirst().orElse(""));
            }
            Set<Integer> refused = new TreeSet<>(Comparator.reverseOrder());
            var matcher = ERROR.matcher(output);
            while (matcher.find()) {
                refused.add(Integer.parseInt(matcher.group(1)) - PROLOGUE_LINES - 1);
            }
            if (refused.isEmpty()) {
                return allowed;
            }
            for (int index : refused) {
                allowed.remove(index);
            }
        }
    }

    /** There is a compiler, but no kernel headers. */
    static final class NoHeadersException extends IOException {
        private static final long serialVersionUID = 1L;

        NoHeadersException(String message) {
            super(message);
        }
    }

    private String source(String name, List<String> expressions) throws IOException {
        var text = new StringBuilder(PROLOGUE);
        for (int i = 0; i < expressions.size(); i++) {
            text.append("static long long v%d(void) { return (long long) (%s); }%n".formatted(i, expressions.get(i)));
        }
        text.append("int main(void) {\n");
        for (int i = 0; i < expressions.size(); i++) {
            text.append("printf(\"%%lld\\n\", v%d());%n".formatted(i));
        }
        text.append("return 0; }\n");
        return Files.writeString(folder.resolve(name), text).toString();
    }

    private String run(String... command) throws IOException, InterruptedException {
        Path output = folder.resolve("output");
        var builder = new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(output.toFile());
        builder.environment().put("LC_ALL", "C");
        Process process = builder.start();
        if (!process.waitFor(60, TimeUnit.SECONDS)) {
            process.destroyForcibly();
            throw new IOException(String.join(" ", command) + " took more than a minute");
        }
        return Files.readString(output, UTF_8);
    }
}
