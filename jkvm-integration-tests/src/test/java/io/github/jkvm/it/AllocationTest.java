package io.github.jkvm.it;

import static java.util.concurrent.TimeUnit.SECONDS;
import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import io.github.jkvm.Capability;
import io.github.jkvm.Doorbell;
import io.github.jkvm.EventLoop;
import io.github.jkvm.ExitHandler;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.Interrupt;
import io.github.jkvm.InterruptLine;
import io.github.jkvm.MemoryBacking;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.kvm.CoalescedMmioRing;
import io.github.jkvm.kvm.DirtyRing;
import io.github.jkvm.kvm.KvmVm;
import io.github.jkvm.testkit.RequiresKvm;
import io.github.jkvm.x86.X86Vm;
import java.lang.management.ManagementFactory;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongSupplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledIfSystemProperty;

/** What devices do all the time must not make work for the garbage collector. */
@RequiresKvm
@DisabledIfSystemProperty(
        named = "jkvm.lane",
        matches = "nested",
        disabledReason = "in that lane only the first compiler runs, which leaves allocations in")
class AllocationTest {
    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    private static final int PORT = 0x510;
    private static final long MMIO = 0xD000_0000L;

    /** Interpreted code allocates; how soon it is compiled is the JVM's business, and it may take many rounds. */
    private static void roundsBecomeFree(LongSupplier allocatedByRound) {
        long allocated = Long.MAX_VALUE;
        for (int round = 0; round < 500 && allocated > 0; round++) {
            allocated = allocatedByRound.getAsLong();
        }
        assertThat(allocated).as("bytes allocated by a round").isZero();
    }

    private static void becomesFree(Runnable action) {
        Runnable round = () -> {
            for (int i = 0; i < 2_000; i++) {
                action.run();
            }
        };
        roundsBecomeFree(() -> allocatedBy(round));
    }

    private static long allocatedBy(Runnable action) {
        long before = THREADS.getCurrentThreadAllocatedBytes();
        action.run();
        return THREADS.getCurrentThreadAllocatedBytes() - before;
    }

    @Test
    @RequiresKvm({Capability.IRQCHIP, Capability.IRQFD})
    void signallingAnInterruptAllocatesNothing() {
        try (var guest = new BareGuest(X86Vm::createIrqChip, new Code16())) {
            Interrupt interrupt = guest.vm.interrupt(4);
            becomesFree(interrupt::signal);
        }
    }

    @Test
    @RequiresKvm(Capability.IRQCHIP)
    void raisingAndLoweringALineAllocatesNothing() {
        try (var guest = new BareGuest(X86Vm::createIrqChip, new Code16())) {
            InterruptLine line = guest.vm.interruptLine(4);
            becomesFree(line::pulse);
        }
    }

    @Test
    @RequiresKvm(Capability.IOEVENTFD)
    void pollingADoorbellAllocatesNothing() {
        try (var guest = new BareGuest(new Code16())) {
            Doorbell doorbell = guest.vm.doorbell(Doorbell.Match.port(PORT, 1));
            becomesFree(doorbell::poll);
        }
    }

    @Test
    @RequiresKvm(Capability.IOEVENTFD)
    void answeringRingsInALoopAllocatesNothing() {
        var code = new Code16().movDx(PORT);
        int again = code.here();
        code.movEcx(5_000);
        int ring = code.here();
        code.outDxAl().decEcx().jnz(ring).out(BareGuest.REPORT, 1).movDx(PORT).jmp(again);
        try (var guest = new BareGuest(code)) {
            EventLoop loop = guest.vm.createEventLoop(null);
            var allocated = new AtomicLong();
            loop.onRing(
                    guest.vm.doorbell(Doorbell.Match.port(PORT, 1)),
                    () -> allocated.set(THREADS.getCurrentThreadAllocatedBytes()));
            roundsBecomeFree(() -> {
                long before = allocated.get();
                assertThat(guest.report()).isEqualTo(1);
                settle(loop);
                return allocated.get() - before;
            });
            assertThat(allocated).doesNotHaveValue(0);
        }
    }

    private static void settle(EventLoop loop) {
        for (int i = 0; i < 2; i++) {
            var done = new CountDownLatch(1);
            loop.execute(done::countDown);
            try {
                assertThat(done.await(30, SECONDS)).isTrue();
            } catch (InterruptedException e) {
                throw new AssertionError(e);
            }
        }
    }

    @Test
    @RequiresKvm(Capability.COALESCED_MMIO)
    void drainingCoalescedWritesAllocatesNothing() {
        var code = new Code16();
        int again = code.here();
        code.movEcx(150).movEdi((int) MMIO);
        int write = code.here();
        code.storeEax().decEcx().jnz(write).out(BareGuest.REPORT, 1).jmp(again);
        try (var guest = new BareGuest(code)) {
            CoalescedMmioRing ring = guest.kvm().coalescedWrites();
            ring.addMmio(GuestAddress.of(MMIO), 4);
            var handler = new Ignores();
            roundsBecomeFree(() -> {
                assertThat(guest.report()).isEqualTo(1);
                return allocatedBy(() -> ring.drain(handler));
            });
            assertThat(handler.writes).isGreaterThanOrEqualTo(150);
        }
    }

    @Test
    @RequiresKvm(Capability.DIRTY_RING)
    void harvestingADirtyRingAllocatesNothing() {
        var code = new Code16();
        int again = code.here();
        code.movEcx(200).movEdi(0x100_0000);
        int write = code.here();
        code.storeAl().addEdi(4096).decEcx().jnz(write).out(BareGuest.REPORT, 1).jmp(again);
        try (var guest = new BareGuest(vm -> KvmVm.of(vm).enableDirtyRing(4096), code)) {
            MemoryRegion region = guest.vm.addMemory(GuestAddress.of(0x100_0000), MemoryBacking.anonymous(0x10_0000));
            guest.vm.startDirtyTracking(region);
            DirtyRing ring = guest.kvmVCpu().dirtyRing();
            DirtyRing.PageHandler handler = (of, offset) -> of.markDirty(offset, 4096);
            roundsBecomeFree(() -> {
                assertThat(guest.report()).isEqualTo(1);
                long allocated = allocatedBy(() -> ring.harvest(handler));
                guest.kvm().resetDirtyRings();
                return allocated;
            });
            assertThat(region.takeHostDirtyPages().count()).isEqualTo(200);
        }
    }

    /** Takes writes and counts them. */
    private static final class Ignores implements ExitHandler {
        private int writes;

        @Override
        public long portIn(int port, int size) {
            return 0;
        }

        @Override
        public void portOut(int port, int size, long value) {
            writes++;
        }

        @Override
        public long mmioRead(long address, int size) {
            return 0;
        }

        @Override
        public void mmioWrite(long address, int size, long value) {
            writes++;
        }
    }
}
