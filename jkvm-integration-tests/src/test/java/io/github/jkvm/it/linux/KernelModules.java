package io.github.jkvm.it.linux;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.zip.GZIPInputStream;
import org.tukaani.xz.XZInputStream;

/** The modules of an installed kernel, and which of them need which others (modules.dep(5)). */
public final class KernelModules {
    private final Path folder;

    /** By module name: the lines of modules.dep, each the module's file and the files it needs, in the order of their unloading. */
    private final Map<String, List<String>> dependencies = new HashMap<>();

    /** Names of what is part of the kernel itself. */
    private final Set<String> builtIn = new TreeSet<>();

    private final Map<String, byte[]> contents = new ConcurrentHashMap<>();

    private KernelModules(Path folder) {
        this.folder = folder;
    }

    /** Reads the lists of a kernel's modules. */
    static KernelModules of(String version) throws IOException {
        var modules = new KernelModules(Path.of("/lib/modules", version));
        for (String line : Files.readAllLines(modules.folder.resolve("modules.dep"))) {
            List<String> files = List.of(line.split(":? ", -1));
            String first = files.getFirst().replaceFirst(":$", "");
            List<String> all = new ArrayList<>(files);
            all.set(0, first);
            all.removeIf(String::isEmpty);
            modules.dependencies.put(name(first), all);
        }
        for (String file : Files.readAllLines(modules.folder.resolve("modules.builtin"))) {
            modules.builtIn.add(name(file));
        }
        return modules;
    }

    /** In file names and in what people write, dashes may stand for underscores. */
    private static String name(String fileOrName) {
        return fileOrName
                .substring(fileOrName.lastIndexOf('/') + 1)
                .replaceFirst("\\.ko(\\..*)?$", "")
                .replace('-', '_');
    }

    /** Tells whether the kernel needs no module for this. */
    boolean isBuiltIn(String module) {
        return builtIn.contains(name(module));
    }

    /**
     * Adds modules and what they need to a guest's files, unpacked, with the lists that modprobe reads. What is built in is left out. Skips
     * the test if the kernel has no such module.
     */
    void addTo(RootFiles files, Collection<String> modules) throws IOException {
        Set<String> lines = new LinkedHashSet<>();
        Set<String> names = new TreeSet<>();
        for (String module : modules) {
            if (!isBuiltIn(module)) {
                List<String> line = dependencies.get(name(module));
                assumeTrue(line != null, () -> "the kernel in " + folder + " has no module " + module);
                for (String file : line) {
                    List<String> needed = dependencies.get(name(file));
                    lines.add(plain(file) + ":" + plain(needed.subList(1, needed.size())));
                    names.add(name(file));
                    files.data(folder + "/" + plain(file), contents(file));
                }
            }
        }
        files.data(folder + "/modules.dep", String.join("\n", lines) + "\n");
        files.data(folder + "/modules.alias", aliases(names));
    }

    /** The lines "alias PATTERN MODULE" of the modules given. */
    private String aliases(Set<String> names) throws IOException {
        var chosen = new StringBuilder();
        for (String line : Files.readAllLines(folder.resolve("modules.alias"))) {
            if (names.contains(line.substring(line.lastIndexOf(' ') + 1))) {
                chosen.append(line).append('\n');
            }
        }
        return chosen.toString();
    }

    /** A file's name once it is unpacked. */
    private static String plain(String file) {
        return file.replaceFirst("\\.ko\\..*$", ".ko");
    }

    private static String plain(List<String> files) {
        var line = new StringBuilder();
        for (String file : files) {
            line.append(' ').append(plain(file));
        }
        return line.toString();
    }

    private byte[] contents(String file) throws IOException {
        byte[] known = contents.get(file);
        if (known == null) {
            known = unpacked(folder.resolve(file));
            contents.put(file, known);
        }
        return known;
    }

    private static byte[] unpacked(Path file) throws IOException {
        String name = file.toString();
        if (name.endsWith(".zst")) {
            Process zstd = new ProcessBuilder("zstd", "-dc", name)
                    .redirectError(ProcessBuilder.Redirect.INHERIT)
                    .start();
            byte[] plain = zstd.getInputStream().readAllBytes();
            if (plain.length == 0) {
                throw new IOException("zstd could not unpack " + file);
            }
            return plain;
        }
        try (InputStream raw = Files.newInputStream(file);
                InputStream plain = name.endsWith(".xz")
                        ? new XZInputStream(raw)
                        : name.endsWith(".gz") ? new GZIPInputStream(raw) : raw) {
            return plain.readAllBytes();
        }
    }
}
