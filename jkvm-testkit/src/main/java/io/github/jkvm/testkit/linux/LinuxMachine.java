package io.github.jkvm.testkit.linux;

import io.github.jkvm.Device;
import io.github.jkvm.Hypervisor;
import io.github.jkvm.machine.Machine;
import io.github.jkvm.machine.MachineBuilder;
import io.github.jkvm.machine.MachineExit;
import io.github.jkvm.machine.MachineSnapshot;
import io.github.jkvm.machine.RestoreBuilder;
import io.github.jkvm.machine.acpi.Aml;
import io.github.jkvm.machine.acpi.PlatformAml;
import io.github.jkvm.machine.device.Serial16550;
import io.github.jkvm.machine.device.Serial16550.Port;
import io.github.jkvm.virtio.VirtioMmio;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.function.Consumer;

/**
 * A machine with a stock Linux that takes commands: the driver side of tests of devices, and whatever else a test needs a whole system for.
 * {@link LinuxGuest} gives one to a JUnit test, {@link #builder()} makes any.
 *
 * <p>{@snippet lang = java :
 * try (LinuxMachine machine = LinuxMachine.builder()
 *         .modules("virtio_mmio", "virtio_blk")
 *         .programs("mkfs.ext4", "fsck.ext4")
 *         .device(new VirtioMmio(disk))
 *         .start()) {
 *     machine.run("mkfs.ext4 -q /dev/vda && mount /dev/vda /mnt && seq 1000 >/mnt/numbers && umount /mnt");
 *     assertThat(machine.execute("fsck.ext4 -fn /dev/vda").status()).isZero();
 * }
 * }
 *
 * <p>The kernel is one that is installed on the host, unmodified, unless the test gives another. The guest has busybox's commands, the host's
 * programs it was given (with their libraries), the modules it was given, {@code /proc}, {@code /sys}, {@code /dev} (devtmpfs, no udev:
 * nothing is loaded or linked by itself), the loopback interface up, and no disk: its root is RAM, made anew at each boot. {@link GuestShell} says
 * how commands are run, {@link ControlChannel} what this takes in the guest.
 *
 * <p>The kernel's messages go to the first serial port, which is the console of {@link #machine()}. They are in the messages of all failures,
 * and what they mean, if it is known: a kernel that panicked, memory that ran out. A guest that ends fails the command that runs at once.
 *
 * <p>A boot takes about a second with hardware virtualization: a class whose tests can share a guest should let them. Safe for use by many
 * threads; a guest takes one command at a time.
 */
public final class LinuxMachine implements AutoCloseable {
    private static final int LOG_SIZE = 1 << 16;
    private static final int LINES_SHOWN = 100;

    private final Hypervisor hypervisor;
    private final Machine machine;
    private final GuestShell shell;
    private final KernelLog console;
    private final ControlChannel channel;
    private final Duration deadline;

    private LinuxMachine(
            Hypervisor hypervisor,
            Machine machine,
            GuestShell shell,
            KernelLog console,
            ControlChannel channel,
            Duration deadline) {
        this.hypervisor = hypervisor;
        this.machine = machine;
        this.shell = shell;
        this.console = console;
        this.channel = channel;
        this.deadline = deadline;
    }

    /**
     * Begins to describe a machine.
     *
     * @return a builder of a guest without devices
     */
    public static LinuxMachineBuilder builder() {
        return new LinuxMachineBuilder();
    }

    /** Boots a machine with these files and settings, and waits until it takes commands. */
    static LinuxMachine boot(
            LinuxBootFiles files, ControlChannel channel, Duration deadline, List<Consumer<MachineBuilder>> settings)
            throws InterruptedException {
        var console = new KernelLog(LOG_SIZE);
        Hypervisor hypervisor = Hypervisor.open();
        try {
            MachineBuilder builder = Machine.builder(hypervisor)
                    .name("linux")
                    .memory(files.memory())
                    .kernel(files.kernel().image())
                    .commandLine(files.commandLine())
                    .initrd(MemorySegment.ofArray(files.archive()))
                    .consoleOutput(console);
            settings.forEach(change -> change.accept(builder));
            Control control = Control.over(channel, builder::device, console, deadline);
            var booted = new LinuxMachine(hypervisor, builder.build(), control.shell(), console, channel, deadline);
            control.listen().run();
            booted.start();
            return booted;
        } catch (Throwable failure) {
            hypervisor.close();
            throw failure;
        }
    }

