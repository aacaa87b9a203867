package io.github.jkvm.samples.linux;

import io.github.jkvm.HypervisorException;
import io.github.jkvm.machine.boot.BzImage;
import io.github.jkvm.machine.boot.KernelImage;
import io.github.jkvm.machine.linux.InstalledKernel;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;

/** Boots a Linux kernel, runs a command in it, and ends with the command's exit status. {@link Options#USAGE} tells all. */
final class BootLinux {
    private BootLinux() {}

    /**
     * Runs the program.
     *
     * @param arguments see {@link Options#USAGE}
     */
    public static void main(String[] arguments) throws InterruptedException {
        System.exit(run(arguments));
    }

    private static int run(String... arguments) throws InterruptedException {
        List<String> own = Arrays.asList(arguments);
        int command = own.indexOf("--");
        own = command < 0 ? own : own.subList(0, command);
        if (own.contains("--help") || own.contains("-h")) {
            System.out.print(Options.USAGE);
            return 0;
        }
        try {
            Options options = Options.parse(arguments);
            Outcome outcome = new Session(options, kernel(options)).run();
            outcome.explanation().lines().forEach(System.err::println);
            return outcome.status();
        } catch (Options.WrongArgument | IOException | HypervisorException | IllegalArgumentException e) {
            System.err.println("boot-linux: " + e.getMessage());
            return Outcome.NOT_STARTED;
        }
    }

    private static KernelImage kernel(Options options) throws IOException, Options.WrongArgument {
        Path file = options.kernel() == null ? newest() : options.kernel();
        KernelImage image = KernelImage.read(file);
        if (options.boot() == Options.BootProtocol.PVH && image instanceof BzImage packed) {
            return packed.unpack();
        }
        if (options.boot() == Options.BootProtocol.BZIMAGE && !(image instanceof BzImage)) {
            throw new Options.WrongArgument(
                    "--boot bzimage needs a bzImage; " + file + " is of the kind " + image.format());
        }
        return image;
    }

    private static Path newest() throws IOException {
        try {
            return InstalledKernel.newest().file();
        } catch (IOException e) {
            throw new IOException(e.getMessage() + "; or give a kernel with --kernel FILE", e);
        }
    }
}
