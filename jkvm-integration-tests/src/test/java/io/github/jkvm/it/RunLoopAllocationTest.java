package io.github.jkvm.it;

import static io.github.jkvm.testkit.GuestAssertions.assertThat;
import static io.github.jkvm.testkit.asm.Mem.mem;
import static io.github.jkvm.testkit.asm.Reg16.AX;
import static io.github.jkvm.testkit.asm.Reg8.AL;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import com.sun.management.ThreadMXBean;
import io.github.jkvm.ExitHandler;
import io.github.jkvm.VCpu;
import io.github.jkvm.VmExit;
import io.github.jkvm.machine.boot.EntryMode;
import io.github.jkvm.testkit.MicroGuest;
import io.github.jkvm.testkit.RequiresKvm;
import io.github.jkvm.testkit.asm.Label;
import java.lang.management.ManagementFactory;
import org.junit.jupiter.api.Test;

@RequiresKvm
class RunLoopAllocationTest {
    /** Interrupts the vCPU after a number of exits; answers zeroes. */
    private static final class Stopping implements ExitHandler {
        private final VCpu vcpu;
        private long count;
        private long last;

        Stopping(VCpu vcpu) {
            this.vcpu = vcpu;
        }

        void stopAfter(long exits) {
            last = count + exits;
        }

        @Override
        public long portIn(int port, int size) {
            count++;
            return 0;
        }

        @Override
        public void portOut(int port, int size, long value) {
            count++;
            if (count >= last) {
                vcpu.interrupt();
            }
        }

        @Override
        public long mmioRead(long address, int size) {
            count++;
            return 0;
        }

        @Override
        public void mmioWrite(long address, int size, long value) {
            count++;
        }
    }

    private static final long MMIO = 0xD000_0000L;

    @Test
    void servingAnExitAllocatesNothing() {
        assumeFalse(
                Lane.isEmulated(),
                "this lane runs without the second compiler, which takes away 40 bytes that the JDK makes for each call");
        int exits = 20_000;
        var threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        try (MicroGuest guest = MicroGuest.builder().mode(EntryMode.PROTECTED32).build(code -> {
            Label again = code.here("again");
            code.in(AL, 0x11)
                    .mov(AL, mem(MMIO + 4))
                    .mov(mem(MMIO + 8), AX)
                    .out(0x10, AL)
                    .jmp(again);
        })) {
            var handler = new Stopping(guest.vcpu());
            // The interpreter's and the compilers' own needs come first.
            handler.stopAfter(2L * exits);
            assertThat(guest.vcpu().run(handler)).isInstanceOf(VmExit.Interrupted.class);
            handler.stopAfter(exits);
            long before = threads.getCurrentThreadAllocatedBytes();
            VmExit exit = guest.vcpu().run(handler);
            long allocated = threads.getCurrentThreadAllocatedBytes() - before;
            assertThat(exit).isInstanceOf(VmExit.Interrupted.class);
            // What the run itself needs, once; an object for each exit would take 16 bytes and more of each.
            assertThat(allocated).isLessThan(exits);
        }
    }
}
