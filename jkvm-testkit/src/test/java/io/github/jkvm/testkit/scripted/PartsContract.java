package io.github.jkvm.testkit.scripted;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jkvm.Bytes;
import io.github.jkvm.Capability;
import io.github.jkvm.Doorbell;
import io.github.jkvm.EventLoop;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.Hypervisor;
import io.github.jkvm.HypervisorException;
import io.github.jkvm.InterruptLine;
import io.github.jkvm.InterruptRoute;
import io.github.jkvm.MemoryBacking;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.Vm;
import io.github.jkvm.VmExit;
import io.github.jkvm.x86.MpState;
import io.github.jkvm.x86.SpecialRegisters;
import io.github.jkvm.x86.X86Vm;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The parts of a VM beside its vCPUs: memory, doorbells, event loops, interrupts. */
public interface PartsContract extends HypervisorContract {
    /** How long a thread may take to do what it must do at once. */
    long LONG_SECONDS = 60;

    @Test
    default void memoryIsTheGuestsUntilItIsRemoved() {
        try (var guest = start(PairedGuest.STORE_ELSEWHERE)) {
            guest.vm.addMemory(GuestAddress.of(PairedGuest.ELSEWHERE), MemoryBacking.anonymous(4096));
            assertThat(guest.report()).isEqualTo(0x42);
            assertThat(guest.vm.memory().readByte(PairedGuest.ELSEWHERE)).isEqualTo((byte) 0x42);
        }
        try (var guest = start(PairedGuest.STORE_ELSEWHERE)) {
            MemoryRegion region =
                    guest.vm.addMemory(GuestAddress.of(PairedGuest.ELSEWHERE), MemoryBacking.anonymous(4096));
            guest.vm.removeMemory(region);
            assertThat(guest.run())
                    .isEqualTo(new VmExit.MmioWrite(GuestAddress.of(PairedGuest.ELSEWHERE), Bytes.copyOf((byte) 0x42)));
            assertThatThrownBy(() -> region.segment().fill((byte) 0)).isInstanceOf(IllegalStateException.class);
        }
    }

    @Test
    default void storesToReadOnlyMemoryLeaveTheGuest() {
        try (var guest = start(PairedGuest.STORE_ELSEWHERE)) {
            assumeTrue(guest.vm.supports(Capability.READONLY_MEMORY), "no memory that a guest can only read");
            guest.vm.addMemory(
                    GuestAddress.of(PairedGuest.ELSEWHERE),
                    MemoryBacking.anonymous(4096),
                    MemoryRegion.Access.READ_ONLY);
            guest.vm.memory().writeByte(PairedGuest.ELSEWHERE, (byte) 0x17);
            assertThat(guest.run()).isInstanceOf(VmExit.MmioWrite.class);
            assertThat(guest.report()).isEqualTo(0x17);
        }
    }

    @Test
    default void dirtyPagesAreThoseOfTheGuestAndTheHost() {
        try (var guest = start(PairedGuest.STORE_ELSEWHERE)) {
            MemoryRegion region =
                    guest.vm.addMemory(GuestAddress.of(PairedGuest.ELSEWHERE), MemoryBacking.anonymous(0x8000));
            assertThatThrownBy(() -> guest.vm.takeDirtyPages(region))
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("dirty tracking is off for " + region);
            guest.vm.startDirtyTracking(region);
            guest.vm.startDirtyTracking(region);
            assertThat(guest.report()).isEqualTo(0x42);
            guest.vm.memory().writeInt(PairedGuest.ELSEWHERE + 0x3000, 1);
            assertThat(guest.vm.takeDirtyPages(region).offsets()).containsExactly(0L, 0x3000L);
            assertThat(guest.vm.takeDirtyPages(region).isEmpty()).isTrue();
            guest.vm.stopDirtyTracking(region);
            guest.vm.stopDirtyTracking(region);
        }
    }

    @Test
    default void memoryThatOverlapsOrIsNotAlignedIsRefused() {
        try (Hypervisor hypervisor = open(PairedGuest.HALT);
                Vm vm = hypervisor.createVm()) {
            vm.addMemory(GuestAddress.of(0x10000), MemoryBacking.anonymous(0x10000));
            assertThatThrownBy(() -> vm.addMemory(GuestAddress.of(0x1F000), MemoryBacking.anonymous(0x2000)))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("overlaps memory 0x10000..0x1ffff");
            assertThatThrownBy(() -> vm.addMemory(GuestAddress.of(0x800), MemoryBacking.anonymous(0x1000)))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessage("memory guest-physical address 0x800 must be a multiple of the page size 4096");
            assertThatThrownBy(() -> vm.addMemory(GuestAddress.ZERO, MemoryBacking.anonymous(100)))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessage("memory size 100 must be a multiple of the page size 4096");
            assertThatThrownBy(() -> vm.addMemory(GuestAddress.of(-0x1000), MemoryBacking.anonymous(0x2000)))
                    .isInstanceOf(IllegalArgumentException.class);
            assertThatThrownBy(() -> vm.addMemory(GuestAddress.of(1L << 32), MemoryBacking.anonymous(1L << 50)))
                    .isInstanceOf(HypervisorException.class)
                    .hasMessageContaining("1125899906842624");
            assertThat(vm.memory().regions()).hasSize(1);
        }
    }

