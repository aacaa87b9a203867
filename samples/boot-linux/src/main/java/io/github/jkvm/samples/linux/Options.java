package io.github.jkvm.samples.linux;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * What the command line asks for.
 *
 * @param kernel the kernel's file, or null for the newest one installed
 * @param initrd the initial RAM disk, or null for one made from busybox
 * @param append text added to the kernel's command line
 * @param cpus number of vCPUs, 1 or more
 * @param memory size of the guest's RAM in bytes
 * @param boot how the kernel is entered, or null for the way its file is made for
 * @param timeout the longest the guest may run, or null for as long as it likes
 * @param messages what becomes of the kernel's messages
 * @param command the command and its arguments; empty for a shell
 */
record Options(
        @Nullable Path kernel,
        @Nullable Path initrd,
        String append,
        int cpus,
        long memory,
        @Nullable BootProtocol boot,
        @Nullable Duration timeout,
        Messages messages,
        List<String> command) {

    static final String USAGE = """
            Boots a Linux kernel, runs a command in it, and ends with the command's exit status.

              boot-linux [OPTION...] [-- COMMAND [ARGUMENT...]]

              --kernel FILE      kernel to boot (default: the newest /boot/vmlinuz-*)
              --initrd FILE      initial RAM disk (default: one made from /bin/busybox, which runs COMMAND)
              --append TEXT      adds TEXT to the kernel's command line
              --cpus N           vCPUs, 1 to 255 (default: 1)
              --memory SIZE      RAM: bytes, or a number followed by K, M or G (default: 512M, at least 64M)
              --boot PROTOCOL    bzimage: the kernel unpacks itself (default); pvh: it is unpacked on the host
              --timeout SECONDS  stops the guest after this time
              --verbose          prints the kernel's messages too
              --help             prints this

            Without COMMAND the guest runs a shell. On a terminal its console is this terminal, and Ctrl-A x ends it; else its
            input is read from stdin and its output goes to stdout.

            Exit status: the command's own; with --initrd, what the guest wrote to the debug-exit port, or 0 if it powered off; else
              121  the guest stopped without a status: it halted, was reset, or can't be run on
              122  triple fault
              123  kernel panic
              124  time limit
              125  the guest could not be started: a wrong argument, a missing file, no KVM
              130  ended with Ctrl-A x
              141  stdout was closed
            """;

    private static final Pattern SIZE = Pattern.compile("([0-9]{1,18})([KMG]?)");
    private static final long SMALLEST_MEMORY = 64L << 20;
    private static final long LARGEST_MEMORY = 1L << 40;
    private static final int MOST_CPUS = 255;
    private static final int LONGEST_TIMEOUT_SECONDS = 1_000_000_000;

    /** How the kernel is entered. */
    enum BootProtocol {
        BZIMAGE,
        PVH
    }

    /** What becomes of the kernel's messages. */
    enum Messages {
        SHOWN,
        HIDDEN
    }

    Options {
        command = List.copyOf(command);
    }

    /** A command line that can't be followed; its text says why. */
    static final class WrongArgument extends Exception {
        private static final long serialVersionUID = 1;

        WrongArgument(String message) {
            super(message);
        }
    }

    /**
     * Reads a command line.
     *
     * @throws WrongArgument if it can't be followed
     */
    static Options parse(String... arguments) throws WrongArgument {
        Path kernel = null;
        Path initrd = null;
        String append = "";
        int cpus = 1;
        long memory = 512L << 20;
        BootProtocol boot = null;
        Duration timeout = null;
        Messages messages = Messages.HIDDEN;
        List<String> command = List.of();

        Iterator<String> rest = Arrays.asList(arguments).iterator();
        int taken = 0;
        while (rest.hasNext()) {
            String argument = rest.next();
            taken++;
            if (argument.equals("--")) {
                command = Arrays.asList(arguments).subList(taken, arguments.length);
                if (command.isEmpty()) {
                    throw new WrongArgument("no command after --; leave -- out for a shell");
                }
                break;
            }
            if (argument.equals("--verbose")) {
                messages = Messages.SHOWN;
                continue;
            }
            if (!argument.startsWith("--")) {
                throw new WrongArgument(
                        "'" + argument + "' is no option; a command comes after --, as in: boot-linux -- " + argument);
            }
            String name = argument.split("=", 2)[0];
            String value;
            if (name.length() < argument.length()) {
                value = argument.substring(name.length() + 1);
            } else if (rest.hasNext()) {
                value = rest.next();
                taken++;
            } else {
                value = null;
            }
            switch (name) {
                case "--kernel" -> kernel = file(name, value);
                case "--initrd" -> initrd = file(name, value);
                case "--append" -> append = required(name, value);
                case "--cpus" -> cpus = (int) number(name, value, MOST_CPUS);
                case "--memory" -> memory = size(name, value);
                case "--boot" -> boot = protocol(name, value);
                case "--timeout" -> timeout = Duration.ofSeconds(number(name, value, LONGEST_TIMEOUT_SECONDS));
                default -> throw new WrongArgument("there is no option '" + name + "'; --help lists them");
            }
        }
        if (initrd != null && !command.isEmpty()) {
            throw new WrongArgument("the command '" + command.getFirst()
                    + "' needs the initial RAM disk that boot-linux makes;" + " leave out --initrd or the command");
        }
        return new Options(kernel, initrd, append, cpus, memory, boot, timeout, messages, command);
    }

    private static String required(String name, @Nullable String value) throws WrongArgument {
        if (value == null) {
            throw new WrongArgument(name + " needs a value; --help says which");
        }
        return value;
    }

    private static Path file(String name, @Nullable String value) throws WrongArgument {
        Path file = Path.of(required(name, value));
        if (!Files.exists(file)) {
            throw new WrongArgument(name + " " + file + ": there is no such file");
        }
        if (!Files.isRegularFile(file) || !Files.isReadable(file)) {
            throw new WrongArgument(name + " " + file + " is not a file that may be read");
        }
        return file;
    }

    private static long number(String name, @Nullable String value, int most) throws WrongArgument {
        String digits = required(name, value);
        if (!digits.matches("[0-9]{1,10}") || Long.parseLong(digits) < 1 || Long.parseLong(digits) > most) {
            throw new WrongArgument(name + " '" + digits + "' is not a number from 1 to " + most);
        }
        return Long.parseLong(digits);
    }

    private static long size(String name, @Nullable String value) throws WrongArgument {
        String text = required(name, value);
        Matcher parts = SIZE.matcher(text.toUpperCase(Locale.ROOT));
        if (!parts.matches()) {
            throw new WrongArgument(
                    name + " '" + text + "' is not a size: give bytes, or a number followed by K, M or G (512M)");
        }
        int shift = parts.group(2).isEmpty() ? 0 : 10 * (1 + "KMG".indexOf(parts.group(2)));
        long number = Long.parseLong(parts.group(1));
        if (number > LARGEST_MEMORY >> shift || number << shift < SMALLEST_MEMORY) {
            throw new WrongArgument(name + " " + text + " is out of range; give 64M to 1024G");
        }
        if ((number << shift) % 4096 != 0) {
            throw new WrongArgument(name + " " + text + " is not a multiple of the page size, 4K");
        }
        return number << shift;
    }

    private static BootProtocol protocol(String name, @Nullable String value) throws WrongArgument {
        return switch (required(name, value)) {
            case "bzimage" -> BootProtocol.BZIMAGE;
            case "pvh" -> BootProtocol.PVH;
            default -> throw new WrongArgument(name + " '" + value + "' is neither bzimage nor pvh");
        };
    }
}
