package io.github.jkvm.samples.untrusted;

import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What the command line asks for.
 *
 * @param language what the snippet is written in
 * @param root the guest's root: a folder, a file system image, or a folder with a container image
 * @param timeout the longest that the snippet may run
 * @param memory size of the guest's RAM in bytes
 */
record Options(Language language, Path root, Duration timeout, long memory) {
    static final String USAGE = """
            Runs a snippet of code from standard input in a Linux guest, prints its output, and ends with its exit status.

              run-untrusted sh|python3 --root PATH [--timeout SECONDS] [--memory MIB]

              --root PATH        what the guest's root is made from: a folder with a Linux system, an ext4, squashfs or erofs
                                 image, or a container image in a folder in OCI layout. It is not written to
              --timeout SECONDS  the longest that the snippet may run (default: 10)
              --memory MIB       the guest's RAM (default: 256)

            Exit status: the snippet's own, 128 and more after a signal; else
              124  it went over its time, or printed more than 16 MiB
              125  it was not run
              126  the guest broke down
            """;

    private static final int LONGEST = 1_000_000;
    private static final int MOST_MEMORY = 1 << 20;
    private static final int LEAST_MEMORY = 64;

    /** What a snippet can be written in. */
    enum Language {
        /** Shell. */
        SH,
        /** Python 3. */
        PYTHON3;

        /** Returns the command that runs a file. */
        List<String> command(String file) {
            return switch (this) {
                case SH -> List.of("sh", file);
                case PYTHON3 -> List.of("python3", file);
            };
        }
    }

    /** A command line that can't be followed; the text says why. */
    static final class WrongArgument extends Exception {
        private static final long serialVersionUID = 1L;

        WrongArgument(String message) {
            super(message);
        }
    }

    static Options parse(String... arguments) throws WrongArgument {
        if (arguments.length == 0) {
            throw new WrongArgument("no language; --help tells the arguments");
        }
        Language language = switch (arguments[0]) {
            case "sh" -> Language.SH;
            case "python3" -> Language.PYTHON3;
            default -> throw new WrongArgument("the language '" + arguments[0] + "' is neither sh nor python3");
        };
        Path root = null;
        int timeout = 10;
        int memory = 256;
        for (int i = 1; i < arguments.length; i += 2) {
            String value = i + 1 < arguments.length ? arguments[i + 1] : null;
            switch (arguments[i]) {
                case "--root" -> root = Path.of(required("--root", value));
                case "--timeout" -> timeout = number("--timeout", value, 1, LONGEST);
                case "--memory" -> memory = number("--memory", value, LEAST_MEMORY, MOST_MEMORY);
                default -> throw new WrongArgument("there is no option '" + arguments[i] + "'; --help lists them");
            }
        }
        if (root == null) {
            throw new WrongArgument("no --root; give a folder with a Linux system, or an image");
        }
        return new Options(language, root, Duration.ofSeconds(timeout), (long) memory << 20);
    }

    private static String required(String name, @Nullable String value) throws WrongArgument {
        if (value == null) {
            throw new WrongArgument(name + " needs a value");
        }
        return value;
    }

    private static int number(String name, @Nullable String value, int least, int most) throws WrongArgument {
        String digits = required(name, value);
        if (!digits.matches("[0-9]{1,8}") || Integer.parseInt(digits) < least || Integer.parseInt(digits) > most) {
            throw new WrongArgument(name + " '" + digits + "' is not a number from " + least + " to " + most);
        }
        return Integer.parseInt(digits);
    }
}
