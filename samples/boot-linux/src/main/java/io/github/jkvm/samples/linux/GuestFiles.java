package io.github.jkvm.samples.linux;

import io.github.jkvm.machine.linux.Initramfs;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.stream.Collectors;

/**
 * A root file system small enough to be made anew for each boot: busybox, a script that runs one command, and a program that hands the
 * command's exit status to the host.
 */
final class GuestFiles {
    /** Where Debian's package busybox-static puts it. */
    static final Path BUSYBOX = Path.of("/bin/busybox");

    /** Device number of /dev/console: Linux, Documentation/admin-guide/devices.txt. */
    private static final int CONSOLE_MAJOR = 5;

    private static final int CONSOLE_MINOR = 1;

    private GuestFiles() {}

    /**
     * Makes the archive.
     *
     * @param busybox a busybox that needs no libraries
     * @param command the command and its arguments; empty for a shell
     * @param settings what the init script needs to know
     * @param exitPort the I/O port that takes the exit status
     * @throws IOException if busybox can't be used; the text says what to type
     */
    static byte[] of(Path busybox, List<String> command, Settings settings, int exitPort) throws IOException {
        if (!Files.isReadable(busybox)) {
            throw new IOException("there is no " + busybox + "; install it with: sudo apt-get install busybox-static");
        }
        byte[] program = Files.readAllBytes(busybox);
        if (!StaticElf.is(program)) {
            throw new IOException(busybox + " needs shared libraries, which the guest does not have;"
                    + " replace it with: sudo apt-get install busybox-static");
        }
        var files = new Initramfs();
        for (String folder : List.of("proc", "root", "sys", "tmp")) {
            files.folder(folder);
        }
        return files
                // The kernel gives the first process this as its standard streams, and complains if it is missing.
                .characterDevice("dev/console", CONSOLE_MAJOR, CONSOLE_MINOR)
                .program("bin/busybox", program)
                .program("init", initScript())
                .data("guest/command", commandScript(command))
                .data("guest/settings", settings.script())
                .program("guest/exit-vm", ExitProgram.elf(exitPort))
                .archive();
    }

    /**
     * What the init script needs to know.
     *
     * @param terminal arguments of stty for the guest's end of the console
     * @param terminalType value of the variable TERM
     * @param ready the word printed before the command starts
     * @param messages what becomes of the kernel's messages
     */
    record Settings(String terminal, String terminalType, String ready, Options.Messages messages) {
        String script() {
            return "TERMINAL=" + quote(terminal)
                    + "\nREADY=" + quote(ready)
                    + "\nMESSAGES=" + (messages == Options.Messages.SHOWN ? "shown" : "")
                    + "\nexport HOME=/root PATH=/bin TERM=" + quote(terminalType) + "\n";
        }
    }

    private static byte[] initScript() throws IOException {
        try (InputStream script = Objects.requireNonNull(
                GuestFiles.class.getResourceAsStream("init"), "the resource 'init' is missing from the jar")) {
            return script.readAllBytes();
        }
    }

    private static String commandScript(List<String> command) {
        return command.isEmpty()
                ? "exec sh -i\n"
                : command.stream().map(GuestFiles::quote).collect(Collectors.joining(" ", "", "\n"));
    }

    /** Makes one word of a shell script from any text. */
    static String quote(String word) {
        return "'" + word.replace("'", "'\\''") + "'";
    }
}
