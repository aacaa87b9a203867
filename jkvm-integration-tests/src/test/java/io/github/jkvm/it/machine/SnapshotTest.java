package io.github.jkvm.it.machine;

import static io.github.jkvm.testkit.asm.Mem.bytePtr;
import static io.github.jkvm.testkit.asm.Mem.dwordPtr;
import static io.github.jkvm.testkit.asm.Mem.mem;
import static io.github.jkvm.testkit.asm.Reg16.BX;
import static io.github.jkvm.testkit.asm.Reg32.EAX;
import static io.github.jkvm.testkit.asm.Reg32.EBX;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.Bus;
import io.github.jkvm.Device;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.Hypervisor;
import io.github.jkvm.it.Lane;
import io.github.jkvm.machine.BadSnapshotException;
import io.github.jkvm.machine.Board;
import io.github.jkvm.machine.Machine;
import io.github.jkvm.machine.MachineBuilder;
import io.github.jkvm.machine.MachineExit.Reason;
import io.github.jkvm.machine.MachineSnapshot;
import io.github.jkvm.machine.boot.EntryMode;
import io.github.jkvm.machine.boot.FlatImage;
import io.github.jkvm.machine.device.DebugConsole;
import io.github.jkvm.testkit.RequiresKvm;
import io.github.jkvm.testkit.asm.Assembler;
import io.github.jkvm.testkit.asm.Label;
import io.github.jkvm.testkit.asm.Mode;
import java.io.ByteArrayOutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Machines that go on from where others were. */
@RequiresKvm
@Timeout(120)
class SnapshotTest {
    private static final Duration SOON = Duration.ofSeconds(60);
    private static final int CLONES = Lane.repeats(50);

    private static Hypervisor hypervisor;

    @TempDir
    private Path folder;

    @BeforeAll
    static void open() {
        hypervisor = Hypervisor.open();
    }

    @AfterAll
    static void close() {
        hypervisor.close();
    }

    private static MachineBuilder builder(Board board, FlatImage guest) {
        return Machine.builder(hypervisor)
                .board(board)
                .memory(board == Board.PC ? 16L << 20 : 64 << 10)
                .kernel(guest);
    }

    /** Counts up the double word at {@link Guests#RESULT} for ever. */
    private static Machine counting() {
        Machine machine = builder(Board.MICRO, Guests.COUNT).build();
        machine.start();
        awaitCountAbove(machine, 0);
        return machine;
    }

    private static int count(Machine machine) {
        return machine.memory().readInt(Guests.RESULT);
    }

    private static void awaitCountAbove(Machine machine, int count) {
        while (Integer.compareUnsigned(count(machine), count) <= 0) {
            Thread.onSpinWait();
        }
    }

    @Test
    void clonesBeginAlikeAndGoOnApart() throws Exception {
        try (Machine origin = counting();
                MachineSnapshot snapshot = origin.snapshot()) {
            int there = snapshotCount(snapshot);
            List<Machine> clones = new ArrayList<>();
            try {
                for (int i = 0; i < CLONES; i++) {
                    clones.add(Machine.restore(hypervisor, snapshot).build());
                }
                assertThat(clones).allSatisfy(clone -> assertThat(count(clone)).isEqualTo(there));
                clones.subList(1, CLONES).forEach(Machine::start);
                clones.subList(1, CLONES).forEach(clone -> awaitCountAbove(clone, there));
                assertThat(count(clones.getFirst())).isEqualTo(there);
                clones.getFirst().start();
                awaitCountAbove(clones.getFirst(), there);
                assertThat(snapshotCount(snapshot)).isEqualTo(there);
            } finally {
                clones.forEach(Machine::close);
            }
            awaitCountAbove(origin, there);
        }
    }

    private static int snapshotCount(MachineSnapshot snapshot) {
        try (Machine clone = Machine.restore(hypervisor, snapshot).build()) {
            return count(clone);
        }
    }

