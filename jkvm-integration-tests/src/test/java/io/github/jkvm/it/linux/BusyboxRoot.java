package io.github.jkvm.it.linux;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** A folder that is the root of a guest: busybox, and nothing else. */
final class BusyboxRoot {
    private BusyboxRoot() {}

    /**
     * Makes one.
     *
     * @param folder where, not there yet
     * @param commands names that busybox is to have
     * @return the folder
     */
    static Path create(Path folder, String... commands) throws IOException {
        Path bin = Files.createDirectories(folder.resolve("bin"));
        Files.copy(Path.of("/bin/busybox"), bin.resolve("busybox"));
        for (String name : commands) {
            Files.createSymbolicLink(bin.resolve(name), Path.of("busybox"));
        }
        return folder;
    }
}
