package io.github.jkvm.testkit.linux;

import io.github.jkvm.machine.boot.BzImage;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** A kernel that guests boot, with its modules: one that is installed on this host, as it is, or any other. */
public final class GuestKernel {
    private static final Path BOOT = Path.of("/boot");
    private static final Path MODULES = Path.of("/lib/modules");
    private static final String PREFIX = "vmlinuz-";
    private static final Pattern NUMBER = Pattern.compile("[0-9]+");
    private static final String INSTALL =
            "apt-get install linux-image-cloud-amd64 (Debian) or linux-image-kvm (Ubuntu)";

    private static @Nullable GuestKernel installed;

    private final String version;
    private final Path file;
    private final BzImage image;
    private final KernelModules modules;

    private GuestKernel(Path file, Path modules) throws IOException {
        this.version = modules.getFileName().toString();
        this.file = file;
        this.image = BzImage.of(Files.readAllBytes(file));
        this.modules = KernelModules.of(modules);
    }

    /**
     * Returns the newest kernel that has its image in {@code /boot} and its modules in {@code /lib/modules}; Debian's kernels for clouds come
     * before all others, since they are small. It is read once in a JVM.
     *
     * @return the kernel
     * @throws org.opentest4j.TestAbortedException if there is none, or it may not be read
     */
    public static synchronized GuestKernel installed() {
        if (installed == null) {
            installed = newest(BOOT, MODULES);
        }
        return installed;
    }

    static GuestKernel newest(Path boot, Path modules) {
        List<Path> kernels;
        try (Stream<Path> files = Files.list(boot)) {
            kernels = files.filter(file -> file.getFileName().toString().matches(PREFIX + "[0-9].*"))
                    .filter(file -> Files.exists(modules.resolve(version(file)).resolve("modules.dep")))
                    .toList();
        } catch (IOException e) {
            throw HostLack.of(boot + " can't be read: " + e);
        }
        Optional<Path> newest = kernels.stream()
                .max(Comparator.comparing(GuestKernel::isForClouds)
                        .thenComparing(GuestKernel::numbers, Arrays::compare));
        Path file = newest.orElseThrow(
                () -> HostLack.of("no " + boot + "/" + PREFIX + "* whose modules are in " + modules + ": " + INSTALL));
        if (!Files.isReadable(file)) {
            throw HostLack.of("you may not read " + file + ": sudo chmod a+r " + file);
        }
        try {
            return of(file, modules.resolve(version(file)));
        } catch (IOException e) {
            throw new UncheckedIOException("the kernel " + file + " can't be read", e);
        }
    }

    /**
     * Reads a kernel.
     *
     * @param file its image, such as {@code /boot/vmlinuz-6.1.0-56-amd64}
     * @param modules the folder of its modules, whose name is its version, with {@code modules.dep} in it, such as {@code
     *     /lib/modules/6.1.0-56-amd64}
     * @return the kernel
     * @throws IOException if either can't be read
     * @throws io.github.jkvm.machine.boot.BadKernelException if the image is none of Linux for x86-64
     */
    public static GuestKernel of(Path file, Path modules) throws IOException {
        return new GuestKernel(file, modules);
    }

    private static String version(Path file) {
        return file.getFileName().toString().substring(PREFIX.length());
    }

    private static boolean isForClouds(Path file) {
        return version(file).contains("-cloud-");
    }

    /** The numbers in a version such as 6.1.0-56, of which the next after 9 is 10. */
    private static int[] numbers(Path file) {
        return NUMBER.matcher(version(file))
                .results()
                .map(MatchResult::group)
                .mapToInt(number -> Integer.parseInt(number, 0, Math.min(9, number.length()), 10))
                .toArray();
    }

    /**
     * Returns its version.
     *
     * @return what {@code uname -r} prints in the guest
     */
    public String version() {
        return version;
    }

    /**
     * Returns where its image is.
     *
     * @return the file
     */
    public Path file() {
        return file;
    }

    /**
     * Returns its image.
     *
     * @return the image, as a {@link io.github.jkvm.machine.Machine} loads it
     */
    public BzImage image() {
        return image;
    }

    KernelModules modules() {
        return modules;
    }

    /** Returns the version. */
    @Override
    public String toString() {
        return "Linux " + version;
    }
}
