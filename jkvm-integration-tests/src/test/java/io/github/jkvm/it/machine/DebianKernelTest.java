package io.github.jkvm.it.machine;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.Capability;
import io.github.jkvm.Hypervisor;
import io.github.jkvm.machine.Machine;
import io.github.jkvm.machine.MachineExit;
import io.github.jkvm.machine.MachineExit.Reason;
import io.github.jkvm.machine.boot.CommandLine;
import io.github.jkvm.machine.boot.KernelImage;
import io.github.jkvm.testkit.HostFeature;
import io.github.jkvm.testkit.RequiresKvm;
import io.github.jkvm.testkit.linux.GuestKernel;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * A stock Debian kernel on the PC board. Without a root file system it panics after its start, by which time it has used what the board
 * has: ACPI, every processor, interrupts, clock, keyboard controller and serial port; and then it resets the machine.
 */
@RequiresKvm(
        value = {Capability.IRQCHIP, Capability.PIT2, Capability.IRQ_ROUTING},
        features = HostFeature.LONG_MODE_EXCEPTIONS)
@Timeout(300)
class DebianKernelTest {
    private static final Duration LIMIT = Duration.ofMinutes(4);

    /** Between its start and its panic, the guest's clock shows this day. */
    private static final Clock CLOCK = Clock.fixed(Instant.parse("2040-02-29T12:34:56Z"), ZoneOffset.UTC);

    private static String bootUntilPanic(KernelImage kernel, int vcpus) throws InterruptedException {
        var output = new ByteArrayOutputStream();
        var commandLine = CommandLine.empty()
                .add("console", "ttyS0")
                .add("earlyprintk", "serial")
                .add("panic", "-1");
        try (var hypervisor = Hypervisor.open();
                var machine = Machine.builder(hypervisor)
                        .memory(256L << 20)
                        .vcpus(vcpus)
                        .kernel(kernel)
                        .commandLine(commandLine)
                        .clock(CLOCK)
                        .consoleOutput(output)
                        .build()) {
            machine.start();
            MachineExit exit = machine.awaitExit(LIMIT);
            String text = output.toString(StandardCharsets.UTF_8);
            assertThat(exit.reason()).as(exit + "\n" + text).isEqualTo(Reason.RESET);
            return text;
        }
    }

    private static void assertBoardWasFound(String log, int vcpus) {
        assertThat(log)
                .contains("Hypervisor detected: KVM")
                .contains("ACPI: RSDP 0x00000000000E0000")
                .contains("ACPI: INT_SRC_OVR (bus 0 bus_irq 0 global_irq 2 dfl dfl)")
                .contains("smpboot: Allowing " + vcpus + " CPUs, 0 hotplug CPUs")
                .contains("smp: Brought up 1 node, " + vcpus + " CPU")
                .contains("ACPI: PM: (supports S0 S5)")
                .contains("ttyS0 at I/O 0x3f8 (irq = 4, base_baud = 115200) is a 16550A")
                .contains("serio: i8042 KBD port at 0x60,0x64 irq 1")
                .contains("setting system clock to 2040-02-29T12:34:56 UTC")
                .contains("Kernel panic - not syncing: VFS: Unable to mount root fs")
                .doesNotContain("ACPI Error")
                .doesNotContain("ACPI BIOS Error")
                .doesNotContain("Firmware Bug");
    }

    @Test
    void bootsAsBzImageOnOneProcessor() throws Exception {
        assertBoardWasFound(bootUntilPanic(GuestKernel.installed().image(), 1), 1);
    }

    @Test
    void bootsUnpackedByPvhOnFourProcessors() throws Exception {
        assertBoardWasFound(bootUntilPanic(GuestKernel.installed().image().unpack(), 4), 4);
    }
}
