package io.github.jkvm.samples.untrusted;

import io.github.jkvm.Hypervisor;
import io.github.jkvm.HypervisorException;
import io.github.jkvm.sandbox.CommandResult;
import io.github.jkvm.sandbox.GuestCrashedException;
import io.github.jkvm.sandbox.LimitExceededException;
import io.github.jkvm.sandbox.Limits;
import io.github.jkvm.sandbox.LinuxSandbox;
import io.github.jkvm.sandbox.RootFs;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;

/** Runs a snippet in a Linux sandbox. {@link Options#USAGE} tells all. */
final class RunUntrusted {
    private static final int OVER_LIMIT = 124;
    private static final int NOT_RUN = 125;
    private static final int BROKE_DOWN = 126;

    /** Where the snippet is put. */
    private static final String SNIPPET = "/tmp/snippet";

    /** Snippets are written by people. */
    private static final int LARGEST_SNIPPET = 1 << 20;

    /** Nobody, who may write hardly anywhere. */
    private static final int NOBODY = 65534;

    private RunUntrusted() {}

    /**
     * Runs the program.
     *
     * @param arguments see {@link Options#USAGE}
     */
    public static void main(String[] arguments) {
        System.exit(run(arguments));
    }

    private static int run(String... arguments) {
        if (Arrays.asList(arguments).contains("--help")) {
            System.out.print(Options.USAGE);
            return 0;
        }
        try {
            Options options = Options.parse(arguments);
            byte[] snippet = System.in.readNBytes(LARGEST_SNIPPET + 1);
            if (snippet.length > LARGEST_SNIPPET) {
                throw new Options.WrongArgument("the snippet has more than " + LARGEST_SNIPPET + " bytes");
            }
            return run(options, snippet);
        } catch (LimitExceededException e) {
            return complain(e, OVER_LIMIT);
        } catch (GuestCrashedException e) {
            return complain(e, BROKE_DOWN);
        } catch (Options.WrongArgument
                | IOException
                | UncheckedIOException
                | HypervisorException
                | IllegalArgumentException e) {
            return complain(e, NOT_RUN);
        }
    }

    private static int complain(Exception e, int status) {
        System.err.println("run-untrusted: " + e.getMessage());
        return status;
    }

    private static int run(Options options, byte[] snippet) {
        try (Hypervisor hypervisor = Hypervisor.open();
                LinuxSandbox sandbox = LinuxSandbox.builder(hypervisor)
                        .rootfs(root(options.root()))
                        .memory(options.memory())
                        .build()) {
            sandbox.write(snippet, SNIPPET);
            CommandResult result = sandbox.command(options.language().command(SNIPPET))
                    .user(NOBODY, NOBODY)
                    .limits(Limits.DEFAULT.withDeadline(options.timeout()))
                    .outputTo(System.out)
                    .errorsTo(System.err)
                    .run();
            System.out.flush();
            return result.status();
        }
    }

    private static RootFs root(Path path) {
        if (!Files.isDirectory(path)) {
            return RootFs.image(path);
        }
        return Files.exists(path.resolve("oci-layout")) ? RootFs.oci(path) : RootFs.folder(path);
    }
}
