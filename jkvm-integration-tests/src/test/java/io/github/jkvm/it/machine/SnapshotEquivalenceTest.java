package io.github.jkvm.it.machine;

import static io.github.jkvm.testkit.asm.Mem.mem;
import static io.github.jkvm.testkit.asm.Reg16.DX;
import static io.github.jkvm.testkit.asm.Reg16.SI;
import static io.github.jkvm.testkit.asm.Reg32.EAX;
import static io.github.jkvm.testkit.asm.Reg32.EBP;
import static io.github.jkvm.testkit.asm.Reg32.ECX;
import static io.github.jkvm.testkit.asm.Reg32.EDI;
import static io.github.jkvm.testkit.asm.Reg8.AL;
import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.Hypervisor;
import io.github.jkvm.it.Lane;
import io.github.jkvm.machine.Board;
import io.github.jkvm.machine.Machine;
import io.github.jkvm.machine.MachineBuilder;
import io.github.jkvm.machine.MachineExit.Reason;
import io.github.jkvm.machine.MachineSnapshot;
import io.github.jkvm.machine.boot.EntryMode;
import io.github.jkvm.machine.boot.FlatImage;
import io.github.jkvm.testkit.RequiresKvm;
import io.github.jkvm.testkit.asm.Assembler;
import io.github.jkvm.testkit.asm.Label;
import io.github.jkvm.testkit.asm.Mode;
import io.github.jkvm.x86.Registers;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** A run that a snapshot cuts in two, in one machine or in several, ends as it would have ended. */
@RequiresKvm
@Timeout(120)
class SnapshotEquivalenceTest {
    private static final Duration SOON = Duration.ofSeconds(60);
    private static final int ROUNDS = 40;
    private static final int DATA = 0x4000;
    private static final int WORDS = 64;
    private static final int COM1 = 0x3F8;
    private static final int EXIT = 0x501;

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

    /** Calculates with registers and memory by a random recipe, prints a byte of it each round, and ends with an exit code. */
    private static FlatImage calculation(long seed, int rounds) {
        var random = new Random(seed);
        var a = new Assembler(Mode.BITS16, Guests.LOAD);
        a.mov(EAX, random.nextInt())
                .mov(EDI, random.nextInt())
                .mov(EBP, random.nextInt())
                .mov(ECX, rounds);
        Label again = a.label("again");
        a.bind(again).mov(SI, 0);
        Label words = a.label("words");
        a.bind(words);
        for (int i = 0; i < 12; i++) {
            switch (random.nextInt(7)) {
                case 0 -> a.add(EAX, random.nextInt());
                case 1 -> a.xor(EDI, EAX);
                case 2 -> a.rol(EAX, 1 + random.nextInt(30));
                case 3 -> a.imul(EBP, EDI, random.nextInt() | 1);
                case 4 -> a.add(mem(SI, DATA), EAX);
                case 5 -> a.xor(EBP, mem(SI, DATA));
                default -> a.sub(EDI, EBP);
            }
        }
        a.add(SI, 4).cmp(SI, 4 * WORDS).jne(words);
        a.mov(DX, COM1).mov(EAX, EDI).out(DX, AL).xor(EAX, EBP);
        a.dec(ECX).jnz(again);
        a.mov(DX, EXIT).mov(AL, 7).out(DX, AL).hlt();
        return FlatImage.of(a.assemble().bytes(), GuestAddress.of(Guests.LOAD), EntryMode.REAL16);
    }

    private static MachineBuilder builder(Board board, FlatImage guest) {
        return Machine.builder(hypervisor)
                .board(board)
                .memory(board == Board.PC ? 16L << 20 : 64 << 10)
                .kernel(guest);
    }

    /** What a calculation leaves behind. */
    private record Outcome(Registers registers, List<Byte> memory, List<Byte> output) {
        static Outcome of(Machine machine, byte[]... output) throws InterruptedException {
            assertThat(machine.awaitExit(SOON).reason()).isEqualTo(Reason.EXIT_CODE);
            List<Byte> printed = new ArrayList<>();
            for (byte[] part : output) {
                printed.addAll(list(part));
            }
            return new Outcome(
                    machine.vcpus().getFirst().registers(),
                    list(machine.memory().read(0, 64 << 10)),
                    printed);
        }

        private static List<Byte> list(byte[] bytes) {
            List<Byte> list = new ArrayList<>();
            for (byte b : bytes) {
                list.add(b);
            }
            return list;
        }
    }

    @ParameterizedTest
    @EnumSource(Board.class)
    void runSnapshotRestoreRunEndsLikeARunWithoutASnapshot(Board board) throws Exception {
        for (long seed = 0; seed < Lane.repeats(8); seed++) {
            FlatImage guest = calculation(seed, ROUNDS);
            Outcome whole;
            var all = new Output(0);
            try (Machine machine = builder(board, guest).consoleOutput(all).build()) {
                machine.start();
                machine.awaitExit(SOON);
                whole = Outcome.of(machine, all.toBytes());
            }
            var before = new Output(1 + new Random(seed).nextInt(ROUNDS / 2));
            byte[] printed;
            MachineSnapshot snapshot;
            try (Machine machine = builder(board, guest).consoleOutput(before).build()) {
                machine.start();
                before.await();
                machine.pause();
                printed = before.toBytes();
                snapshot = machine.snapshot();
                machine.resume();
                machine.awaitExit(SOON);
                assertThat(Outcome.of(machine, before.toBytes()))
                        .as("the machine itself goes on, seed %d", seed)
                        .isEqualTo(whole);
            }
            try (snapshot) {
                snapshot.save(folder);
            }
            try (MachineSnapshot opened = MachineSnapshot.open(folder)) {
                opened.verify();
                for (int i = 0; i < 2; i++) {
                    var after = new Output(0);
                    try (Machine clone = Machine.restore(hypervisor, opened)
                            .consoleOutput(after)
                            .build()) {
                        clone.start();
                        clone.awaitExit(SOON);
                        assertThat(Outcome.of(clone, printed, after.toBytes()))
                                .as("clone %d, seed %d", i, seed)
                                .isEqualTo(whole);
                    }
                }
            }
        }
    }
}