    @Test
    default void memoryOfAnotherVmIsRefused() {
        try (Hypervisor hypervisor = open(PairedGuest.HALT);
                Vm vm = hypervisor.createVm();
                Vm other = hypervisor.createVm()) {
            MemoryRegion region = vm.addMemory(GuestAddress.ZERO, MemoryBacking.anonymous(4096));
            assertThatThrownBy(() -> other.removeMemory(region))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("is not memory of this VM, or was removed");
            vm.removeMemory(region);
            assertThatThrownBy(() -> vm.removeMemory(region)).isInstanceOf(IllegalArgumentException.class);
            assertThatThrownBy(() -> vm.memory().readByte(0)).hasMessageContaining("there is no memory");
        }
    }

    @Test
    default void filesAreWrittenThroughOrCopied(@TempDir Path folder) throws IOException {
        Path file = folder.resolve("memory");
        Files.write(file, new byte[0x3000]);
        try (Hypervisor hypervisor = open(PairedGuest.HALT);
                Vm vm = hypervisor.createVm()) {
            vm.addMemory(GuestAddress.ZERO, MemoryBacking.sharedFile(file, 0x1000, 0x1000));
            vm.memory().writeByte(0, (byte) 7);
            vm.addMemory(GuestAddress.of(0x1000), MemoryBacking.copyOnWriteFile(file, 0x1000, 0x1000));
            assertThat(vm.memory().readByte(0x1000)).isEqualTo((byte) 7);
            vm.memory().writeByte(0x1001, (byte) 8);
            assertThat(vm.memory().readByte(1)).isZero();
            assertThatThrownBy(
                            () -> vm.addMemory(GuestAddress.of(0x2000), MemoryBacking.sharedFile(file, 0x2000, 0x2000)))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("passes the end of the file, which has 12288 bytes");
            assertThatThrownBy(() -> vm.addMemory(
                            GuestAddress.of(0x2000), MemoryBacking.sharedFile(folder.resolve("missing"), 0, 0x1000)))
                    .isInstanceOf(HypervisorException.class)
                    .hasMessageContaining("missing");
        }
        assertThat(Files.readAllBytes(file)[0x1000]).isEqualTo((byte) 7);
        assertThat(Files.readAllBytes(file)[0x1001]).isZero();
    }

    @Test
    default void aDoorbellRingsWithoutLeavingTheGuest() {
        try (var guest = start(PairedGuest.RING);
                Doorbell one = guest.vm.doorbell(
                        Doorbell.Match.port(PairedGuest.DOORBELL_PORT, 2).withValue(1));
                Doorbell ones = guest.vm.doorbell(
                        Doorbell.Match.port(PairedGuest.DOORBELL_PORT, 2).withValue(-1));
                Doorbell mmio = guest.vm.doorbell(Doorbell.Match.mmio(GuestAddress.of(PairedGuest.DOORBELL_MMIO), 4))) {
            assertThat(guest.report()).isEqualTo(0x11);
            assertThat(one.poll()).isTrue();
            assertThat(one.poll()).isFalse();
            assertThat(ones.poll()).isFalse();
            assertThat(guest.report()).isEqualTo(0x12);
            assertThat(one.poll()).isFalse();
            assertThat(ones.poll()).isTrue();
            assertThat(mmio.poll()).isFalse();
            assertThat(guest.report()).isEqualTo(0x13);
            assertThat(mmio.poll()).isTrue();
            assertThat(guest.run()).isEqualTo(new VmExit.Halt());
        }
    }

    @Test
    default void aWriteOfAnotherLengthOrToAClosedDoorbellLeavesTheGuest() {
        try (var guest = start(PairedGuest.RING);
                Doorbell shorter = guest.vm.doorbell(Doorbell.Match.port(PairedGuest.DOORBELL_PORT, 1))) {
            Doorbell mmio = guest.vm.doorbell(Doorbell.Match.mmio(GuestAddress.of(PairedGuest.DOORBELL_MMIO), 4));
            mmio.close();
            mmio.close();
            assertThatThrownBy(mmio::poll)
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessage("doorbell at MMIO 0xd0000000, 4 bytes is closed");
            assertThat(guest.run()).isInstanceOf(VmExit.PortOut.class);
            assertThat(guest.report()).isEqualTo(0x11);
            assertThat(guest.run()).isInstanceOf(VmExit.PortOut.class);
            assertThat(guest.report()).isEqualTo(0x12);
            assertThat(guest.run())
                    .isEqualTo(new VmExit.MmioWrite(
                            GuestAddress.of(PairedGuest.DOORBELL_MMIO),
                            Bytes.copyOf((byte) 0x78, (byte) 0x56, (byte) 0x34, (byte) 0x12)));
            assertThat(shorter.poll()).isFalse();
        }
    }

