package io.github.jkvm.machine.linux;

import java.io.IOException;
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

/** The modules of an installed kernel, and which of them need which others (modules.dep(5)). Safe for use by many threads. */
public final class KernelModules {
    static final String DEPENDENCIES = "modules.dep";

    private final Path folder;

    /** By module name: the lines of modules.dep, each the module's file and the files it needs, in the order of their unloading. */
    private final Map<String, List<String>> dependencies = new HashMap<>();

    /** Names of what is part of the kernel itself. */
    private final Set<String> builtIn = new TreeSet<>();

    private final Map<String, byte[]> contents = new ConcurrentHashMap<>();

    private KernelModules(Path folder) {
        this.folder = folder;
    }

    /**
     * Reads the lists of a kernel's modules.
     *
     * @param folder such as {@code /lib/modules/6.1.0-56-amd64}, with {@code modules.dep} and {@code modules.builtin}
     * @return the modules
     * @throws IOException if a list can't be read
     */
    public static KernelModules of(Path folder) throws IOException {
        var modules = new KernelModules(folder);
        for (String line : Files.readAllLines(modules.folder.resolve(DEPENDENCIES))) {
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

    /**
     * Tells whether the kernel needs no module for this.
     *
     * @param module a module's name
     * @return whether it is part of the kernel itself
     */
    public boolean isBuiltIn(String module) {
        return builtIn.contains(name(module));
    }

    /**
     * Returns the files of modules and of all that they need, in an order in which they can be loaded. What is built in is left out.
     *
     * @param modules their names, in which dashes may stand for underscores
     * @return paths below the folder of the modules
     * @throws IllegalArgumentException if the kernel has no such module
     */
    public List<String> inLoadingOrder(Collection<String> modules) {
        Set<String> files = new LinkedHashSet<>();
        for (String module : modules) {
            if (!isBuiltIn(module)) {
                files.addAll(lineOf(module).reversed());
            }
        }
        return List.copyOf(files);
    }

    private List<String> lineOf(String module) {
        List<String> line = dependencies.get(name(module));
        if (line == null) {
            throw new IllegalArgumentException("the kernel with the modules in " + folder + " has no module '" + module
                    + "'; check its name, or give the guest another kernel");
        }
        return line;
    }

    /**
     * Adds modules and what they need to a guest's files, unpacked, with the lists that modprobe reads.
     *
     * @param files where they are added, below {@code /lib/modules}
     * @param modules their names
     * @throws IllegalArgumentException if the kernel has no such module
     * @throws IOException if one can't be read
     */
    public void addTo(Initramfs files, Collection<String> modules) throws IOException {
        String target = "/lib/modules/" + folder.getFileName();
        List<String> lines = new ArrayList<>();
        Set<String> names = new TreeSet<>();
        for (String file : inLoadingOrder(modules)) {
            List<String> line = lineOf(file);
            lines.add(plain(file) + ":" + plain(line.subList(1, line.size())));
            names.add(name(file));
            files.data(target + "/" + plain(file), contents(file));
        }
        files.data(target + "/" + DEPENDENCIES, String.join("\n", lines) + "\n");
        files.data(target + "/modules.alias", aliases(names));
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

    /**
     * Returns what the kernel loads. It is read and unpacked once.
     *
     * @param file one of those that {@link #inLoadingOrder} gives
     * @return the bytes of the module, not to be changed
     * @throws IOException if it can't be read
     */
    public byte[] contents(String file) throws IOException {
        byte[] known = contents.get(file);
        if (known == null) {
            known = ModuleFile.unpacked(folder.resolve(file));
            contents.put(file, known);
        }
        return known;
    }
}