    /** Has a machine go on from a snapshot that was taken between two commands. */
    static LinuxMachine goOn(MachineSnapshot snapshot, ControlChannel channel, Duration deadline, Device... devices) {
        var console = new KernelLog(LOG_SIZE);
        Hypervisor hypervisor = Hypervisor.open();
        try {
            RestoreBuilder builder =
                    Machine.restore(hypervisor, snapshot).name("linux").consoleOutput(console);
            for (Device device : devices) {
                builder.device(device);
            }
            Control control = Control.over(channel, (device, description) -> builder.device(device), console, deadline);
            control.shell().skipBoot();
            var machine = new LinuxMachine(hypervisor, builder.build(), control.shell(), console, channel, deadline);
            control.listen().run();
            machine.run();
            return machine;
        } catch (Throwable failure) {
            hypervisor.close();
            throw failure;
        }
    }

    /** The shell, and what begins to take the guest's output once there is a machine that will end it. */
    private record Control(GuestShell shell, Runnable listen) {

        /** Takes a device, with what describes it to the guest. */
        private interface Attachment {
            void add(Device device, Aml... description);
        }

        static Control over(ControlChannel channel, Attachment machine, KernelLog console, Duration deadline) {
            return switch (channel) {
                case CONSOLE_PORT -> overPorts(machine, console, deadline);
                case SERIAL -> overSerial(machine, console, deadline);
            };
        }

        private static Control overPorts(Attachment machine, KernelLog console, Duration deadline) {
            var ports = new ControlPorts();
            machine.add(new VirtioMmio(ports.device()));
            var shell = new GuestShell(ports.link(), ports.output(), () -> console.tail(LINES_SHOWN), deadline);
            return new Control(shell, ports::read);
        }

        private static Control overSerial(Attachment machine, KernelLog console, Duration deadline) {
            var line = new MarkedStream();
            var port = new Serial16550(Port.COM2, line);
            machine.add(port, PlatformAml.serial(Port.COM2));
            var shell = new GuestShell(
                    AgentLink.overLine(port.input(), line), line, () -> console.tail(LINES_SHOWN), deadline);
            return new Control(shell, () -> {});
        }
    }

    private void start() throws InterruptedException {
        try {
            run();
            shell.awaitBoot();
        } catch (Throwable failure) {
            machine.close();
            throw failure;
        }
    }

    private void run() {
        machine.start();
        Thread.ofPlatform().daemon().name("linux-end").start(() -> {
            try {
                shell.end("the machine has ended: " + machine.awaitExit());
            } catch (InterruptedException e) {
                throw new IllegalStateException("no one interrupts this thread", e);
            }
        });
    }

    /**
     * Takes a snapshot, from which other machines can go on: with the same processes, files and mounts, and what is running in the background. This
     * machine runs on. What its disks hold is not part of it: to copy them as they are at the same moment, pause the {@link #machine()} around both.
     *
     * @return the snapshot, to be closed by the caller
     * @throws IllegalStateException if a command runs, the machine has ended, or a device can't be saved now
     */
    public LinuxSnapshot snapshot() {
        shell.checkIdle("before a snapshot");
        return new LinuxSnapshot(machine.snapshot(), channel, deadline);
    }

    /**
     * Returns the shell, for what takes commands of guests in any VMM.
     *
     * @return the shell
     */
    public GuestShell shell() {
        return shell;
    }

    /**
     * Starts a command: {@link GuestShell#begin}.
     *
     * @param command what is to run
     * @return the command, whose end is to be waited for
     * @throws IllegalStateException as there
     */
    public RunningCommand begin(GuestCommand command) {
        return shell.begin(command);
    }

    /**
     * Starts a command: {@link GuestShell#begin}.
     *
     * @param script what is to run
     * @return the command, whose end is to be waited for
     * @throws IllegalStateException as there
     */
    public RunningCommand begin(String script) {
        return begin(GuestCommand.of(script));
    }

