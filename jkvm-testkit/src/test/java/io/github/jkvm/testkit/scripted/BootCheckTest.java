package io.github.jkvm.testkit.scripted;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.machine.boot.EntryMode;
import io.github.jkvm.machine.boot.FlatImage;
import java.io.IOException;
import java.time.Duration;
import org.junit.jupiter.api.Test;

/** The guide's example of a test on a machine without KVM. */
class BootCheckTest {
    private static final Duration SOON = Duration.ofSeconds(30);

    /** Loaded, but never executed: a program stands for it. */
    static final FlatImage KERNEL = FlatImage.of(new byte[1], GuestAddress.of(0x10_0000), EntryMode.PROTECTED32);

    /** Prints on the serial port, and switches off by the ACPI register of the PC board. */
    static final GuestProgram HEALTHY = guest -> {
        guest.portOut(0x3F8, "kernel 6.12\nlogin: ");
        guest.portOut(0x604, 2, 0x3400);
    };

    @Test
    void returnsTheFirstLineOfTheConsole() throws Exception {
        try (var hypervisor = ScriptedHypervisor.running(HEALTHY)) {
            assertThat(new BootCheck(hypervisor).firstLine(KERNEL, SOON)).isEqualTo("kernel 6.12");
        }
    }

    @Test
    void saysThatTheKernelPanicked() {
        GuestProgram panics = guest -> guest.portOut(0x505, 1, 1);
        try (var hypervisor = ScriptedHypervisor.running(panics)) {
            assertThatThrownBy(() -> new BootCheck(hypervisor).firstLine(KERNEL, SOON))
                    .isInstanceOf(IOException.class)
                    .hasMessageContaining("the kernel did not come up: PANIC");
        }
    }

    @Test
    void doesNotWaitForAKernelThatHangs() {
        try (var hypervisor = ScriptedHypervisor.running(ScriptedGuest::spin)) {
            assertThatThrownBy(() -> new BootCheck(hypervisor).firstLine(KERNEL, Duration.ofMillis(50)))
                    .isInstanceOf(IOException.class)
                    .hasMessageContaining("DEADLINE");
        }
    }
}
