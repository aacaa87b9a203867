package io.github.jkvm.sandbox.function;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Objects;

/** The files of this library that guests are built with. */
public final class GuestFiles {
    private static final String FOLDER = "/io/github/jkvm/sandbox/guest/";
    private static final List<String> NAMES =
            List.of("jkvm-sandbox.h", "jkvm-sandbox.c", "jkvm-sandbox.S", "jkvm-sandbox.ld");

    private GuestFiles() {}

    /**
     * Writes the files.
     *
     * @param folder where to
     * @throws IOException if they can't be written
     */
    public static void copyTo(Path folder) throws IOException {
        for (String name : NAMES) {
            try (InputStream in = GuestFiles.class.getResourceAsStream(FOLDER + name)) {
                Files.copy(Objects.requireNonNull(in, name), folder.resolve(name), StandardCopyOption.REPLACE_EXISTING);
            }
        }
    }
}
