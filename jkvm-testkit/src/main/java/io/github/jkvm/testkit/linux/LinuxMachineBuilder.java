package io.github.jkvm.testkit.linux;

import io.github.jkvm.Device;
import io.github.jkvm.machine.MachineBuilder;
import io.github.jkvm.machine.acpi.Aml;
import io.github.jkvm.machine.boot.CommandLine;
import io.github.jkvm.machine.linux.Initramfs;
import io.github.jkvm.machine.linux.InstalledKernel;
import io.github.jkvm.machine.linux.KernelModules;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Says what is in a {@link LinuxMachine}, which tells how to use it. Belongs to one thread. May be used for another machine, if it has no
 * devices: those belong to the machine they were given to.
 */
public final class LinuxMachineBuilder {
    /** What a guest has unless told otherwise, in bytes: 256 MiB. Enough for the kernel and small programs; large ones, such as fio, need more. */
    public static final long DEFAULT_MEMORY = 256L << 20;

    /** How long the boot, and each command, may take unless told otherwise: three minutes, which are enough on an emulated processor. */
    public static final Duration DEFAULT_DEADLINE = Duration.ofMinutes(3);

    /**
     * What makes the boot short on an emulated processor, and keeps the console for what goes wrong. No driver is told anything by it.
     * panic=-1: a kernel that panics resets the machine at once, which ends it.
     */
    private static final String COMMAND_LINE = "console=ttyS0,115200 quiet panic=-1 mitigations=off cryptomgr.notests"
            + " rcupdate.rcu_expedited=1 nokaslr random.trust_cpu=on";

    private static final List<String> PORT_MODULES = List.of("virtio_mmio", "virtio_console");

    private static final List<String> FOLDERS = List.of(
            "bin",
            "dev",
            "etc",
            "proc",
            "root",
            "run",
            "sbin",
            "sys",
            "tmp",
            "usr/bin",
            "usr/sbin",
            "usr/lib",
            "usr/lib64",
            "mnt");

    private final Initramfs files = new Initramfs();
    private final Set<String> loadedModules = new LinkedHashSet<>();
    private final Set<String> modulesAtHand = new LinkedHashSet<>();
    private final List<Consumer<MachineBuilder>> settings = new ArrayList<>();
    private CommandLine commandLine = CommandLine.parse(COMMAND_LINE);
    private ControlChannel channel = ControlChannel.CONSOLE_PORT;
    private Duration deadline = DEFAULT_DEADLINE;
    private long memory = DEFAULT_MEMORY;
    private @Nullable InstalledKernel kernel;

    LinuxMachineBuilder() {}

    /**
     * Adds kernel modules that are loaded before the first command, in this order, each after those that it needs.
     *
     * @param names such as {@code virtio_blk}; what is built into the kernel is passed over
     * @return this
     */
    public LinuxMachineBuilder modules(String... names) {
        loadedModules.addAll(List.of(names));
        return this;
    }

    /**
     * Adds kernel modules that are not loaded: a command may, with {@code modprobe}.
     *
     * @param names their names
     * @return this
     */
    public LinuxMachineBuilder modulesAtHand(String... names) {
        modulesAtHand.addAll(List.of(names));
        return this;
    }

    /**
     * Adds programs of the host with the shared libraries they need. They come before busybox's in the guest's {@code PATH}, but not before what
     * its shell has built in.
     *
     * @param names of programs in /usr/sbin, /usr/bin or /usr/lib/qemu, such as {@code mkfs.ext4}
     * @return this
     * @throws org.opentest4j.TestAbortedException if the host lacks one, which skips the test; an {@link AssertionError} instead where skips
     *     are forbidden
     * @throws UncheckedIOException if one can't be read
     */
    public LinuxMachineBuilder programs(String... names) {
        for (String name : names) {
            try {
                HostPrograms.addTo(files, name);
            } catch (IOException e) {
                throw new UncheckedIOException("the program '" + name + "' can't be read: " + e.getMessage(), e);
            }
        }
        return this;
    }

    /**
     * Adds a file.
     *
     * @param path its absolute path; the folders above it are made
     * @param contents what is in it; not to be changed afterwards
     * @return this
     * @throws IllegalArgumentException if the path is not a plain one
     */
    public LinuxMachineBuilder file(String path, byte[] contents) {
        files.data(path, contents);
        return this;
    }

    /**
     * Adds a text file.
     *
     * @param path its absolute path; the folders above it are made
     * @param contents what is in it, which becomes UTF-8
     * @return this
     * @throws IllegalArgumentException if the path is not a plain one
     */
    public LinuxMachineBuilder file(String path, String contents) {
        return file(path, contents.getBytes(StandardCharsets.UTF_8));
    }

    /**
     * Adds a file of the host, with its permissions.
     *
     * @param path its absolute path in the guest; the folders above it are made
     * @param file of the host, read now
     * @return this
     * @throws IllegalArgumentException if the path is not a plain one
     * @throws UncheckedIOException if the file can't be read
     */
    public LinuxMachineBuilder file(String path, Path file) {
        try {
            files.copy(path, file);
        } catch (IOException e) {
            throw new UncheckedIOException(file + " can't be read", e);
        }
        return this;
    }

    /**
     * Adds a program or script that can be run.
     *
     * @param path its absolute path; the folders above it are made
     * @param contents what is in it; not to be changed afterwards
     * @return this
     * @throws IllegalArgumentException if the path is not a plain one
     */
    public LinuxMachineBuilder program(String path, byte[] contents) {
        files.program(path, contents);
        return this;
    }

