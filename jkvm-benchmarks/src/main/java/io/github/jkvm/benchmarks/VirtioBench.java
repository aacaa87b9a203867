package io.github.jkvm.benchmarks;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;

/**
 * Runs the same Linux guest on jkvm and in QEMU and compares what its disk and its network do, by turns while both guests are up. Figures go
 * to stdout, one a line; each turn, with what the kernel counted for it, to stderr.
 */
final class VirtioBench {
    private VirtioBench() {}

    /**
     * Measures.
     *
     * @param arguments a folder for disk images, in memory; and what to measure: {@code block}, {@code net}, or figures of the disk by how their
     *     names begin, such as {@code block.randread} or {@code block.write-1M}
     */
    public static void main(String[] arguments) throws Exception {
        Path folder = Files.createTempDirectory(Path.of(arguments[0]), "bench");
        List<String> figures = Arrays.asList(arguments).subList(1, arguments.length);
        List<String> ofDisk =
                figures.stream().filter(figure -> figure.startsWith("block")).toList();
        if (!ofDisk.isEmpty()) {
            VirtioDisks.compare(folder, ofDisk);
        }
        if (figures.contains("net")) {
            VirtioNetworks.compare(folder);
        }
    }
}
