package io.github.jkvm.benchmarks;

import io.github.jkvm.testkit.linux.GuestShell;
import io.github.jkvm.testkit.linux.LinuxBootFiles;
import io.github.jkvm.testkit.linux.LinuxMachineBuilder;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** The same guest as jkvm's, in QEMU with KVM. */
final class QemuGuest implements AutoCloseable {
    private final Process process;
    private final GuestShell shell;

    private QemuGuest(Process process, Path console) {
        this.process = process;
        this.shell = GuestShell.overSerial(process.getOutputStream(), () -> text(console), VirtioTurns.LIMIT);
    }

    /**
     * Boots a guest.
     *
     * @param guest what is in it, apart from its devices
     * @param folder where kernel messages and initial RAM disk are kept
     * @param devices QEMU's arguments for the devices
     */
    static QemuGuest start(LinuxMachineBuilder guest, Path folder, List<String> devices)
            throws IOException, InterruptedException {
        LinuxBootFiles files = guest.bootFiles();
        Path initrd = Files.write(folder.resolve("initrd"), files.initrd());
        Path console = folder.resolve("console");
        List<String> command = new ArrayList<>(List.of(
                "qemu-system-x86_64",
                "-nodefaults",
                "-no-user-config",
                "-no-reboot",
                "-display",
                "none",
                "-machine",
                "q35,accel=kvm",
                "-cpu",
                "host",
                "-smp",
                "1",
                "-m",
                String.valueOf(files.memory() >> 20),
                "-kernel",
                files.kernel().file().toString(),
                "-initrd",
                initrd.toString(),
                "-append",
                files.commandLine().toString(),
                "-serial",
                "file:" + console,
                "-serial",
                "stdio"));
        command.addAll(devices);
        Process process = new ProcessBuilder(command)
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        var started = new QemuGuest(process, console);
        Thread.ofPlatform().daemon().name("qemu-output").start(started::copy);
        try {
            started.shell.awaitBoot();
        } catch (Throwable failure) {
            started.close();
            throw failure;
        }
        return started;
    }

    private void copy() {
        try (InputStream output = process.getInputStream()) {
            output.transferTo(shell.fromGuest());
            shell.end("QEMU closed its output");
        } catch (IOException e) {
            shell.end("QEMU's output can't be read: " + e.getMessage());
        }
    }

    private static String text(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    GuestShell shell() {
        return shell;
    }

    long pid() {
        return process.pid();
    }

    /** Ends QEMU. */
    @Override
    public void close() {
        process.destroyForcibly();
        process.onExit().join();
    }
}
