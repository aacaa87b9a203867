package io.github.jkvm.samples.linux;

import io.github.jkvm.Hypervisor;
import io.github.jkvm.machine.Machine;
import io.github.jkvm.machine.MachineBuilder;
import io.github.jkvm.machine.MachineExit;
import io.github.jkvm.machine.boot.CommandLine;
import io.github.jkvm.machine.boot.KernelImage;
import io.github.jkvm.machine.device.DebugExit;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.lang.foreign.MemorySegment;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import org.jspecify.annotations.Nullable;

/** One guest from its start to its end, with its console tied to this program's streams. */
final class Session {
    private final Options options;
    private final KernelImage kernel;
    private final CountDownLatch ready = new CountDownLatch(1);
    private volatile Outcome.@Nullable Wish wish;
    private volatile @Nullable Machine running;

    Session(Options options, KernelImage kernel) {
        this.options = options;
        this.kernel = kernel;
    }

    /**
     * Boots the guest and waits for its end.
     *
     * @throws IOException if the initial RAM disk or the terminal can't be had
     */
    Outcome run() throws IOException, InterruptedException {
        // The terminal is given back before anything is printed about the end.
        try (RawTerminal terminal = RawTerminal.isThere() ? new RawTerminal() : null;
                Hypervisor hypervisor = Hypervisor.open()) {
            // Random, so that nothing that the kernel prints by chance is taken for it.
            String word = options.initrd() == null ? "<" + UUID.randomUUID() + ">" : "";
            GuestOutput output = new GuestOutput(word, kernelMessages(), commandOutput(), ready::countDown);
            MachineBuilder builder = Machine.builder(hypervisor)
                    .name("linux")
                    .memory(options.memory())
                    .vcpus(options.cpus())
                    .kernel(kernel)
                    .commandLine(commandLine())
                    .consoleOutput(output);
            if (options.timeout() != null) {
                builder.deadline(options.timeout());
            }
            if (options.initrd() != null) {
                builder.initrd(options.initrd());
            } else {
                builder.initrd(MemorySegment.ofArray(initramfs(word, terminal)));
            }
            try (Machine machine = builder.build()) {
                running = machine;
                machine.start();
                startInput(machine, terminal);
                MachineExit exit = machine.awaitExit();
                Outcome.Ready started = output.isReady() ? Outcome.Ready.YES : Outcome.Ready.NO;
                return Outcome.of(exit, wish, options, output.tail(), started);
            }
        }
    }

    private CommandLine commandLine() {
        // panic=-1: a kernel that panics resets the machine at once, which ends the run.
        String messages = options.messages() == Options.Messages.SHOWN ? "earlyprintk=serial,ttyS0,115200" : "quiet";
        return CommandLine.parse("console=ttyS0,115200 panic=-1 " + messages + " " + options.append());
    }

    private byte[] initramfs(String word, @Nullable RawTerminal terminal) throws IOException {
        var settings = new GuestFiles.Settings(
                terminal == null ? GuestInput.TERMINAL_FOR_PIPE : terminal.size(),
                terminal == null ? "dumb" : terminal.type(),
                word,
                options.messages());
        return GuestFiles.of(GuestFiles.BUSYBOX, options.command(), settings, DebugExit.PORT);
    }

    private OutputStream kernelMessages() {
        return options.messages() == Options.Messages.SHOWN ? System.err : OutputStream.nullOutputStream();
    }

    /** Stdout, without a buffer: what the guest prints is seen at once. If no one reads it any more, the guest ends. */
    private OutputStream commandOutput() {
        var stdout = new FileOutputStream(FileDescriptor.out);
        return new OutputStream() {
            @Override
            public void write(int value) {
                write(new byte[] {(byte) value}, 0, 1);
            }

            @Override
            public void write(byte[] bytes, int offset, int length) {
                try {
                    stdout.write(bytes, offset, length);
                } catch (IOException closed) {
                    stop(Outcome.Wish.STDOUT_CLOSED);
                }
            }
        };
    }

    private void startInput(Machine machine, @Nullable RawTerminal terminal) {
        Thread.ofPlatform().daemon().name("console-input").start(() -> {
            try {
                if (terminal == null) {
                    ready.await();
                    GuestInput.copyPipe(System.in, machine.console().input());
                } else {
                    GuestInput.copyKeys(System.in, whenReady(machine.console().input()));
                    stop(Outcome.Wish.QUIT);
                }
            } catch (IOException | InterruptedException ended) {
                // The machine is closed, or stdin is gone: there is nothing more to pass on.
            }
        });
    }

    /** Keys that are typed before the guest's terminal is there would be lost in Linux; here they are lost on purpose. */
    private OutputStream whenReady(OutputStream console) {
        return new OutputStream() {
            @Override
            public void write(int value) throws IOException {
                write(new byte[] {(byte) value}, 0, 1);
            }

            @Override
            public void write(byte[] bytes, int offset, int length) throws IOException {
                if (ready.getCount() == 0) {
                    console.write(bytes, offset, length);
                }
            }
        };
    }

    private void stop(Outcome.Wish why) {
        wish = why;
        Machine machine = running;
        if (machine != null) {
            machine.stop();
        }
    }
}
