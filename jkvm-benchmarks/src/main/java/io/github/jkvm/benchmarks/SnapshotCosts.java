package io.github.jkvm.benchmarks;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.Hypervisor;
import io.github.jkvm.machine.Machine;
import io.github.jkvm.machine.MachineSnapshot;
import io.github.jkvm.machine.boot.EntryMode;
import io.github.jkvm.machine.boot.FlatImage;
import io.github.jkvm.testkit.asm.Assembler;
import io.github.jkvm.testkit.asm.Label;
import io.github.jkvm.testkit.asm.Mode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.function.Supplier;

/** What it takes to restore a machine from a snapshot, beside making one; what memory a clone adds; and what an increment saves. */
final class SnapshotCosts {
    private static final int COUNT = 2;
    private static final int WARM_UP = 200;
    private static final int CLONES = 50;
    private static final int TURNS = 51;
    private static final int WRITTEN_PAGES = 1000;
    private static final long FIRST_PAGE = 0x20_0000;
    private static final long PAGE = 4096;
    private static final long SMALL = 128L << 20;
    private static final long LARGE = 4L << 30;

    private final Hypervisor hypervisor;

    SnapshotCosts(Hypervisor hypervisor) {
        this.hypervisor = hypervisor;
    }

    void print() throws IOException {
        compare("snapshots.restore-128m", SMALL);
        compare("snapshots.restore-4g", LARGE);
        clones();
        increments();
    }

    private void compare(String figure, long memory) {
        try (MachineSnapshot snapshot = used(memory)) {
            new Comparison(figure, COUNT, WARM_UP)
                    .print(
                            count -> time(
                                    count,
                                    () -> Machine.restore(hypervisor, snapshot).build()),
                            "create",
                            count -> time(count, () -> create(memory)));
        }
    }

    /** Closing is not part of it: both are closed alike. */
    private static long time(int count, Supplier<Machine> maker) {
        long nanos = 0;
        for (int i = 0; i < count; i++) {
            long start = System.nanoTime();
            Machine machine = maker.get();
            nanos += System.nanoTime() - start;
            machine.close();
        }
        return nanos;
    }

    private Machine create(long memory) {
        var code = new Assembler(Mode.BITS32, 0x10_0000);
        Label forever = code.label("forever");
        code.bind(forever).hlt().jmp(forever);
        return Machine.builder(hypervisor)
                .memory(memory)
                .kernel(FlatImage.of(code.assemble().bytes(), GuestAddress.of(0x10_0000), EntryMode.PROTECTED32))
                .build();
    }

    /** A snapshot of a guest that has something in a quarter of the first 128 MiB. */
    private MachineSnapshot used(long memory) {
        try (Machine machine = create(memory)) {
            fill(machine);
            return machine.snapshot();
        }
    }

    private static void fill(Machine machine) {
        for (long page = FIRST_PAGE; page < SMALL; page += 4 * PAGE) {
            machine.memory().writeLong(page, page);
        }
    }

    /** A whole snapshot of a large guest, and an increment upon it of pages that lie apart; and restoring either. */
    private void increments() throws IOException {
        try (Machine machine = create(LARGE)) {
            fill(machine);
            long[] whole = new long[TURNS];
            long[] increment = new long[TURNS];
            MachineSnapshot base = machine.snapshot();
            MachineSnapshot last = machine.snapshot(base);
            for (int turn = 0; turn < TURNS; turn++) {
                base.close();
                last.close();
                long start = System.nanoTime();
                base = machine.snapshot();
                whole[turn] = System.nanoTime() - start;
                for (int i = 0; i < WRITTEN_PAGES; i++) {
                    machine.memory().writeLong(FIRST_PAGE + i * 7L * PAGE, turn);
                }
                start = System.nanoTime();
                last = machine.snapshot(base);
                increment[turn] = System.nanoTime() - start;
            }
            try (MachineSnapshot lower = base;
                    MachineSnapshot upper = last) {
                print("whole", whole, lower);
                print("increment", increment, upper);
                new Comparison("snapshots.restore-increment", COUNT, WARM_UP)
                        .print(
                                count -> time(
                                        count,
                                        () -> Machine.restore(hypervisor, upper).build()),
                                "whole",
                                count -> time(
                                        count,
                                        () -> Machine.restore(hypervisor, lower).build()));
            }
        }
    }

    private static void print(String kind, long[] nanos, MachineSnapshot snapshot) {
        Arrays.sort(nanos);
        System.out.printf(
                Locale.ROOT,
                "snapshots.%s %.2f ms, keeps %d KiB of %d MiB%n",
                kind,
                nanos[nanos.length / 2] / 1e6,
                snapshot.ownMemory() >> 10,
                snapshot.memory() >> 20);
    }

    private void clones() throws IOException {
        List<Machine> clones = new ArrayList<>();
        try (MachineSnapshot snapshot = used(SMALL)) {
            System.gc();
            long before = privateMemory();
            long start = System.nanoTime();
            for (int i = 0; i < CLONES; i++) {
                Machine clone = Machine.restore(hypervisor, snapshot).build();
                clones.add(clone);
                clone.start();
            }
            double seconds = (System.nanoTime() - start) / 1e9;
            clones.forEach(Machine::pause);
            System.gc();
            long after = privateMemory();
            System.out.printf(Locale.ROOT, "snapshots.clones %.0f clones/s%n", CLONES / seconds);
            System.out.printf(
                    Locale.ROOT,
                    "snapshots.clone-memory %d KiB/clone, of %d MiB%n",
                    (after - before) / CLONES,
                    SMALL >> 20);
        } finally {
            clones.forEach(Machine::close);
        }
    }

    /** KiB of this process that no other has and no file (proc(5), smaps_rollup). */
    private static long privateMemory() throws IOException {
        return Files.readAllLines(Path.of("/proc/self/smaps_rollup")).stream()
                .filter(line -> line.startsWith("Private_Dirty:"))
                .mapToLong(line -> Long.parseLong(line.replaceAll("[^0-9]", "")))
                .sum();
    }
}