    @Test
    default void aSecondDoorbellForTheSameWritesIsRefused() {
        try (Hypervisor hypervisor = open(PairedGuest.HALT);
                Vm vm = hypervisor.createVm()) {
            Doorbell.Match match = Doorbell.Match.port(0x510, 2);
            Doorbell first = vm.doorbell(match.withValue(1));
            vm.doorbell(match.withValue(2));
            vm.doorbell(Doorbell.Match.port(0x510, 1));
            for (Doorbell.Match taken : List.of(match.withValue(1), match, Doorbell.Match.port(0x510, 1))) {
                assertThatThrownBy(() -> vm.doorbell(taken))
                        .isInstanceOf(HypervisorException.class)
                        .hasMessageContaining("there is a doorbell for these writes already");
            }
            first.close();
            vm.doorbell(match.withValue(1));
        }
    }

    @Test
    default void aLoopRunsCodeForRingsInOrderAndGoesOnAfterAnException() throws InterruptedException {
        try (var guest = start(PairedGuest.RING)) {
            BlockingQueue<String> done = new LinkedBlockingQueue<>();
            EventLoop loop = guest.vm.createEventLoop("the loop");
            Doorbell doorbell = guest.vm.doorbell(
                    Doorbell.Match.port(PairedGuest.DOORBELL_PORT, 2).withValue(1));
            EventLoop.Registration registration = loop.onRing(doorbell, () -> done.add("ring"));
            assertThatThrownBy(() -> loop.onRing(doorbell, () -> {}))
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("is registered with an event loop already");
            assertThat(guest.report()).isEqualTo(0x11);
            assertThat(done.poll(LONG_SECONDS, TimeUnit.SECONDS)).isEqualTo("ring");
            assertThat(doorbell.poll()).as("the loop took the ring").isFalse();
            loop.execute(() -> {
                throw new IllegalStateException("thrown by the test, to be logged");
            });
            loop.execute(() -> done.add("in " + Thread.currentThread().getName() + " " + loop.inLoop()));
            loop.execute(() -> done.add("after"));
            assertThat(done.poll(LONG_SECONDS, TimeUnit.SECONDS)).isEqualTo("in the loop true");
            assertThat(done.poll(LONG_SECONDS, TimeUnit.SECONDS)).isEqualTo("after");
            assertThat(loop.inLoop()).isFalse();
            registration.close();
            registration.close();
            loop.onRing(doorbell, () -> {}).close();
            loop.close();
            loop.close();
            assertThatThrownBy(() -> loop.execute(() -> {})).isInstanceOf(IllegalStateException.class);
        }
    }

    @Test
    default void aLoopRunsDelayedCodeNotTooEarlyAndInTheOrderOfTime() throws InterruptedException {
        try (Hypervisor hypervisor = open(PairedGuest.HALT);
                Vm vm = hypervisor.createVm()) {
            EventLoop loop = vm.createEventLoop(null);
            List<String> order = new ArrayList<>();
            CountDownLatch done = new CountDownLatch(1);
            long begin = System.nanoTime();
            long[] ran = new long[1];
            // Long after the other, which may be asked for late on a busy machine.
            loop.schedule(Duration.ofMillis(400), () -> {
                order.add("second");
                done.countDown();
            });
            loop.schedule(Duration.ofMillis(20), () -> {
                order.add("first");
                ran[0] = System.nanoTime();
            });
            loop.schedule(Duration.ofMillis(200), () -> order.add("never")).close();
            loop.schedule(Duration.ofSeconds(Long.MAX_VALUE), () -> order.add("in 292 years"));
            assertThat(done.await(LONG_SECONDS, TimeUnit.SECONDS)).isTrue();
            assertThat(order).containsExactly("first", "second");
            assertThat(ran[0] - begin).isGreaterThanOrEqualTo(20_000_000);
        }
    }

