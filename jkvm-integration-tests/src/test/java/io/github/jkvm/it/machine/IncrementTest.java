package io.github.jkvm.it.machine;

import static io.github.jkvm.testkit.asm.Mem.mem;
import static io.github.jkvm.testkit.asm.Reg16.AX;
import static io.github.jkvm.testkit.asm.Reg16.DI;
import static io.github.jkvm.testkit.asm.Reg32.EAX;
import static io.github.jkvm.testkit.asm.Reg32.ECX;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.Hypervisor;
import io.github.jkvm.it.Lane;
import io.github.jkvm.machine.Board;
import io.github.jkvm.machine.Machine;
import io.github.jkvm.machine.MachineSnapshot;
import io.github.jkvm.machine.boot.EntryMode;
import io.github.jkvm.machine.boot.FlatImage;
import io.github.jkvm.testkit.RequiresKvm;
import io.github.jkvm.testkit.asm.Assembler;
import io.github.jkvm.testkit.asm.Label;
import io.github.jkvm.testkit.asm.Mode;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Snapshots of machines that keep only what was written since others. */
@RequiresKvm
@Timeout(120)
class IncrementTest {
    private static final int MEMORY = 64 << 10;
    private static final int COUNT = 0x2000;
    private static final int SPREAD = 0x4000;
    private static final int PAGE = 4096;

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

    /** Counts up, and writes each number to a place from {@link #SPREAD} on that depends on it, so that it writes all pages there. */
    private static FlatImage spreading() {
        var a = new Assembler(Mode.BITS16, Guests.LOAD);
        Label again = a.label("again");
        a.mov(ECX, 0);
        a.bind(again).add(ECX, 1).imul(EAX, ECX, 0x9E37_79B1);
        a.shr(EAX, 17).and(EAX, 0x7FFC).mov(DI, AX);
        a.mov(mem(DI, SPREAD), ECX).mov(mem(COUNT), ECX).jmp(again);
        return FlatImage.of(a.assemble().bytes(), GuestAddress.of(Guests.LOAD), EntryMode.REAL16);
    }

    private static Machine machine(FlatImage guest) {
        return Machine.builder(hypervisor)
                .board(Board.MICRO)
                .memory(MEMORY)
                .kernel(guest)
                .build();
    }

    private static byte[] memory(Machine machine) {
        return machine.memory().read(0, MEMORY);
    }

    private static void awaitCountAbove(Machine machine, int count) {
        while (Integer.compareUnsigned(machine.memory().readInt(COUNT), count) <= 0) {
            Thread.onSpinWait();
        }
    }

    private static void runOn(Machine machine, int steps) {
        int count = machine.memory().readInt(COUNT);
        machine.start();
        machine.resume();
        awaitCountAbove(machine, count + steps);
        machine.pause();
    }

    private static void assertBegins(MachineSnapshot snapshot, byte[] expected) {
        try (Machine clone = Machine.restore(hypervisor, snapshot).build()) {
            assertThat(memory(clone)).isEqualTo(expected);
            int there = clone.memory().readInt(COUNT);
            clone.start();
            awaitCountAbove(clone, there);
        }
    }

    /** Guest and host write; machines go on, or give way to clones; and each snapshot is the memory of its moment, in memory, in folders, and merged. */
    @Test
    void anyNumberOfIncrementsHoldTheWholeMemory() throws Exception {
        for (long seed = 0; seed < Lane.repeats(6); seed++) {
            var random = new Random(seed);
            List<MachineSnapshot> taken = new ArrayList<>();
            List<byte[]> expected = new ArrayList<>();
            Machine machine = machine(spreading());
            try {
                for (int i = 0; i < 6; i++) {
                    runOn(machine, random.nextInt(50));
                    machine.memory().writeLong(MEMORY - 8 - random.nextInt(8) * 8L, random.nextLong());
                    taken.add(i == 0 ? machine.snapshot() : machine.snapshot(taken.getLast()));
                    expected.add(memory(machine));
                    if (random.nextInt(3) == 0) {
                        machine.close();
                        machine = Machine.restore(hypervisor, taken.getLast()).build();
                    }
                }
                List<Path> folders = new ArrayList<>();
                for (int i = 0; i < taken.size(); i++) {
                    assertThat(taken.get(i).depth()).isEqualTo(i);
                    assertBegins(taken.get(i), expected.get(i));
                    folders.add(folder.resolve(seed + "-" + i));
                    if (i == 0) {
                        taken.get(i).save(folders.getLast());
                    } else {
                        taken.get(i).saveIncrement(folders.getLast());
                    }
                    Path[] increments = folders.subList(1, folders.size()).toArray(Path[]::new);
                    Path merged = folder.resolve(seed + "-" + i + "-merged");
                    try (MachineSnapshot opened = MachineSnapshot.open(folders.getFirst(), increments)) {
                        opened.verify();
                        assertThat(opened.id()).isEqualTo(taken.get(i).id());
                        assertBegins(opened, expected.get(i));
                        opened.save(merged);
                    }
                    try (MachineSnapshot opened = MachineSnapshot.open(merged)) {
                        opened.verify();
                        assertThat(opened.depth()).isZero();
                        assertBegins(opened, expected.get(i));
                    }
                }
            } finally {
                machine.close();
                taken.forEach(MachineSnapshot::close);
            }
        }
    }

