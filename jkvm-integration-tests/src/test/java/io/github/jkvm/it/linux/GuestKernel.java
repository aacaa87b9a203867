package io.github.jkvm.it.linux;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jkvm.machine.boot.BzImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Comparator;
import java.util.Optional;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The kernel that guests boot: the newest of Debian's kernels for clouds that is installed, as it is.
 *
 * @param version what {@code uname -r} prints
 * @param file where it is
 * @param image its contents
 * @param modules the folder with its modules
 */
public record GuestKernel(String version, Path file, BzImage image, KernelModules modules) {
    private static final Path BOOT = Path.of("/boot");
    private static final String PREFIX = "vmlinuz-";
    private static final Pattern CLOUD_KERNEL = Pattern.compile("vmlinuz-[0-9].*-cloud-amd64");
    private static final Pattern NUMBER = Pattern.compile("[0-9]+");

    private static @Nullable GuestKernel installed;

    /** Returns the kernel, read once in a JVM. Skips the test if there is none. */
    public static synchronized GuestKernel installed() throws IOException {
        if (installed == null) {
            Optional<Path> newest;
            try (Stream<Path> files = Files.list(BOOT)) {
                newest = files.filter(file -> CLOUD_KERNEL
                                .matcher(file.getFileName().toString())
                                .matches())
                        .max(Comparator.comparing(GuestKernel::numbers, Arrays::compare));
            }
            assumeTrue(
                    newest.isPresent(),
                    "no " + BOOT + "/vmlinuz-*-cloud-amd64: apt-get install linux-image-cloud-amd64");
            Path file = newest.orElseThrow();
            String version = file.getFileName().toString().substring(PREFIX.length());
            installed = new GuestKernel(version, file, BzImage.of(Files.readAllBytes(file)), KernelModules.of(version));
        }
        return installed;
    }

    /** The numbers in a version such as 6.1.0-56, of which the next after 9 is 10. */
    private static int[] numbers(Path file) {
        return NUMBER.matcher(file.getFileName().toString())
                .results()
                .map(MatchResult::group)
                .mapToInt(Integer::parseInt)
                .toArray();
    }
}
