package io.github.jkvm.machine.linux;

import io.github.jkvm.machine.boot.BzImage;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;

/** A kernel that guests boot, with its modules: one that is installed on this host, as it is, or any other. Safe for use by many threads. */
public final class InstalledKernel {
    private static final Path BOOT = Path.of("/boot");
    private static final Path MODULES = Path.of("/lib/modules");
    private static final String PREFIX = "vmlinuz-";

    private final String version;
    private final Path file;
    private final BzImage image;
    private final KernelModules modules;

    private InstalledKernel(Path file, Path modules) throws IOException {
        this.version = nameOf(modules);
        this.file = file;
        this.image = BzImage.of(Files.readAllBytes(file));
        this.modules = KernelModules.of(modules);
    }

    /**
     * Returns the newest kernel that has its image in {@code /boot} and its modules in {@code /lib/modules}. Debian's kernels for clouds come before all
     * others, since they are small.
     *
     * @return the kernel
     * @throws IOException if there is none, or it may not be read; the text says what to type
     * @throws io.github.jkvm.machine.boot.BadKernelException if the image is none of Linux for x86-64
     */
    public static InstalledKernel newest() throws IOException {
        return newest(BOOT, MODULES);
    }

    /**
     * Returns the newest kernel of two folders, as {@link #newest()} does.
     *
     * @param boot a folder with images called {@code vmlinuz-} and their version
     * @param modules a folder with a folder of modules for each version
     * @return the kernel
     * @throws IOException if there is none, or it may not be read; the text says what to type
     * @throws io.github.jkvm.machine.boot.BadKernelException if the image is none of Linux for x86-64
     */
    public static InstalledKernel newest(Path boot, Path modules) throws IOException {
        List<Path> kernels = new ArrayList<>();
        if (Files.isDirectory(boot)) {
            try (DirectoryStream<Path> files = Files.newDirectoryStream(boot, PREFIX + "[0-9]*")) {
                for (Path image : files) {
                    if (Files.exists(modules.resolve(versionOf(image)).resolve(KernelModules.DEPENDENCIES))) {
                        kernels.add(image);
                    }
                }
            }
        }
        Path newest = kernels.stream()
                .max(Comparator.comparing((Path kernel) -> versionOf(kernel).contains("-cloud-"))
                        .thenComparing(InstalledKernel::versionOf, KernelVersion.ORDER))
                .orElseThrow(() -> new IOException("no " + boot + "/" + PREFIX + "* whose modules are in " + modules
                        + ": apt-get install linux-image-cloud-amd64 (Debian) or linux-image-kvm (Ubuntu)"));
        if (!Files.isReadable(newest)) {
            throw new IOException("you may not read " + newest + ": sudo chmod a+r " + newest);
        }
        return of(newest, modules.resolve(versionOf(newest)));
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
    public static InstalledKernel of(Path file, Path modules) throws IOException {
        return new InstalledKernel(file, modules);
    }

    private static String nameOf(Path path) {
        return Objects.requireNonNull(path.getFileName(), "a root folder has no name")
                .toString();
    }

    private static String versionOf(Path image) {
        return nameOf(image).substring(PREFIX.length());
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

    /**
     * Returns its modules.
     *
     * @return the modules
     */
    public KernelModules modules() {
        return modules;
    }

    /** Returns the version. */
    @Override
    public String toString() {
        return "Linux " + version;
    }
}
