package io.github.jkvm.testkit.linux;

import io.github.jkvm.machine.linux.Initramfs;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Programs of the host, to be taken along into a guest with the shared libraries they need. */
final class HostPrograms {
    /** Where Debian's package busybox-static puts it. */
    private static final Path BUSYBOX = Path.of("/bin/busybox");

    private static final Path LOADER = Path.of("/lib64/ld-linux-x86-64.so.2");
    private static final List<Path> FOLDERS =
            List.of(Path.of("/usr/sbin"), Path.of("/usr/bin"), Path.of("/usr/lib/qemu"));

    /** A line of the loader's list: a library's name, what it was found as, and where it is put, which does not matter. */
    private static final Pattern LIBRARY = Pattern.compile("\\s(/\\S+) \\(0x[0-9a-f]+\\)");

    private static final Map<Path, byte[]> CONTENTS = new ConcurrentHashMap<>();
    private static final Map<Path, List<Path>> LIBRARIES = new ConcurrentHashMap<>();

    private HostPrograms() {}

    /**
     * Adds a program under the name asked for.
     *
     * @param name of a program in /usr/sbin, /usr/bin or /usr/lib/qemu
     * @throws org.opentest4j.TestAbortedException if the host has no such program
     */
    static void addTo(Initramfs files, String name) throws IOException {
        Path program = find(name);
        files.program(program.toString(), contents(program));
        for (Path library : libraries(program)) {
            files.program(library.toString(), contents(library));
        }
    }

    /**
     * Finds a program.
     *
     * @param name of a program in /usr/sbin, /usr/bin or /usr/lib/qemu
     * @throws org.opentest4j.TestAbortedException if the host has no such program
     */
    static Path find(String name) {
        return FOLDERS.stream()
                .map(folder -> folder.resolve(name))
                .filter(Files::isExecutable)
                .findFirst()
                .orElseThrow(() -> HostLack.of("this host has no program '" + name + "' in " + FOLDERS
                        + "; apt-get install the package that has it"));
    }

    /**
     * Returns the one program that is the guest's shell and commands.
     *
     * @throws org.opentest4j.TestAbortedException if the host has none, or one that needs libraries
     */
    static byte[] busybox() {
        try {
            if (Files.isReadable(BUSYBOX) && libraries(BUSYBOX).isEmpty()) {
                return contents(BUSYBOX);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(BUSYBOX + " can't be read", e);
        }
        throw HostLack.of("no " + BUSYBOX + " that runs without libraries: apt-get install busybox-static");
    }

    /** Reads a file of the host, once in a JVM. */
    static byte[] contents(Path file) throws IOException {
        byte[] known = CONTENTS.get(file);
        if (known == null) {
            known = Files.readAllBytes(file);
            CONTENTS.put(file, known);
        }
        return known;
    }

    private static List<Path> libraries(Path program) throws IOException {
        List<Path> known = LIBRARIES.get(program);
        if (known == null) {
            known = askLoader(program);
            LIBRARIES.put(program, known);
        }
        return known;
    }

    /** Asks the dynamic loader what it would load (ld.so(8), "--list"). A program that needs no libraries is refused by it. */
    private static List<Path> askLoader(Path program) throws IOException {
        Process loader = new ProcessBuilder(LOADER.toString(), "--list", program.toString())
                .redirectErrorStream(true)
                .start();
        String list = new String(loader.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        if (list.contains("not found")) {
            throw new IOException(program + " lacks libraries on this host:\n" + list);
        }
        List<Path> libraries = new ArrayList<>();
        Matcher matcher = LIBRARY.matcher(list);
        while (matcher.find()) {
            libraries.add(inRealFolder(Path.of(matcher.group(1))));
        }
        return libraries;
    }

    /** Debian's /lib is a link to /usr/lib, here as in the guest; but the name of the file itself is the one that is looked for. */
    private static Path inRealFolder(Path file) throws IOException {
        return Objects.requireNonNull(file.getParent(), "a library is in a folder")
                .toRealPath()
                .resolve(file.getFileName());
    }
}
