package io.github.jkvm.it;

import static io.github.jkvm.testkit.GuestAssertions.assertThat;
import static io.github.jkvm.testkit.MicroGuest.REPORT_PORT;
import static io.github.jkvm.testkit.asm.Mem.mem;
import static io.github.jkvm.testkit.asm.Reg16.DX;
import static io.github.jkvm.testkit.asm.Reg32.EAX;
import static io.github.jkvm.testkit.asm.Reg32.ECX;
import static io.github.jkvm.testkit.asm.Reg32.EDI;
import static io.github.jkvm.testkit.asm.Reg8.AL;
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
import io.github.jkvm.kvm.KvmVCpu;
import io.github.jkvm.kvm.KvmVm;
import io.github.jkvm.machine.boot.EntryMode;
import io.github.jkvm.testkit.MicroGuest;
import io.github.jkvm.testkit.RequiresKvm;
import io.github.jkvm.testkit.asm.Assembler;
import io.github.jkvm.testkit.asm.Label;
import io.github.jkvm.x86.X86Vm;
import java.lang.management.ManagementFactory;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
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

    private static MicroGuest guest(Consumer<X86Vm> prepare, Consumer<Assembler> program) {
        return MicroGuest.builder().mode(EntryMode.PROTECTED32).prepare(prepare).build(program);
    }

    private static MicroGuest withIrqChip() {
        return MicroGuest.builder().prepare(X86Vm::createIrqChip).build();
    }

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
        try (MicroGuest guest = withIrqChip()) {
            Interrupt interrupt = guest.vm().interrupt(4);
            becomesFree(interrupt::signal);
        }
    }

    @Test
    @RequiresKvm(Capability.IRQCHIP)
    void raisingAndLoweringALineAllocatesNothing() {
        try (MicroGuest guest = withIrqChip()) {
            InterruptLine line = guest.vm().interruptLine(4);
            becomesFree(line::pulse);
        }
    }

    @Test
    @RequiresKvm(Capability.IOEVENTFD)
    void pollingADoorbellAllocatesNothing() {
        try (MicroGuest guest = MicroGuest.builder().build()) {
            Doorbell doorbell = guest.vm().doorbell(Doorbell.Match.port(PORT, 1));
            becomesFree(doorbell::poll);
        }
    }

    @Test
    @RequiresKvm(Capability.IOEVENTFD)
    void answeringRingsInALoopAllocatesNothing() {
        Consumer<Assembler> program = code -> {
            code.mov(AL, 1).mov(DX, PORT);
            Label again = code.here("again");
            code.mov(ECX, 5_000);
            Label ring = code.here("ring");
            code.out(DX, AL).dec(ECX).jnz(ring).out(REPORT_PORT, AL).jmp(again);
        };
        try (MicroGuest guest = guest(vm -> {}, program)) {
            EventLoop loop = guest.vm().createEventLoop(null);
            var allocated = new AtomicLong();
            loop.onRing(
                    guest.vm().doorbell(Doorbell.Match.port(PORT, 1)),
                    () -> allocated.set(THREADS.getCurrentThreadAllocatedBytes()));
            roundsBecomeFree(() -> {
                long before = allocated.get();
                assertThat(guest).reports(1);
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
        Consumer<Assembler> program = code -> {
            code.mov(AL, 1);
            Label again = code.here("again");
            code.mov(ECX, 150);
            Label write = code.here("write");
            code.mov(mem(MMIO), EAX).dec(ECX).jnz(write).out(REPORT_PORT, AL).jmp(again);
        };
        try (MicroGuest guest = guest(vm -> {}, program)) {
            CoalescedMmioRing ring = KvmVm.of(guest.vm()).coalescedWrites();
            ring.addMmio(GuestAddress.of(MMIO), 4);
            var handler = new Ignores();
            roundsBecomeFree(() -> {
                assertThat(guest).reports(1);
                return allocatedBy(() -> ring.drain(handler));
            });
            assertThat(handler.writes).isGreaterThanOrEqualTo(150);
        }
    }

    @Test
    @RequiresKvm(Capability.DIRTY_RING)
    void harvestingADirtyRingAllocatesNothing() {
        Consumer<Assembler> program = code -> {
            code.mov(AL, 1);
            Label again = code.here("again");
            code.mov(ECX, 200).mov(EDI, 0x100_0000);
            Label write = code.here("write");
            code.mov(mem(EDI), AL)
                    .add(EDI, 4096)
                    .dec(ECX)
                    .jnz(write)
                    .out(REPORT_PORT, AL)
                    .jmp(again);
        };
        try (MicroGuest guest = guest(vm -> KvmVm.of(vm).enableDirtyRing(4096), program)) {
            MemoryRegion region = guest.vm().addMemory(GuestAddress.of(0x100_0000), MemoryBacking.anonymous(0x10_0000));
            guest.vm().startDirtyTracking(region);
            DirtyRing ring = KvmVCpu.of(guest.vcpu()).dirtyRing();
            DirtyRing.PageHandler handler = (of, offset) -> of.markDirty(offset, 4096);
            roundsBecomeFree(() -> {
                assertThat(guest).reports(1);
                long allocated = allocatedBy(() -> ring.harvest(handler));
                KvmVm.of(guest.vm()).resetDirtyRings();
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
