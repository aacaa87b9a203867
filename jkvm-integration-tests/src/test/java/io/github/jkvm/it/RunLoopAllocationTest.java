package io.github.jkvm.it;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import com.sun.management.ThreadMXBean;
import io.github.jkvm.VmExit;
import io.github.jkvm.testkit.RequiresKvm;
import java.lang.management.ManagementFactory;
import org.junit.jupiter.api.Test;

@RequiresKvm
class RunLoopAllocationTest {
    /** Interrupts the vCPU after a number of exits. */
    private static final class Stopping extends CountingHandler {
        private final RealModeGuest guest;
        private long last;

        Stopping(RealModeGuest guest) {
            this.guest = guest;
        }

        void stopAfter(long exits) {
            last = count + exits;
        }

        @Override
        public void portOut(int port, int size, long value) {
            super.portOut(port, size, value);
            if (count >= last) {
                guest.vcpu.interrupt();
            }
        }
    }

    @Test
    void servingAnExitAllocatesNothing() {
        assumeFalse(
                Lane.isEmulated(),
                "this lane runs without the second compiler, which takes away 40 bytes that the JDK makes for each call");
        int exits = 20_000;
        var threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        try (var guest = new RealModeGuest(
                0xB8, 0x00, 0x20, // mov ax, 0x2000
                0x8E, 0xD8, // mov ds, ax: DS begins at 0x20000
                0xE4, 0x11, // in al, 0x11
                0xA0, 0x04, 0x00, // mov al, [4]
                0xA3, 0x08, 0x00, // mov [8], ax
                0xE6, 0x10, // out 0x10, al
                0xEB, 0xF4)) { // jmp to the in
            var handler = new Stopping(guest);
            // The interpreter's and the compilers' own needs come first.
            handler.stopAfter(2L * exits);
            assertThat(guest.vcpu.run(handler)).isInstanceOf(VmExit.Interrupted.class);
            handler.stopAfter(exits);
            long before = threads.getCurrentThreadAllocatedBytes();
            VmExit exit = guest.vcpu.run(handler);
            long allocated = threads.getCurrentThreadAllocatedBytes() - before;
            assertThat(exit).isInstanceOf(VmExit.Interrupted.class);
            // What the run itself needs, once; an object for each exit would take 16 bytes and more of each.
            assertThat(allocated).isLessThan(exits);
        }
    }
}
