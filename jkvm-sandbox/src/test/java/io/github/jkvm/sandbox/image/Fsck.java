package io.github.jkvm.sandbox.image;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/** The checker of erofs-utils, which is asked for a second opinion where it is installed. */
final class Fsck {
    private static final Path PROGRAM = Path.of("/usr/bin/fsck.erofs");

    static {
        if (!isInstalled()) {
            System.out.println(
                    "no fsck.erofs here: images are checked by the tests' own reader only (package erofs-utils)");
        }
    }

    private Fsck() {}

    private static boolean isInstalled() {
        return Files.isExecutable(PROGRAM);
    }

    /** Fails if the checker finds something wrong. Does nothing without one: the tests' own reader has read the image then. */
    static void check(Path image) throws IOException, InterruptedException {
        if (!isInstalled()) {
            return;
        }
        Process process = new ProcessBuilder(PROGRAM.toString(), "--extract", image.toString())
                .redirectErrorStream(true)
                .start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        if (process.waitFor() != 0) {
            throw new AssertionError("fsck.erofs: " + output);
        }
    }
}
