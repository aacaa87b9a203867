package io.github.jkvm.testkit.scripted;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.machine.Machine;
import io.github.jkvm.machine.MachineExit;
import io.github.jkvm.machine.boot.EntryMode;
import io.github.jkvm.machine.boot.FlatImage;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The project's own PC board, with its serial port, interrupts, ACPI and several processors, on a host without KVM. */
@Timeout(120)
class MachineOnScriptTest {
    private static final Duration SOON = Duration.ofSeconds(20);

    /** Never executed: the program stands for it. */
    private static final FlatImage KERNEL =
            FlatImage.of(new byte[] {(byte) 0xF4}, GuestAddress.of(0x10_0000), EntryMode.PROTECTED32);

    // Registers of a 16550 (data sheet) at COM1, and PM1a control of the PC board's ACPI.
    private static final int COM1 = 0x3F8;
    private static final int INTERRUPT_ENABLE = COM1 + 1;
    private static final int MODEM_CONTROL = COM1 + 4;

    /** Lets interrupts through to the controller of a PC. */
    private static final int OUT2 = 8;

    private static final int LINE_STATUS = COM1 + 5;
    private static final int TRANSMITTER_EMPTY = 0x20;
    private static final int COM1_LINE = 4;
    private static final int PM1A_CONTROL = 0x604;
    private static final int SLEEP_STATE_5 = 0x3400;

    private static void print(ScriptedGuest guest, String text) {
        for (byte b : text.getBytes(StandardCharsets.US_ASCII)) {
            assertThat(guest.portIn(LINE_STATUS, 1) & TRANSMITTER_EMPTY).isNotZero();
            guest.portOut(COM1, 1, b);
        }
    }

    @Test
    void aGuestOfThePcBoardEchoesWhatItReceivesAndSwitchesOff() throws Exception {
        GuestProgram echo = guest -> {
            guest.portOut(MODEM_CONTROL, 1, OUT2);
            guest.portOut(INTERRUPT_ENABLE, 1, 1);
            print(guest, "ready\n");
            int received;
            do {
                GuestInterrupt interrupt = guest.waitForInterrupt();
                assertThat(interrupt).isEqualTo(new GuestInterrupt.Line(COM1_LINE));
                received = (int) guest.portIn(COM1, 1);
                print(guest, Character.toString(received));
                guest.endInterrupt(interrupt);
            } while (received != '!');
            guest.portOut(PM1A_CONTROL, 2, SLEEP_STATE_5);
        };
        try (var hypervisor = ScriptedHypervisor.running(echo);
                Machine machine = Machine.builder(hypervisor)
                        .memory(4 << 20)
                        .kernel(KERNEL)
                        .build()) {
            machine.start();
            machine.console().input().write("hello!".getBytes(StandardCharsets.US_ASCII));
            assertThat(machine.awaitExit(SOON)).hasToString("POWER_OFF: acpi-pm");
            assertThat(machine.console().output().readAllBytes()).asString().isEqualTo("ready\nhello!");
        }
    }

    @Test
    void theOtherProcessorsWaitForTheFirst() throws Exception {
        GuestProgram program = guest -> {
            if (guest.vcpuId() == 0) {
                guest.startProcessor(2);
                guest.startProcessor(1);
                guest.spin();
            }
            // Counts one by one: the memory of a board is shared.
            long count = 0x2000;
            synchronized (guest.memory()) {
                guest.memory().writeInt(count, guest.memory().readInt(count) + 1);
                if (guest.memory().readInt(count) == 2) {
                    guest.memory().writeInt(count + 4, 1);
                }
            }
            if (guest.memory().readInt(count + 4) == 1) {
                guest.shutdown();
            }
        };
        try (var hypervisor = ScriptedHypervisor.running(program);
                Machine machine = Machine.builder(hypervisor)
                        .memory(4 << 20)
                        .vcpus(3)
                        .kernel(KERNEL)
                        .build()) {
            machine.start();
            MachineExit exit = machine.awaitExit(SOON);
            assertThat(exit.reason()).isEqualTo(MachineExit.Reason.TRIPLE_FAULT);
            assertThat(machine.memory().readInt(0x2000)).isEqualTo(2);
        }
    }

    @Test
    void whatAProgramThrowsEndsTheMachine() throws Exception {
        try (var hypervisor = ScriptedHypervisor.running(guest -> {
                    throw new AssertionError("not what the guest expects");
                });
                Machine machine = Machine.builder(hypervisor)
                        .memory(4 << 20)
                        .kernel(KERNEL)
                        .build()) {
            machine.start();
            MachineExit exit = machine.awaitExit(SOON);
            assertThat(exit.reason()).isEqualTo(MachineExit.Reason.ERROR);
            assertThat(exit.toString()).contains("not what the guest expects");
        }
    }
}
