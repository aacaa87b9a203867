package io.github.jkvm.it.linux;

import io.github.jkvm.Hypervisor;
import io.github.jkvm.machine.Machine;
import io.github.jkvm.machine.MachineBuilder;
import io.github.jkvm.machine.MachineExit;
import io.github.jkvm.machine.acpi.PlatformAml;
import io.github.jkvm.machine.device.Serial16550;
import io.github.jkvm.machine.device.Serial16550.Port;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.List;
import java.util.function.Consumer;

/**
 * Debian's kernel for clouds, unmodified, in a machine of the test's making: the driver side of tests of devices.
 *
 * <p>{@snippet lang = java :
 * @RequiresLinuxGuest
 * class BlockDeviceGuestTest {
 *     @Test
 *     void keepsAFileSystem() throws Exception {
 *         try (LinuxGuest guest = LinuxGuest.builder()
 *                 .modules("virtio_mmio", "virtio_blk")
 *                 .programs("mkfs.ext4", "fsck.ext4")
 *                 .device(new VirtioMmio(block))
 *                 .start()) {
 *             guest.run("mkfs.ext4 -q /dev/vda && mount /dev/vda /mnt && seq 1000 >/mnt/numbers && umount /mnt");
 *             assertThat(guest.execute("fsck.ext4 -fn /dev/vda", LIMIT).status()).isZero();
 *         }
 *     }
 * }
 * }
 *
 * <p>A guest has busybox's commands, the host's programs it was given (with their libraries), the modules it was given, {@code /proc},
 * {@code /sys}, {@code /dev} (devtmpfs, no udev: nothing is loaded or linked by itself), the loopback interface up, and no disk: its
 * root is RAM, made anew at each boot. A command is a shell script, run in a subshell of process 1 with an empty standard input, in
 * {@code /root}; what it writes to standard output and error comes back with its exit status. A process that it leaves behind must not
 * write there, and can be waited for with {@code while kill -0 $pid; do sleep 0.1; done}. Output crosses an emulated serial port, a byte at a time: what is
 * large is better summed up there, say with {@code sha256sum}. {@link #begin} lets the test do something on the host meanwhile.
 *
 * <p>The kernel's messages go to another serial port. They, and {@code dmesg}, are in the messages of the errors thrown here. Where the
 * host lacks the kernel, busybox, a module or a program, the test is skipped with a reason.
 *
 * <p>In the nested lane a boot takes some seconds: a class whose tests can share a guest should let them. A guest takes one command at a
 * time, from any thread.
 */
public final class LinuxGuest implements AutoCloseable {
    /** How long a guest may take to boot, and a command of {@link #run} to end, on a busy machine. */
    static final Duration PATIENCE = GuestShell.PATIENCE;

    private static final int LINES_SHOWN = 100;

    private final Hypervisor hypervisor;
    private final Machine machine;
    private final ShellLine line;
    private final GuestShell shell;
    private final ConsoleLog console;

    private LinuxGuest(
            Hypervisor hypervisor, Machine machine, ShellLine line, GuestShell.Sender sender, ConsoleLog console) {
        this.hypervisor = hypervisor;
        this.machine = machine;
        this.line = line;
        this.shell = new GuestShell(line, sender, this::consoleTail);
        this.console = console;
    }

    /** Begins to describe a guest. */
    public static LinuxGuestBuilder builder() {
        return new LinuxGuestBuilder();
    }

    /** Boots a machine with these files and settings, and waits until it takes commands. */
    static LinuxGuest boot(LinuxGuestBuilder.BootFiles files, ShellLine line, List<Consumer<MachineBuilder>> settings)
            throws InterruptedException {
        var port = new Serial16550(Port.COM2, line);
        var console = new ConsoleLog();
        Hypervisor hypervisor = Hypervisor.open();
        try {
            MachineBuilder builder = Machine.builder(hypervisor)
                    .name("linux")
                    .memory(files.memory())
                    .kernel(files.kernel().image())
                    .commandLine(files.commandLine())
                    .initrd(MemorySegment.ofArray(files.initrd()))
                    .consoleOutput(console)
                    .device(port, PlatformAml.serial(Port.COM2));
            settings.forEach(change -> change.accept(builder));
            var guest = new LinuxGuest(hypervisor, builder.build(), line, request -> send(port, request), console);
            guest.start();
            return guest;
        } catch (Throwable failure) {
            hypervisor.close();
            throw failure;
        }
    }

    private static void send(Serial16550 port, byte[] request) {
        if (port.receive(request, 0, request.length) < request.length) {
            throw new IllegalArgumentException("a request of " + request.length
                    + " bytes does not fit the serial line's " + Serial16550.QUEUE_SIZE
                    + "; give the guest a script with LinuxGuestBuilder.program");
        }
    }

    private void start() throws InterruptedException {
        try {
            machine.start();
            Thread.ofPlatform().daemon().name("linux-end").start(() -> {
                try {
                    line.end("the machine has ended: " + machine.awaitExit());
                } catch (InterruptedException e) {
                    throw new IllegalStateException("no one interrupts this thread", e);
                }
            });
            shell.awaitBoot();
        } catch (Throwable failure) {
            machine.close();
            throw failure;
        }
    }

    /** Returns the shell, for what takes commands of guests on any machine. */
    public GuestShell shell() {
        return shell;
    }

    /** Starts a command: {@link GuestShell#begin}. */
    GuestShell.Command begin(String command) {
        return shell.begin(command);
    }

    /** Runs a command: {@link GuestShell#execute}. */
    CommandResult execute(String command, Duration limit) throws InterruptedException {
        return shell.execute(command, limit);
    }

    /** Runs a command that must succeed, within {@link #PATIENCE}: {@link GuestShell#run}. */
    public String run(String command) throws InterruptedException {
        return shell.run(command, PATIENCE);
    }

    /** Runs a command that must succeed: {@link GuestShell#run}. */
    String run(String command, Duration limit) throws InterruptedException {
        return shell.run(command, limit);
    }

    /** Returns the last lines that the kernel printed on its console: only what is serious, unless a test asks it for more. */
    String consoleTail() {
        return console.tail(LINES_SHOWN);
    }

    /** Returns the machine: its memory, its bus, its counters. */
    Machine machine() {
        return machine;
    }

    /** Switches the guest off in good order, as far as the kernel goes: its drivers shut their devices down. */
    MachineExit powerOff() throws InterruptedException {
        begin("sync; poweroff -f");
        return machine.awaitExit(PATIENCE);
    }

    /** Ends the machine as if its plug were pulled, and closes its devices. */
    @Override
    public void close() {
        machine.close();
        hypervisor.close();
    }
}