    @Test
    void clonesOutliveTheSnapshotAndCanBeSnapshotsThemselves() throws Exception {
        Machine clone;
        try (Machine origin = counting();
                MachineSnapshot snapshot = origin.snapshot()) {
            clone = Machine.restore(hypervisor, snapshot).build();
        }
        try (clone) {
            int there = count(clone);
            clone.start();
            awaitCountAbove(clone, there);
            try (MachineSnapshot second = clone.snapshot();
                    Machine grandchild = Machine.restore(hypervisor, second).build()) {
                int later = count(grandchild);
                assertThat(later).isGreaterThan(there);
                grandchild.start();
                awaitCountAbove(grandchild, later);
            }
        }
    }

    @Test
    void aMachineThatWasNotStartedCanBeASnapshot() throws Exception {
        var output = new Output(2);
        try (Machine template = builder(Board.MICRO, Guests.HELLO).build();
                MachineSnapshot snapshot = template.snapshot();
                Machine clone = Machine.restore(hypervisor, snapshot)
                        .consoleOutput(output)
                        .build()) {
            clone.start();
            assertThat(clone.awaitExit(SOON).exitCode()).hasValue(7);
            assertThat(output.toBytes()).asString().isEqualTo("Hi");
            assertThatThrownBy(clone::kernel)
                    .isInstanceOf(UnsupportedOperationException.class)
                    .hasMessageContaining("goes on from a snapshot");
        }
    }

    @Test
    void aPausedMachineStaysPaused() throws Exception {
        try (Machine machine = counting()) {
            machine.pause();
            int there = count(machine);
            machine.snapshot().close();
            assertThat(machine.isPaused()).isTrue();
            assertThat(count(machine)).isEqualTo(there);
            machine.resume();
            awaitCountAbove(machine, there);
        }
    }

    /** All but one vCPU halt where nothing wakes them. */
    @Test
    void vcpusThatHaveHaltedStayHalted() throws Exception {
        var a = new Assembler(Mode.BITS16, Guests.LOAD);
        Label count = a.label("count");
        a.mov(EAX, 1)
                .cpuid()
                .shr(EBX, 24)
                .mov(bytePtr(mem(BX, Guests.RESULT)), 1)
                .cmp(EBX, 0)
                .je(count)
                .hlt();
        a.bind(count).inc(dwordPtr(mem(Guests.RESULT + 16))).jmp(count);
        FlatImage guest = FlatImage.of(a.assemble().bytes(), GuestAddress.of(Guests.LOAD), EntryMode.REAL16);
        try (Machine machine = builder(Board.MICRO, guest).vcpus(3).build()) {
            machine.start();
            while (machine.memory().readInt(Guests.RESULT) != 0x01_01_01
                    || machine.memory().readInt(Guests.RESULT + 16) == 0) {
                Thread.onSpinWait();
            }
            try (MachineSnapshot snapshot = machine.snapshot();
                    Machine clone = Machine.restore(hypervisor, snapshot).build()) {
                assertThat(snapshot.vcpus()).isEqualTo(3);
                int there = clone.memory().readInt(Guests.RESULT + 16);
                clone.memory().writeInt(Guests.RESULT, 0);
                clone.start();
                while (clone.memory().readInt(Guests.RESULT + 16) == there) {
                    Thread.onSpinWait();
                }
                assertThat(clone.memory().readInt(Guests.RESULT)).isZero();
            }
        }
    }