    /**
     * Runs a command: {@link GuestShell#execute}.
     *
     * @param command what is to run
     * @return how it ended
     * @throws AssertionError as there
     * @throws InterruptedException if the thread is interrupted while it waits
     */
    public CommandResult execute(GuestCommand command) throws InterruptedException {
        return shell.execute(command);
    }

    /**
     * Runs a command: {@link GuestShell#execute}.
     *
     * @param script what is to run
     * @return how it ended
     * @throws AssertionError as there
     * @throws InterruptedException if the thread is interrupted while it waits
     */
    public CommandResult execute(String script) throws InterruptedException {
        return execute(GuestCommand.of(script));
    }

    /**
     * Runs a command: {@link GuestShell#execute}.
     *
     * @param script what is to run
     * @param limit how long it may take, in place of the machine's deadline
     * @return how it ended
     * @throws AssertionError as there
     * @throws InterruptedException if the thread is interrupted while it waits
     */
    public CommandResult execute(String script, Duration limit) throws InterruptedException {
        return execute(GuestCommand.of(script).withDeadline(limit));
    }

    /**
     * Runs a command that must succeed: {@link GuestShell#run}.
     *
     * @param command what is to run
     * @return its standard output without line feeds at the end
     * @throws AssertionError as there
     * @throws InterruptedException if the thread is interrupted while it waits
     */
    public String run(GuestCommand command) throws InterruptedException {
        return shell.run(command);
    }

    /**
     * Runs a command that must succeed: {@link GuestShell#run}.
     *
     * @param script what is to run
     * @return its standard output without line feeds at the end
     * @throws AssertionError as there
     * @throws InterruptedException if the thread is interrupted while it waits
     */
    public String run(String script) throws InterruptedException {
        return run(GuestCommand.of(script));
    }

    /**
     * Runs a command that must succeed: {@link GuestShell#run}.
     *
     * @param script what is to run
     * @param limit how long it may take, in place of the machine's deadline
     * @return its standard output without line feeds at the end
     * @throws AssertionError as there
     * @throws InterruptedException if the thread is interrupted while it waits
     */
    public String run(String script, Duration limit) throws InterruptedException {
        return run(GuestCommand.of(script).withDeadline(limit));
    }

    /**
     * Copies a file or folder into the guest: {@link GuestShell#copyIn}.
     *
     * @param source of the host
     * @param target the absolute path that it gets in the guest
     * @throws AssertionError as there
     * @throws InterruptedException if the thread is interrupted while it waits
     */
    public void copyIn(Path source, String target) throws InterruptedException {
        shell.copyIn(source, target);
    }

    /**
     * Copies a file or folder out of the guest: {@link GuestShell#copyOut}.
     *
     * @param source its absolute path in the guest
     * @param target the path that it gets on the host, where nothing may be yet
     * @throws java.io.UncheckedIOException as there
     * @throws AssertionError as there
     * @throws InterruptedException if the thread is interrupted while it waits
     */
    public void copyOut(String source, Path target) throws InterruptedException {
        shell.copyOut(source, target);
    }

    /**
     * Returns what the kernel has printed on its console: only what is serious, unless the command line asks for more.
     *
     * @return the last lines, of which 64 KiB are kept
     */
    public String consoleTail() {
        return console.text();
    }

    /**
     * Returns the machine: its memory, its bus, its counters.
     *
     * @return the machine; stays this object's to close
     */
    public Machine machine() {
        return machine;
    }

    /**
     * Switches the guest off in good order, as far as the kernel goes: its drivers shut their devices down.
     *
     * @return how the machine ended
     * @throws IllegalStateException if it has not ended within the deadline, or a command runs
     * @throws InterruptedException if the thread is interrupted while it waits
     */
    public MachineExit powerOff() throws InterruptedException {
        begin("sync; poweroff -f");
        return machine.awaitExit(deadline);
    }

    /** Ends the machine as if its plug were pulled, and closes its devices. Closing twice does nothing. */
    @Override
    public void close() {
        machine.close();
        hypervisor.close();
    }
}