    @Test
    void anIncrementKeepsOnlyWhatWasWritten() {
        try (Machine machine = Machine.builder(hypervisor)
                .memory(64L << 20)
                .kernel(Guests.COUNT)
                .build()) {
            for (long at = 0x40_0000; at < 0x50_0000; at += PAGE) {
                machine.memory().writeLong(at, at);
            }
            try (MachineSnapshot whole = machine.snapshot();
                    MachineSnapshot first = machine.snapshot(whole)) {
                assertThat(whole.ownMemory()).isGreaterThan(1 << 20);
                runOn(machine, 10);
                machine.memory().writeLong(0x30_0000, 1);
                try (MachineSnapshot second = machine.snapshot(first)) {
                    assertThat(first.ownMemory()).isLessThan(4 * PAGE);
                    assertThat(second.ownMemory()).isBetween(2L * PAGE, 8L * PAGE);
                    assertThat(second.depth()).isEqualTo(2);
                }
            }
        }
    }

    /** Without a record: the host knows which pages a clone has of its own. */
    @Test
    void aClonesFirstIncrementKeepsOnlyWhatItWrote() {
        try (Machine machine = machine(Guests.COUNT);
                MachineSnapshot whole = machine.snapshot();
                Machine clone = Machine.restore(hypervisor, whole).build()) {
            runOn(clone, 10);
            byte[] expected = memory(clone);
            try (MachineSnapshot increment = clone.snapshot(whole)) {
                assertThat(increment.ownMemory()).isBetween((long) PAGE, 3L * PAGE);
                assertBegins(increment, expected);
            }
        }
    }

    @Test
    void incrementsOutliveTheirBases() {
        try (Machine machine = machine(Guests.COUNT)) {
            runOn(machine, 5);
            MachineSnapshot whole = machine.snapshot();
            MachineSnapshot first = machine.snapshot(whole);
            whole.close();
            runOn(machine, 5);
            try (MachineSnapshot second = machine.snapshot(first)) {
                byte[] expected = memory(machine);
                first.close();
                assertBegins(second, expected);
            }
            assertThatIllegalStateException()
                    .isThrownBy(() -> machine.snapshot(first))
                    .withMessageContaining("this snapshot is closed");
        }
    }

    @Test
    void memoryThatOthersMayWriteIsCompared() {
        try (Machine machine = Machine.builder(hypervisor)
                .board(Board.MICRO)
                .memory(MEMORY)
                .sharedMemory()
                .kernel(Guests.COUNT)
                .build()) {
            runOn(machine, 5);
            try (MachineSnapshot whole = machine.snapshot();
                    MachineSnapshot first = machine.snapshot(whole)) {
                // As another process does it, which no record sees.
                machine.memory().region(0, MEMORY).segment().set(ValueLayout.JAVA_BYTE, 0xF000, (byte) 9);
                try (MachineSnapshot second = machine.snapshot(first)) {
                    assertThat(second.ownMemory()).isEqualTo(PAGE);
                    assertBegins(second, memory(machine));
                }
            }
        }
    }

    @Test
    void whatIsNoBaseIsRefused() throws Exception {
        try (Machine machine = machine(Guests.COUNT);
                Machine larger = Machine.builder(hypervisor)
                        .board(Board.MICRO)
                        .memory(2 * MEMORY)
                        .kernel(Guests.COUNT)
                        .build();
                MachineSnapshot whole = machine.snapshot()) {
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> larger.snapshot(whole))
                    .withMessageContaining("the base is of a board MICRO with 65536 bytes");
            assertThatIllegalStateException()
                    .isThrownBy(() -> whole.saveIncrement(folder))
                    .withMessageContaining("save it whole");
        }
    }

    /** More pages apart from each other than are mapped each alone. */
    @Test
    void scatteredPagesAreThereInEachClone() {
        long size = 16L << 20;
        try (Machine machine =
                Machine.builder(hypervisor).memory(size).kernel(Guests.COUNT).build()) {
            for (long at = 0x20_0000; at < size; at += 3 * PAGE) {
                machine.memory().writeLong(at, at);
            }
            try (MachineSnapshot whole = machine.snapshot()) {
                for (long at = 0x20_0000; at < size; at += 5 * PAGE) {
                    machine.memory().writeLong(at + 8, at);
                }
                byte[] expected = machine.memory().read(0, (int) size);
                try (MachineSnapshot increment = machine.snapshot(whole)) {
                    List<Machine> clones = IntStream.range(0, 3)
                            .mapToObj(
                                    _ -> Machine.restore(hypervisor, increment).build())
                            .toList();
                    for (Machine clone : clones) {
                        assertThat(clone.memory().read(0x10_0000, (int) size - 0x10_0000))
                                .isEqualTo(Arrays.copyOfRange(expected, 0x10_0000, (int) size));
                        clone.close();
                    }
                }
            }
        }
    }
}