    /**
     * Adds a device to the machine, which closes it in the end.
     *
     * @param device the device
     * @param description what describes it in ACPI, if it is to be
     * @return this
     */
    public LinuxMachineBuilder device(Device device, Aml... description) {
        Objects.requireNonNull(device, "device");
        return machine(builder -> builder.device(device, description));
    }

    /**
     * Changes the machine in a way that this class has no method for.
     *
     * @param change gets the machine's builder after memory, kernel and command line are set
     * @return this
     */
    public LinuxMachineBuilder machine(Consumer<MachineBuilder> change) {
        settings.add(Objects.requireNonNull(change, "change"));
        return this;
    }

    /**
     * Sets the number of vCPUs; 1 if not set.
     *
     * @param count how many
     * @return this
     */
    public LinuxMachineBuilder vcpus(int count) {
        return machine(builder -> builder.vcpus(count));
    }

    /**
     * Sets how much memory it has; {@link #DEFAULT_MEMORY} if not set.
     *
     * @param bytes the size, a multiple of 4096
     * @return this
     */
    public LinuxMachineBuilder memory(long bytes) {
        memory = bytes;
        return this;
    }

    /**
     * Adds to the kernel's command line.
     *
     * @param options words such as {@code virtio_blk.num_request_queues=2}
     * @return this
     */
    public LinuxMachineBuilder commandLine(String options) {
        commandLine = CommandLine.parse(commandLine + " " + options);
        return this;
    }

    /**
     * Sets the kernel; {@link GuestKernel#installed()} if not set.
     *
     * @param value the kernel
     * @return this
     */
    public LinuxMachineBuilder kernel(InstalledKernel value) {
        kernel = Objects.requireNonNull(value, "kernel");
        return this;
    }

    /**
     * Sets how commands reach the guest; {@link ControlChannel#CONSOLE_PORT} if not set.
     *
     * @param value the channel
     * @return this
     */
    public LinuxMachineBuilder channel(ControlChannel value) {
        channel = Objects.requireNonNull(value, "channel");
        return this;
    }

    /**
     * Sets how long the boot, and each command that has no deadline of its own, may take; {@link #DEFAULT_DEADLINE} if not set.
     *
     * @param limit more than zero
     * @return this
     * @throws IllegalArgumentException if it is not
     */
    public LinuxMachineBuilder deadline(Duration limit) {
        if (limit.isNegative() || limit.isZero()) {
            throw new IllegalArgumentException("the deadline " + limit + " lets nothing run; give more than zero");
        }
        deadline = limit;
        return this;
    }

    /**
     * Boots the guest. Returns when its modules are loaded and it takes commands.
     *
     * @return the machine, to be closed by the caller
     * @throws org.opentest4j.TestAbortedException if the host lacks KVM, a kernel or busybox, which skips the test; an {@link AssertionError}
     *     instead where skips are forbidden
     * @throws IllegalArgumentException if the kernel has no module of a given name
     * @throws AssertionError if the guest does not boot within its deadline, ends, or can't load a module
     * @throws InterruptedException if the thread is interrupted while it waits
     */
    public LinuxMachine start() throws InterruptedException {
        HostLack.requireHypervisor();
        return LinuxMachine.boot(bootFiles(), channel, deadline, settings);
    }

    /**
     * Returns what another VMM needs to boot this guest without its devices: with {@link ControlChannel#SERIAL} any that has two serial ports, of
     * which the second is for a {@link GuestShell}.
     *
     * @return the files
     * @throws org.opentest4j.TestAbortedException if the host lacks a kernel or busybox
     * @throws IllegalArgumentException if the kernel has no module of a given name
     */
    public LinuxBootFiles bootFiles() {
        InstalledKernel chosen = kernel == null ? GuestKernel.installed() : kernel;
        try {
            return new LinuxBootFiles(chosen, commandLine, memory, archive(chosen.modules()));
        } catch (IOException e) {
            throw new UncheckedIOException("the guest's files can't be read: " + e.getMessage(), e);
        }
    }

    private byte[] archive(KernelModules modules) throws IOException {
        Initramfs all = files.copy();
        FOLDERS.forEach(all::folder);
        all.program("bin/busybox", HostPrograms.busybox());
        all.link("sbin/modprobe", "../bin/busybox");
        all.program("init", resource("init"));
        all.data("guest/agent", resource("agent"));
        Set<String> needed = new LinkedHashSet<>(loadedModules);
        needed.addAll(modulesAtHand);
        if (channel == ControlChannel.CONSOLE_PORT) {
            needed.addAll(PORT_MODULES);
        }
        modules.addTo(all, needed);
        all.data("guest/settings", """
                CHANNEL=%s
                CHANNEL_NAME=%s
                CHANNEL_MODULES='%s'
                MODULES='%s'
                """.formatted(
                        channel == ControlChannel.CONSOLE_PORT ? "ports" : "serial",
                        ControlPorts.NAME,
                        loadable(PORT_MODULES, modules),
                        loadable(loadedModules, modules)));
        return all.archive();
    }

    private static String loadable(Iterable<String> names, KernelModules modules) {
        List<String> loadable = new ArrayList<>();
        for (String name : names) {
            if (!modules.isBuiltIn(name)) {
                loadable.add(name);
            }
        }
        return String.join(" ", loadable);
    }

    private static byte[] resource(String name) throws IOException {
        try (InputStream script =
                Objects.requireNonNull(LinuxMachineBuilder.class.getResourceAsStream(name), "a resource is missing")) {
            return script.readAllBytes();
        }
    }
}