    @Test
    default void aVmWithoutControllersHasNoInterrupts() {
        try (Hypervisor hypervisor = open(PairedGuest.HALT);
                Vm vm = hypervisor.createVm()) {
            assertThatThrownBy(() -> vm.interruptLine(1))
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("this VM has no interrupt controller; call createIrqChip()");
            assertThatThrownBy(() -> vm.interrupt(1)).isInstanceOf(IllegalStateException.class);
            assertThatThrownBy(vm::messageInterrupt).isInstanceOf(IllegalStateException.class);
            assertThatThrownBy(() -> vm.setInterruptRoutes(List.of())).isInstanceOf(IllegalStateException.class);
            assertThatThrownBy(() -> vm.sendMessage(0, 0)).isInstanceOf(IllegalStateException.class);
            assertThatThrownBy(() -> vm.interruptLine(-1)).isInstanceOf(IllegalArgumentException.class);
        }
    }

    private ContractGuest interrupted() {
        ContractGuest guest = start(
                vm -> {
                    assumeTrue(vm.supports(Capability.IRQCHIP), "no interrupt controllers");
                    vm.createIrqChip();
                },
                PairedGuest.INTERRUPTED);
        assertThat(guest.report()).isEqualTo(0xAA);
        return guest;
    }

    @Test
    default void aHaltedVCpuWaitsForInterruptsWithoutLeavingTheGuest() {
        try (var guest = interrupted()) {
            assertThat(guest.vcpu.run(Duration.ofMillis(20))).isEqualTo(new VmExit.DeadlineReached());
            assertThat(guest.vcpu.mpState()).isEqualTo(MpState.HALTED);
            guest.vm.interruptLine(3).pulse();
            assertThat(guest.report()).isEqualTo(PairedGuest.PIC_BASE + 3);
            guest.vm.interrupt(5).signal();
            assertThat(guest.report()).isEqualTo(PairedGuest.PIC_BASE + 5);
            assertThat(guest.vcpu.run(Duration.ofMillis(20))).isEqualTo(new VmExit.DeadlineReached());
        }
    }

    @Test
    default void aRaisedLineInterruptsUntilItIsLowered() {
        try (var guest = interrupted()) {
            InterruptLine line = guest.vm.interruptLine(6);
            line.raise();
            line.raise();
            for (int i = 0; i < 3; i++) {
                assertThat(guest.report()).isEqualTo(PairedGuest.PIC_BASE + 6);
            }
            line.lower();
            line.lower();
            assertThat(guest.vcpu.run(Duration.ofMillis(20))).isEqualTo(new VmExit.DeadlineReached());
        }
    }

    @Test
    default void routesAndControllersAreRefusedWhereTheyCanNotBe() {
        try (var guest = interrupted()) {
            assertThatThrownBy(guest.vm::createIrqChip).isInstanceOf(HypervisorException.class);
            var message = guest.vm.messageInterrupt();
            assertThatThrownBy(
                            () -> guest.vm.setInterruptRoutes(List.of(new InterruptRoute.Message(message.gsi(), 0, 0))))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("this number belongs to a message interrupt of the VM");
            assertThatThrownBy(() -> guest.vm.setInterruptRoutes(List.of(new InterruptRoute.Message(1 << 20, 0, 0))))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("the GSI must be below");
            message.signal();
            message.close();
            message.close();
            assertThatThrownBy(message::signal).isInstanceOf(IllegalStateException.class);
            guest.vm.setInterruptRoutes(List.of());
            guest.vm.interruptLine(3).pulse();
            assertThat(guest.vcpu.run(Duration.ofMillis(20))).isEqualTo(new VmExit.DeadlineReached());
        }
    }

    @Test
    default void theOtherVCpusWaitToBeStartedWhereThereAreControllers() {
        try (var guest = start(X86Vm::createIrqChip, PairedGuest.ECHO)) {
            var second = guest.createVCpu(1);
            assertThat(guest.vcpu.mpState()).isEqualTo(MpState.RUNNABLE);
            assertThat(second.mpState()).isEqualTo(MpState.UNINITIALIZED);
            assertThat(second.run(Duration.ofMillis(20))).isEqualTo(new VmExit.DeadlineReached());
            second.setMpState(MpState.RUNNABLE);
            assertThat(second.run(ContractGuest.LONG)).isEqualTo(new VmExit.PortIn(0x11, 1, 1));
        }
    }

    @Test
    default void specialRegistersThatFitNoModeAreRefused() {
        try (var guest = start(PairedGuest.HALT)) {
            SpecialRegisters registers = guest.vcpu.specialRegisters();
            assertThatThrownBy(() -> guest.vcpu.setSpecialRegisters(
                            registers.withControl(SpecialRegisters.CR0_PG | SpecialRegisters.CR0_ET, 0, 0, 0)))
                    .isInstanceOf(HypervisorException.class)
                    .hasMessageContaining("fit no mode of the processor");
            assertThat(guest.vcpu.specialRegisters()).isEqualTo(registers);
        }
    }
}
