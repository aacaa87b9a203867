package io.github.jkvm.samples.keyboard;

import io.github.jkvm.Hypervisor;
import io.github.jkvm.machine.Machine;
import io.github.jkvm.machine.MachineExit;
import io.github.jkvm.machine.PcDevice;
import io.github.jkvm.machine.boot.CommandLine;
import io.github.jkvm.machine.boot.KernelImage;
import io.github.jkvm.virtio.VirtioMmio;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;

/**
 * Boots an installed Linux kernel, types a word on the {@link Keyboard}, and shows what Linux has seen of it.
 *
 * <p>Arguments: the word (letters and digits; "hello" if there is none) and the kernel's version ("6.1.0-30-cloud-amd64"; the running one's if
 * there is none).
 */
public final class TypeIntoLinux {
    private static final Duration LIMIT = Duration.ofMinutes(3);

    private TypeIntoLinux() {}

    /**
     * Runs the sample.
     *
     * @param arguments the word and the kernel's version
     * @throws IOException if the kernel or busybox can't be read
     * @throws InterruptedException if interrupted
     */
    public static void main(String[] arguments) throws IOException, InterruptedException {
        String word = arguments.length > 0 ? arguments[0] : "hello";
        String version = arguments.length > 1 ? arguments[1] : System.getProperty("os.version");
        var keyboard = new Keyboard();
        try (var hypervisor = Hypervisor.open();
                var machine = Machine.builder(hypervisor)
                        .kernel(KernelImage.read(Path.of("/boot/vmlinuz-" + version)))
                        .initrd(MemorySegment.ofArray(Guest.files(version, word.length())))
                        .commandLine(CommandLine.parse("console=ttyS0 quiet panic=-1"))
                        .without(PcDevice.KEYBOARD_CONTROLLER)
                        .device(new VirtioMmio(keyboard))
                        .deadline(LIMIT)
                        .build()) {
            machine.start();
            var console =
                    new BufferedReader(new InputStreamReader(machine.console().output(), StandardCharsets.US_ASCII));
            for (String line = console.readLine(); line != null; line = console.readLine()) {
                System.out.println(line);
                if (line.startsWith(Guest.READY)) {
                    keyboard.type(word);
                }
            }
            MachineExit exit = machine.awaitExit();
            if (exit.reason() != MachineExit.Reason.POWER_OFF) {
                System.err.println("the guest did not power off: " + exit);
                System.exit(1);
            }
        }
    }
}
