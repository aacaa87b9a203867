package io.github.jkvm.testkit.scripted;

import io.github.jkvm.Hypervisor;
import io.github.jkvm.machine.Machine;
import io.github.jkvm.machine.MachineExit;
import io.github.jkvm.machine.boot.KernelImage;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;

/**
 * The guide's example of code written on the API: looks whether a kernel comes up. It is handed the hypervisor, so a test hands it another than
 * the one that {@link Hypervisor#open()} finds.
 */
final class BootCheck {
    private final Hypervisor hypervisor;

    BootCheck(Hypervisor hypervisor) {
        this.hypervisor = hypervisor;
    }

    /**
     * Boots a kernel until it switches off.
     *
     * @param kernel the kernel
     * @param limit how long it may take
     * @return the first line of its console
     * @throws IOException if it ends in another way, or is not done in time
     * @throws InterruptedException if the thread is interrupted
     */
    String firstLine(KernelImage kernel, Duration limit) throws IOException, InterruptedException {
        try (Machine machine = Machine.builder(hypervisor)
                .memory(64 << 20)
                .kernel(kernel)
                .deadline(limit)
                .build()) {
            machine.start();
            MachineExit exit = machine.awaitExit();
            if (exit.reason() != MachineExit.Reason.POWER_OFF) {
                throw new IOException("the kernel did not come up: " + exit);
            }
            byte[] output = machine.console().output().readAllBytes();
            return new String(output, StandardCharsets.UTF_8)
                    .lines()
                    .findFirst()
                    .orElse("");
        }
    }
}
