package io.github.jkvm.it.machine;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.Capability;
import io.github.jkvm.Hypervisor;
import io.github.jkvm.machine.Machine;
import io.github.jkvm.machine.MachineBuilder;
import io.github.jkvm.machine.MachineExit;
import io.github.jkvm.machine.MachineExit.Reason;
import io.github.jkvm.machine.PcDevice;
import io.github.jkvm.machine.boot.FlatImage;
import io.github.jkvm.testkit.RequiresKvm;
import io.github.jkvm.x86.LapicState;
import io.github.jkvm.x86.MpState;
import io.github.jkvm.x86.Msr;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@RequiresKvm({Capability.IRQCHIP, Capability.PIT2, Capability.IRQ_ROUTING})
@Timeout(60)
class PcBoardTest {
    private static final Duration SOON = Duration.ofSeconds(30);

    private static Hypervisor hypervisor;

    @BeforeAll
    static void open() {
        hypervisor = Hypervisor.open();
    }

    @AfterAll
    static void close() {
        hypervisor.close();
    }

    private static MachineBuilder pc(FlatImage guest) {
        return Machine.builder(hypervisor).memory(4 << 20).kernel(guest);
    }

    private static MachineExit run(FlatImage guest) throws InterruptedException {
        try (Machine machine = pc(guest).build()) {
            machine.start();
            return machine.awaitExit(SOON);
        }
    }

    @Test
    void sleepStateFiveSwitchesOff() throws Exception {
        assertThat(run(Guests.PC_POWER_OFF)).hasToString("POWER_OFF: acpi-pm");
    }

    @Test
    void guestSeesThePowerButton() throws Exception {
        try (Machine machine = pc(Guests.PC_POWER_BUTTON).build()) {
            machine.start();
            assertThat(machine.exit()).isEmpty();
            machine.pressPowerButton();
            assertThat(machine.awaitExit(SOON).reason()).isEqualTo(Reason.POWER_OFF);
        }
    }

    @Test
    void resetRegisterResets() throws Exception {
        assertThat(run(Guests.PC_RESET)).hasToString("RESET: reset-control");
    }

    @Test
    void keyboardControllerResets() throws Exception {
        assertThat(run(Guests.PC_KEYBOARD_RESET)).hasToString("RESET: i8042");
    }

    @Test
    void crashPortTellsOfAPanic() throws Exception {
        assertThat(run(Guests.PC_PANIC)).hasToString("PANIC: pvpanic");
    }

    @Test
    void haltedProcessorWaitsForAnInterrupt() throws Exception {
        try (Machine machine = pc(Guests.PC_WAIT).vcpus(2).build()) {
            machine.start();
            assertThat(machine.awaitExit(Duration.ofMillis(200)).reason())
                    .as("the interrupt controller is there, so a halt does not end the run")
                    .isEqualTo(Reason.DEADLINE);
        }
    }

    @Test
    void processorsStartAsFirmwareLeavesThem() {
        try (Machine machine = pc(Guests.PC_WAIT).vcpus(2).build()) {
            var first = machine.vcpus().get(0);
            var second = machine.vcpus().get(1);
            assertThat(first.registers().rip()).isEqualTo(0x10_0000);
            assertThat(second.mpState()).as("waits to be started").isEqualTo(MpState.UNINITIALIZED);
            for (var vcpu : machine.vcpus()) {
                assertThat(vcpu.lapic().register(LapicState.LVT_LINT0)).isEqualTo(0x700);
                assertThat(vcpu.lapic().register(LapicState.LVT_LINT1)).isEqualTo(0x400);
                assertThat(vcpu.lapic().register(LapicState.ID) >>> 24).isEqualTo(vcpu.id());
                assertThat(vcpu.msrs(List.of(Msr.MTRR_DEF_TYPE)).getFirst().value())
                        .isEqualTo(0x806);
                assertThat(vcpu.cpuid())
                        .anySatisfy(leaf -> assertThat(leaf.function() == 1 && leaf.ebx() >>> 24 == vcpu.id())
                                .isTrue());
            }
        }
    }

    @Test
    void boardWithoutOldDevicesRuns() throws Exception {
        MachineBuilder builder = pc(Guests.PC_POWER_OFF);
        for (PcDevice device : PcDevice.values()) {
            builder.without(device);
        }
        try (Machine machine = builder.build()) {
            machine.start();
            assertThat(machine.awaitExit(SOON).reason()).isEqualTo(Reason.POWER_OFF);
        }
    }

    @Test
    void memoryAboveTheHoleIsThere() {
        try (Machine machine =
                pc(Guests.PC_WAIT).memory((3L << 30) + (64L << 20)).build()) {
            machine.memory().writeLong((4L << 30) + (64L << 20) - 8, 42);
            assertThat(machine.memory().contains(3L << 30, 1)).isFalse();
        }
    }
}
