package io.github.jkvm.it.linux;

import io.github.jkvm.Hypervisor;
import io.github.jkvm.machine.Machine;
import io.github.jkvm.machine.MachineBuilder;
import io.github.jkvm.machine.MachineExit;
import io.github.jkvm.machine.acpi.PlatformAml;
import io.github.jkvm.machine.device.Serial16550;
import io.github.jkvm.machine.device.Serial16550.Port;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

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
final class LinuxGuest implements AutoCloseable {
    /** How long a guest may take to boot, and a command of {@link #run} to end, on a busy machine. */
    static final Duration PATIENCE = Duration.ofMinutes(3);

    private static final int LINES_SHOWN = 100;

    private final Hypervisor hypervisor;
    private final Machine machine;
    private final ShellLine shell;
    private final Serial16550 line;
    private final ConsoleLog console;

    /** Guarded by this. */
    private @Nullable Command running;

    private LinuxGuest(Hypervisor hypervisor, Machine machine, ShellLine shell, Serial16550 line, ConsoleLog console) {
        this.hypervisor = hypervisor;
        this.machine = machine;
        this.shell = shell;
        this.line = line;
        this.console = console;
    }

    /** Begins to describe a guest. */
    static LinuxGuestBuilder builder() {
        return new LinuxGuestBuilder();
    }

    /** Boots a machine with these files as its first file system, and waits until it takes commands. */
    static LinuxGuest boot(GuestKernel kernel, ShellLine shell, Consumer<MachineBuilder> settings, byte[] files)
            throws InterruptedException {
        var line = new Serial16550(Port.COM2, shell);
        var console = new ConsoleLog();
        Hypervisor hypervisor = Hypervisor.open();
        try {
            MachineBuilder builder = Machine.builder(hypervisor)
                    .name("linux")
                    .kernel(kernel.image())
                    .initrd(MemorySegment.ofArray(files))
                    .consoleOutput(console)
                    .device(line, PlatformAml.serial(Port.COM2));
            settings.accept(builder);
            var guest = new LinuxGuest(hypervisor, builder.build(), shell, line, console);
            guest.start();
            return guest;
        } catch (Throwable failure) {
            hypervisor.close();
            throw failure;
        }
    }

    private void start() throws InterruptedException {
        try {
            machine.start();
            Thread.ofPlatform().daemon().name("linux-end").start(() -> {
                try {
                    shell.end(machine.awaitExit());
                } catch (InterruptedException e) {
                    throw new IllegalStateException("no one interrupts this thread", e);
                }
            });
            CommandResult loaded = started("boot and load the modules").await(PATIENCE);
            if (loaded.status() != 0) {
                throw failure(loaded);
            }
        } catch (Throwable failure) {
            machine.close();
            throw failure;
        }
    }

    /** A command that may still run. */
    final class Command {
        private final String text;

        private Command(String text) {
            this.text = text;
        }

        /**
         * Waits for its end. May be called again if it has failed for the time.
         *
         * @param limit how long it may still take
         * @throws AssertionError if it takes longer, or the guest ends
         */
        CommandResult await(Duration limit) throws InterruptedException {
            try {
                ShellLine.Reply reply = shell.await(limit);
                ended();
                return new CommandResult(text, reply.status(), reply.output());
            } catch (ShellLine.NoReply e) {
                throw new AssertionError("no end of: " + text + "\n" + e.getMessage() + "; its output so far:\n"
                        + shell.output() + "\n-- the guest's console --\n" + consoleTail());
            }
        }

        /** Returns what it has printed so far. */
        String output() {
            return shell.output();
        }
    }

    /**
     * Starts a command. The next one can be started when this one has been waited for.
     *
     * @param command a script for the shell of busybox, of at most 65000 bytes
     * @throws IllegalStateException if another command has not ended, or no one has waited for its end
     */
    Command begin(String command) {
        Command begun = started(command);
        byte[] script = command.getBytes(StandardCharsets.UTF_8);
        byte[] request = (script.length + "\n" + command).getBytes(StandardCharsets.UTF_8);
        if (line.receive(request, 0, request.length) < request.length) {
            throw new IllegalArgumentException(
                    "a command of " + script.length + " bytes does not fit the serial line's " + Serial16550.QUEUE_SIZE
                            + "; give the guest a script with LinuxGuestBuilder.program");
        }
        return begun;
    }

    private synchronized Command started(String command) {
        if (running != null) {
            throw new IllegalStateException(
                    "the guest still runs: " + running.text + "\nwait for its end before: " + command);
        }
        running = new Command(command);
        return running;
    }

    private synchronized void ended() {
        running = null;
    }

    /**
     * Runs a command.
     *
     * @param command as in {@link #begin}
     * @param limit how long it may take
     * @throws AssertionError if it takes longer, or the guest ends
     */
    CommandResult execute(String command, Duration limit) throws InterruptedException {
        return begin(command).await(limit);
    }

    /**
     * Runs a command that must succeed, within {@link #PATIENCE}.
     *
     * @param command as in {@link #begin}
     * @return its output without line feeds at the end
     * @throws AssertionError if its exit status is not 0, or as in {@link #execute}
     */
    String run(String command) throws InterruptedException {
        return run(command, PATIENCE);
    }

    /** Does as {@link #run(String)}, with another limit. */
    String run(String command, Duration limit) throws InterruptedException {
        CommandResult result = execute(command, limit);
        if (result.status() != 0) {
            throw failure(result);
        }
        return result.output().replaceFirst("\n+$", "");
    }

    /** Says how a command ended, and what the kernel has to say. */
    private AssertionError failure(CommandResult result) throws InterruptedException {
        String messages = execute("dmesg | tail -n " + LINES_SHOWN, PATIENCE).output();
        return new AssertionError("exit status " + result.status() + " of: " + result.command() + "\n" + result.output()
                + "\n-- the guest's dmesg --\n" + messages);
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
