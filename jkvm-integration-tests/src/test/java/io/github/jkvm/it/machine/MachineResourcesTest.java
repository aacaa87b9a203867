package io.github.jkvm.it.machine;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.Capability;
import io.github.jkvm.Hypervisor;
import io.github.jkvm.machine.Board;
import io.github.jkvm.machine.Machine;
import io.github.jkvm.machine.boot.FlatImage;
import io.github.jkvm.testkit.RequiresKvm;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What a machine takes from the host it gives back. */
@RequiresKvm({Capability.IRQCHIP, Capability.PIT2, Capability.IRQ_ROUTING})
@Timeout(180)
class MachineResourcesTest {
    private static final int MACHINES = 30;

    /** What this process holds: open files, threads of machines, and mappings that KVM gave. */
    private record Held(long files, long threads, long mappings) {
        static Held now() throws IOException {
            long files;
            try (var entries = Files.list(Path.of("/proc/self/fd"))) {
                files = entries.count();
            }
            long threads = Thread.getAllStackTraces().keySet().stream()
                    .filter(thread -> thread.getName().startsWith("held-"))
                    .count();
            long mappings;
            try (var lines = Files.lines(Path.of("/proc/self/maps"))) {
                mappings = lines.filter(line -> line.contains("kvm")).count();
            }
            return new Held(files, threads, mappings);
        }
    }

    private static void runOne(Hypervisor hypervisor, Board board, FlatImage guest, int vcpus)
            throws InterruptedException {
        try (Machine machine = Machine.builder(hypervisor)
                .name("held")
                .board(board)
                .memory(4 << 20)
                .vcpus(vcpus)
                .kernel(guest)
                .build()) {
            machine.start();
            machine.bus().eventLoop().execute(() -> {});
            machine.awaitExit(Duration.ofSeconds(30));
        }
    }

    @Test
    void machinesOneAfterAnotherLeaveNothingBehind() throws Exception {
        try (var hypervisor = Hypervisor.open()) {
            runOne(hypervisor, Board.PC, Guests.PC_POWER_OFF, 2);
            Held before = Held.now();
            for (int i = 0; i < MACHINES; i++) {
                runOne(hypervisor, Board.PC, Guests.PC_POWER_OFF, 1 + i % 3);
                runOne(hypervisor, Board.MICRO, Guests.HELLO, 1 + i % 2);
            }
            assertThat(Held.now()).isEqualTo(before);
        }
    }

    @Test
    void machinesThatNeverStartedLeaveNothingBehind() throws Exception {
        try (var hypervisor = Hypervisor.open()) {
            Held before = Held.now();
            for (int i = 0; i < MACHINES; i++) {
                Machine.builder(hypervisor)
                        .name("held")
                        .memory(4 << 20)
                        .vcpus(2)
                        .kernel(Guests.PC_POWER_OFF)
                        .build()
                        .close();
            }
            assertThat(Held.now()).isEqualTo(before);
        }
    }
}
