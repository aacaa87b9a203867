package io.github.jkvm.it;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.Hypervisor;
import io.github.jkvm.MemoryBacking;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.VCpu;
import io.github.jkvm.Vm;
import io.github.jkvm.VmExit;
import io.github.jkvm.testkit.RequiresKvm;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;

/** What a program does wrong ends in an exception that says what and why, never in a crash. */
@RequiresKvm
class MisuseTest {

    @Test
    void everythingRefusesAfterClose() {
        Hypervisor hypervisor = Hypervisor.open();
        Vm vm = hypervisor.createVm();
        MemoryRegion region = vm.addMemory(GuestAddress.ZERO, MemoryBacking.anonymous(4096));
        VCpu vcpu = vm.createVCpu(0);
        vm.startDirtyTracking(region);
        vm.close();
        vm.close();
        List<ThrowingCallable> ofVm = List.of(
                () -> vm.addMemory(GuestAddress.of(0x10000), MemoryBacking.anonymous(4096)),
                () -> vm.removeMemory(region),
                () -> vm.startDirtyTracking(region),
                () -> vm.stopDirtyTracking(region),
                () -> vm.takeDirtyPages(region),
                () -> vm.createVCpu(1),
                () -> vm.createEventLoop(null),
                () -> vm.supports(io.github.jkvm.Capability.IRQCHIP),
                vcpu::run,
                () -> vcpu.respond(1),
                () -> vm.memory().readByte(0),
                () -> region.segment().get(java.lang.foreign.ValueLayout.JAVA_BYTE, 0));
        for (int i = 0; i < ofVm.size(); i++) {
            assertThatThrownBy(ofVm.get(i)).as("call %d", i).isInstanceOf(IllegalStateException.class);
        }
        vcpu.interrupt();
        vcpu.close();
        hypervisor.close();
        hypervisor.close();
        assertThatThrownBy(hypervisor::createVm)
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("is closed");
        assertThatThrownBy(hypervisor::maxVCpus).isInstanceOf(IllegalStateException.class);
    }

    @Test
    void aSecondRunnerIsRefusedByName() throws InterruptedException {
        try (var guest = new RealModeGuest(0xE6, 0x10, 0xEB, 0xFC)) { // out 0x10, al; jmp to it
            CountDownLatch running = new CountDownLatch(1);
            Thread runner = Thread.ofPlatform().name("first-runner").start(() -> {
                VmExit exit = guest.vcpu.run(new CountingHandler() {
                    @Override
                    public void portOut(int port, int size, long value) {
                        running.countDown();
                    }
                });
                assertThat(exit).isEqualTo(new VmExit.Interrupted());
            });
            running.await();
            String me = Thread.currentThread().getName();
            assertThatThrownBy(guest.vcpu::run)
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessage("vCPU 0 runs on thread first-runner; thread " + me
                            + " can't run it until that run ends (interrupt() ends it)");
            assertThatThrownBy(guest.vcpu::registers)
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("first-runner")
                    .hasMessageContaining("can't use its state");
            guest.vcpu.interrupt();
            runner.join();
            assertThat(guest.vcpu.registers().rip()).isBetween(0xF000L, 0xF004L);
        }
    }

    @Test
    void memoryThatOverlapsOrIsNotAlignedIsRefused() {
        try (Hypervisor hypervisor = Hypervisor.open();
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
            assertThat(vm.memory().regions()).hasSize(1);
        }
    }

    @Test
    void memoryOfAnotherVmIsRefused() {
        try (Hypervisor hypervisor = Hypervisor.open();
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
    void vcpuIdsOutOfRangeOrTakenAreRefused() {
        try (Hypervisor hypervisor = Hypervisor.open();
                Vm vm = hypervisor.createVm()) {
            vm.createVCpu(0).close();
            assertThatThrownBy(() -> vm.createVCpu(0))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("vCPU id 0 is taken, or was before");
            assertThatThrownBy(() -> vm.createVCpu(-1))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("vCPU id -1 must be from 0 to ");
            assertThatThrownBy(() -> vm.createVCpu(Integer.MAX_VALUE)).isInstanceOf(IllegalArgumentException.class);
        }
    }

    @Test
    void moreMemoryThanTheHostCanMapIsRefusedWithItsSize() {
        try (Hypervisor hypervisor = Hypervisor.open();
                Vm vm = hypervisor.createVm()) {
            assertThatThrownBy(() -> vm.addMemory(GuestAddress.ZERO, MemoryBacking.anonymous(1L << 50)))
                    .isInstanceOf(io.github.jkvm.kvm.KvmException.class)
                    .hasMessageContaining("mmap")
                    .hasMessageContaining("1125899906842624")
                    .hasMessageContaining("ENOMEM (12)")
                    .hasMessageContaining("ulimit -v");
            assertThatThrownBy(() -> vm.addMemory(GuestAddress.ZERO, MemoryBacking.anonymous(1L << 44)))
                    .isInstanceOf(io.github.jkvm.kvm.KvmException.class)
                    .hasMessageContaining("KVM_SET_USER_MEMORY_REGION")
                    .hasMessageContaining("2^31-1 pages");
            assertThat(vm.memory().regions()).isEmpty();
        }
    }
}