    @Test
    void devicesAreGivenByName() throws Exception {
        var before = new ByteArrayOutputStream();
        try (Machine machine = builder(Board.MICRO, Guests.COUNT)
                        .device(new DebugConsole(before))
                        .build();
                MachineSnapshot snapshot = machine.snapshot()) {
            assertThat(snapshot.devices()).containsExactly("debug-console");
            assertThatIllegalStateException()
                    .isThrownBy(() -> Machine.restore(hypervisor, snapshot).build())
                    .withMessageContaining("[debug-console] were not given");
            var builder = Machine.restore(hypervisor, snapshot).device(new DebugConsole(before));
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> builder.device(new DebugConsole(before)))
                    .withMessageContaining("given before");
            builder.build().close();
        }
        try (Machine machine = builder(Board.MICRO, Guests.COUNT).build();
                MachineSnapshot snapshot = machine.snapshot()) {
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> Machine.restore(hypervisor, snapshot).device(new DebugConsole(before)))
                    .withMessageContaining("the snapshot has no device 'debug-console'");
        }
    }

    @Test
    void whatHasEndedOrIsClosedIsRefused() throws Exception {
        Machine machine = builder(Board.MICRO, Guests.HELLO).build();
        try (machine) {
            machine.start();
            machine.awaitExit(SOON);
            assertThatIllegalStateException()
                    .isThrownBy(machine::snapshot)
                    .withMessageContaining("the machine has ended");
        }
        assertThatIllegalStateException().isThrownBy(machine::snapshot).withMessageContaining("is closed");
        try (Machine other = counting()) {
            MachineSnapshot snapshot = other.snapshot();
            snapshot.close();
            snapshot.close();
            assertThatIllegalStateException().isThrownBy(() -> snapshot.save(folder));
            assertThatIllegalStateException()
                    .isThrownBy(() -> Machine.restore(hypervisor, snapshot).build())
                    .withMessageContaining("this snapshot is closed");
        }
    }

    @Test
    void damageIsFoundBeforeAMachineIsMade() throws Exception {
        try (Machine machine = counting();
                MachineSnapshot snapshot = machine.snapshot()) {
            snapshot.save(folder);
        }
        Path index = folder.resolve("snapshot");
        byte[] bytes = Files.readAllBytes(index);
        bytes[bytes.length / 2] ^= 1;
        Files.write(index, bytes);
        assertThatThrownBy(() -> MachineSnapshot.open(folder)).isInstanceOf(BadSnapshotException.class);
    }

    /** A device that fails to go on after a snapshot. */
    private static final class Stubborn implements Device {
        private final String name;
        private final AtomicInteger resumed = new AtomicInteger();

        Stubborn(String name) {
            this.name = name;
        }

        @Override
        public String name() {
            return name;
        }

        @Override
        public void attach(Bus bus) {}

        @Override
        public void resume() {
            resumed.incrementAndGet();
            throw new IllegalStateException(name + " does not go on");
        }

        @Override
        public void close() {}
    }

    @Test
    void aDeviceThatDoesNotGoOnHoldsNoOtherUp() {
        var first = new Stubborn("first");
        var second = new Stubborn("second");
        try (Machine machine =
                builder(Board.MICRO, Guests.COUNT).device(first).device(second).build()) {
            machine.start();
            assertThatIllegalStateException()
                    .isThrownBy(machine::snapshot)
                    .withMessageContaining("not all devices go on")
                    .satisfies(failure -> {
                        assertThat(failure).hasRootCauseMessage("first does not go on");
                        assertThat(failure.getSuppressed())
                                .singleElement()
                                .satisfies(other -> assertThat(other).hasMessage("second does not go on"));
                    });
            assertThat(first.resumed).hasValue(1);
            assertThat(second.resumed).hasValue(1);
            awaitCountAbove(machine, count(machine));
        }
    }

    /** Both may end first; neither may hang or crash. */
    @Test
    void closingWhileASnapshotIsTakenIsSafe() throws Exception {
        for (int i = 0; i < Lane.repeats(30); i++) {
            Machine machine = counting();
            Thread closer = Thread.ofPlatform().start(machine::close);
            try {
                machine.snapshot().close();
            } catch (IllegalStateException closedFirst) {
                assertThat(closedFirst).hasMessageMatching(".*(closed|has ended).*");
            }
            closer.join();
        }
    }

    @Test
    void theDevicesThreadTakesNoSnapshotAndMayCloseTheMachine() throws Exception {
        try (Machine machine = counting()) {
            var refusal = new CompletableFuture<Throwable>();
            machine.bus().eventLoop().execute(() -> {
                try {
                    machine.snapshot().close();
                    refusal.complete(new AssertionError("taken"));
                } catch (Throwable refused) {
                    refusal.complete(refused);
                }
            });
            assertThat(refusal.get(60, TimeUnit.SECONDS))
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("devices' thread");
            machine.snapshot().close();
            machine.bus().eventLoop().execute(machine::close);
            assertThat(machine.awaitExit().reason()).isEqualTo(Reason.STOPPED);
        }
    }
}
