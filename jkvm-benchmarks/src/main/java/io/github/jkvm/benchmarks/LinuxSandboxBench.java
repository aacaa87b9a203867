package io.github.jkvm.benchmarks;

import io.github.jkvm.Hypervisor;
import io.github.jkvm.sandbox.CommandResult;
import io.github.jkvm.sandbox.Limits;
import io.github.jkvm.sandbox.LinuxSandbox;
import io.github.jkvm.sandbox.RootFs;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Locale;

/**
 * What a Linux sandbox with busybox takes to boot, to restore, to run a first command after that, and to run others; and what a copy takes until it has run
 * one. Figures go to stdout, one a line: medians of turns in one JVM.
 */
final class LinuxSandboxBench {
    private static final int BOOTS = 3;
    private static final int TURNS = 15;
    private static final int COMMANDS = 10;
    private static final long MEMORY = 128L << 20;

    /** How long the boot and each command may take on a busy machine. */
    private static final Duration LIMIT = Duration.ofMinutes(4);

    private LinuxSandboxBench() {}

    /**
     * Measures.
     *
     * @param arguments a folder for the guest's root, in memory; and busybox, linked statically
     */
    public static void main(String[] arguments) throws IOException {
        Path root = root(Files.createTempDirectory(Path.of(arguments[0]), "bench"), Path.of(arguments[1]));
        try (Hypervisor hypervisor = Hypervisor.open()) {
            long[] boots = new long[BOOTS];
            for (int i = 0; i < BOOTS - 1; i++) {
                long start = System.nanoTime();
                try (LinuxSandbox sandbox = boot(hypervisor, root)) {
                    boots[i] = System.nanoTime() - start;
                    command(sandbox);
                }
            }
            long start = System.nanoTime();
            try (LinuxSandbox sandbox = boot(hypervisor, root)) {
                boots[BOOTS - 1] = System.nanoTime() - start;
                print("boot", boots);
                restore(sandbox);
                copy(sandbox);
            }
        }
    }

    private static Path root(Path folder, Path busybox) throws IOException {
        Path programs = Files.createDirectories(folder.resolve("root/bin"));
        Files.copy(busybox, programs.resolve("busybox"));
        Files.createSymbolicLink(programs.resolve("true"), Path.of("busybox"));
        return folder.resolve("root");
    }

    private static LinuxSandbox boot(Hypervisor hypervisor, Path root) {
        return LinuxSandbox.builder(hypervisor)
                .rootfs(RootFs.folder(root))
                .memory(MEMORY)
                .limits(Limits.DEFAULT.withDeadline(LIMIT))
                .bootDeadline(LIMIT)
                .build();
    }

    private static void restore(LinuxSandbox sandbox) {
        long[] restores = new long[TURNS];
        long[] firsts = new long[TURNS];
        long[] commands = new long[TURNS];
        // The first turn is not counted: the JVM runs all this for the first time.
        for (int turn = -1; turn < TURNS; turn++) {
            long start = System.nanoTime();
            sandbox.restore();
            long restored = System.nanoTime();
            command(sandbox);
            long first = System.nanoTime();
            for (int i = 0; i < COMMANDS; i++) {
                command(sandbox);
            }
            long end = System.nanoTime();
            if (turn >= 0) {
                restores[turn] = restored - start;
                firsts[turn] = first - restored;
                commands[turn] = (end - first) / COMMANDS;
            }
        }
        print("restore", restores);
        print("first-command", firsts);
        print("command", commands);
    }

    private static void copy(LinuxSandbox sandbox) {
        long[] copies = new long[TURNS];
        for (int turn = 0; turn < TURNS; turn++) {
            long start = System.nanoTime();
            try (LinuxSandbox copy = sandbox.copy()) {
                command(copy);
                copies[turn] = System.nanoTime() - start;
            }
        }
        print("copy-and-command", copies);
    }

    private static void command(LinuxSandbox sandbox) {
        CommandResult result = sandbox.command("/bin/true").run();
        if (result.status() != 0) {
            throw new IllegalStateException("true ended with status " + result.status() + ": " + result.errorText());
        }
    }

    private static void print(String figure, long[] nanos) {
        Arrays.sort(nanos);
        System.out.printf(Locale.ROOT, "sandbox.linux.%s %.1f ms%n", figure, nanos[nanos.length / 2] / 1e6);
    }
}
