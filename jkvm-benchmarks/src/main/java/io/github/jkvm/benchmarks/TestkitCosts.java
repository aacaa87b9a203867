package io.github.jkvm.benchmarks;

import io.github.jkvm.testkit.GuestStop;
import io.github.jkvm.testkit.MicroGuest;
import io.github.jkvm.testkit.Port;
import io.github.jkvm.testkit.asm.Assembler;
import io.github.jkvm.testkit.asm.Mode;
import io.github.jkvm.testkit.asm.Reg8;

/**
 * What a fresh guest costs a test: made with 2 MiB in long mode, loaded, run until it halts, its output looked at, closed. Beside the C program's
 * smallest VM, which has neither page tables nor CPUID.
 */
final class TestkitCosts {
    private static final int COUNT = 5;
    private static final int WARM_UP = 5_000;

    private static final byte[] CODE = new Assembler(Mode.BITS64, MicroGuest.CODE)
            .mov(Reg8.AL, '!')
            .out(0xE9, Reg8.AL)
            .hlt()
            .assemble()
            .bytes();

    void print(Peer peer) {
        new Comparison("testkit.fresh-guest", COUNT, WARM_UP)
                .print(TestkitCosts::run, count -> peer.measure("lifecycle", RealModeGuest.WRITES_ONCE, count));
    }

    private static long run(int count) {
        long start = System.nanoTime();
        for (int i = 0; i < count; i++) {
            try (MicroGuest guest = MicroGuest.builder().build()) {
                guest.load(CODE);
                GuestStop stop = guest.run();
                if (!(stop instanceof GuestStop.Halted)
                        || !guest.text(Port.DEBUG).equals("!")) {
                    throw new IllegalStateException(guest.report());
                }
            }
        }
        return System.nanoTime() - start;
    }
}
