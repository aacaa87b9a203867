package io.github.jkvm.it.linux;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jkvm.Device;
import io.github.jkvm.machine.MachineBuilder;
import io.github.jkvm.machine.acpi.Aml;
import io.github.jkvm.machine.boot.CommandLine;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.function.Consumer;

/** Says what is in a {@link LinuxGuest}, which tells how to use it. For one thread, and for one guest. */
public final class LinuxGuestBuilder {
    /** Enough for the kernel and small programs; large ones, such as fio, need more. */
    private static final long DEFAULT_MEMORY = 256L << 20;

    /** Where Debian's package busybox-static puts it. */
    private static final Path BUSYBOX = Path.of("/bin/busybox");

    /**
     * What makes the boot short on an emulated processor, and keeps the console for what goes wrong. No driver is told anything by it.
     * panic=-1: a kernel that panics resets the machine at once, which ends it.
     */
    private static final String COMMAND_LINE = "console=ttyS0,115200 quiet panic=-1 mitigations=off cryptomgr.notests"
            + " rcupdate.rcu_expedited=1 nokaslr random.trust_cpu=on";

    private final RootFiles files = new RootFiles();
    private final Set<String> loadedModules = new LinkedHashSet<>();
    private final Set<String> modulesAtHand = new LinkedHashSet<>();
    private final List<Consumer<MachineBuilder>> settings = new ArrayList<>();
    private CommandLine commandLine = CommandLine.parse(COMMAND_LINE);
    private String script = "";
    private long memory = DEFAULT_MEMORY;

    /**
     * Adds kernel modules that are loaded before the first command, in this order, after those they need.
     *
     * @param names such as {@code virtio_blk}; what is built into the kernel is passed over
     */
    public LinuxGuestBuilder modules(String... names) {
        loadedModules.addAll(List.of(names));
        return this;
    }

    /**
     * Adds kernel modules that are not loaded: a command may, with {@code modprobe}.
     *
     * @param names their names
     */
    public LinuxGuestBuilder modulesAtHand(String... names) {
        modulesAtHand.addAll(List.of(names));
        return this;
    }

    /**
     * Adds programs of the host with the libraries they need. The test is skipped if the host lacks one. They come before busybox's in the
     * guest's {@code PATH}, but not before what its shell has built in.
     *
     * @param names of programs in /usr/sbin, /usr/bin or /usr/lib/qemu, such as {@code mkfs.ext4}
     */
    public LinuxGuestBuilder programs(String... names) throws IOException {
        for (String name : names) {
            HostPrograms.addTo(files, name);
        }
        return this;
    }

    /**
     * Adds a file.
     *
     * @param path its absolute path; the folders above it are made
     * @param contents what is in it
     */
    public LinuxGuestBuilder file(String path, byte[] contents) {
        files.data(path, contents);
        return this;
    }

    /**
     * Adds a text file.
     *
     * @param path its absolute path; the folders above it are made
     * @param contents what is in it
     */
    public LinuxGuestBuilder file(String path, String contents) {
        return file(path, contents.getBytes(StandardCharsets.UTF_8));
    }

    /**
     * Adds a program or script that can be run.
     *
     * @param path its absolute path; the folders above it are made
     * @param contents what is in it
     */
    public LinuxGuestBuilder program(String path, byte[] contents) {
        files.program(path, contents);
        return this;
    }

    /**
     * Adds a device to the machine, which closes it in the end.
     *
     * @param device the device
     * @param description what describes it in ACPI, if it is to be
     */
    public LinuxGuestBuilder device(Device device, Aml... description) {
        return machine(builder -> builder.device(device, description));
    }

    /**
     * Changes the machine in a way that this class has no method for.
     *
     * @param change gets the machine's builder after memory, kernel and command line are set
     */
    public LinuxGuestBuilder machine(Consumer<MachineBuilder> change) {
        settings.add(change);
        return this;
    }

    /** Sets the number of vCPUs; 1 if not set. */
    public LinuxGuestBuilder vcpus(int count) {
        return machine(builder -> builder.vcpus(count));
    }

    /** Sets the memory in bytes; 256 MiB if not set. */
    public LinuxGuestBuilder memory(long bytes) {
        memory = bytes;
        return this;
    }

    /**
     * Adds to the kernel's command line.
     *
     * @param options words such as {@code virtio_blk.num_request_queues=2}
     */
    public LinuxGuestBuilder commandLine(String options) {
        commandLine = CommandLine.parse(commandLine + " " + options);
        return this;
    }

    /**
     * Sets what {@link #run} runs.
     *
     * @param text a script for the shell of busybox
     */
    public LinuxGuestBuilder script(String text) {
        script = text;
        return this;
    }

    /**
     * Boots the guest, runs the script and ends the guest.
     *
     * @param limit how long the script may run
     * @return how the script ended
     */
    public CommandResult run(Duration limit) throws IOException, InterruptedException {
        try (LinuxGuest guest = start()) {
            return guest.execute(script, limit);
        }
    }

    /** Boots the guest. Returns when its modules are loaded and it takes commands. */
    public LinuxGuest start() throws IOException, InterruptedException {
        var shell = new ShellLine();
        return LinuxGuest.boot(bootFiles(shell), shell, settings);
    }

    /**
     * Returns what a machine needs that boots this guest: any machine with two serial ports, of which the second is the shell's.
     *
     * @param shell gets what the guest sends over its second serial port
     */
    public BootFiles bootFiles(ShellLine shell) throws IOException {
        GuestKernel kernel = GuestKernel.installed();
        addBase(kernel, shell.word());
        return new BootFiles(kernel, commandLine, memory, files.archive());
    }

    /** A guest without its devices. */
    public static final class BootFiles {
        private final GuestKernel kernel;
        private final CommandLine commandLine;
        private final long memory;
        private final byte[] initrd;

        private BootFiles(GuestKernel kernel, CommandLine commandLine, long memory, byte[] initrd) {
            this.kernel = kernel;
            this.commandLine = commandLine;
            this.memory = memory;
            this.initrd = initrd;
        }

        /** Returns the kernel. */
        public GuestKernel kernel() {
            return kernel;
        }

        /** Returns the kernel's command line. */
        public CommandLine commandLine() {
            return commandLine;
        }

        /** Returns the size of memory in bytes. */
        public long memory() {
            return memory;
        }

        /** Returns the first file system. */
        public byte[] initrd() {
            return initrd;
        }
    }

    private void addBase(GuestKernel kernel, String word) throws IOException {
        assumeTrue(Files.isReadable(BUSYBOX), "no " + BUSYBOX + ": apt-get install busybox-static");
        for (String folder : List.of(
                "bin", "dev", "etc", "proc", "root", "run", "sbin", "sys", "tmp", "usr/lib", "usr/lib64", "mnt")) {
            if (!files.contains(folder)) {
                files.folder(folder);
            }
        }
        files.program("bin/busybox", HostPrograms.contents(BUSYBOX));
        files.link("sbin/modprobe", "../bin/busybox");
        files.program("init", initScript());
        Set<String> all = new LinkedHashSet<>(loadedModules);
        all.addAll(modulesAtHand);
        kernel.modules().addTo(files, all);
        loadedModules.removeIf(kernel.modules()::isBuiltIn);
        files.data("guest/settings", "WORD=" + word + "\nMODULES='" + String.join(" ", loadedModules) + "'\n");
    }

    private static byte[] initScript() throws IOException {
        try (InputStream script = Objects.requireNonNull(
                LinuxGuestBuilder.class.getResourceAsStream("init"), "the resource 'init' is missing")) {
            return script.readAllBytes();
        }
    }
}
