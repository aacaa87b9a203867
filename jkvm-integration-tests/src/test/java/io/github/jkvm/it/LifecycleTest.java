package io.github.jkvm.it;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.Doorbell;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.Hypervisor;
import io.github.jkvm.MemoryBacking;
import io.github.jkvm.VmExit;
import io.github.jkvm.testkit.RequiresKvm;
import io.github.jkvm.x86.X86VCpu;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;

@RequiresKvm
class LifecycleTest {
    private static final int[] TIGHT_LOOP = {0xEB, 0xFE}; // jmp to itself
    private static final int[] OUT_LOOP = {0xE6, 0x10, 0xEB, 0xFC}; // out 0x10, al; jmp to it
    private static final int[] HALT = {0xE6, 0x10, 0xF4}; // out 0x10, al; hlt

    /** How long a thread may take to do what it must do at once. */
    private static final long LONG_SECONDS = 60;

    private static void createRunClose(Hypervisor hypervisor) {
        try (var vm = hypervisor.createVm()) {
            var ram = vm.addMemory(GuestAddress.ZERO, MemoryBacking.anonymous(0x1_0000));
            RealModeGuest.load(vm, HALT);
            var vcpu = vm.createVCpu(0);
            vm.createEventLoop(null).execute(() -> {});
            vm.doorbell(Doorbell.Match.port(0x20, 1));
            var handler = new CountingHandler();
            assertThat(vcpu.run(handler, RealModeGuest.LONG)).isEqualTo(new VmExit.Halt());
            assertThat(handler.count).isEqualTo(1);
            vm.removeMemory(ram);
        }
    }

    @Test
    void aThousandVmsLeaveNothingBehind() {
        int times = Lane.repeats(1_000);
        try (Hypervisor hypervisor = Hypervisor.open()) {
            // The JVM's own threads and mappings grow while code is loaded and compiled.
            for (int i = 0; i < times / 5; i++) {
                createRunClose(hypervisor);
            }
            HostUse before = HostUse.now();
            for (int i = 0; i < times; i++) {
                createRunClose(hypervisor);
            }
            HostUse after = HostUse.now();
            assertThat(after.files()).isEqualTo(before.files());
            assertThat(after.kvmMappings()).isZero();
            // The JVM's own come and go by a few: stacks of compiler threads, the C library's heaps.
            assertThat(after.mappings()).isCloseTo(before.mappings(), org.assertj.core.data.Offset.offset(40L));
            assertThat(after.threads()).isCloseTo(before.threads(), org.assertj.core.data.Offset.offset(3L));
        }
    }

    @Test
    void closingTheHypervisorEndsItsThreadAndClosesItsVms() {
        HostUse before = HostUse.now();
        List<X86VCpu> vcpus = new ArrayList<>();
        try (Hypervisor hypervisor = Hypervisor.open()) {
            for (int i = 0; i < 10; i++) {
                var vm = hypervisor.createVm();
                RealModeGuest.load(vm, TIGHT_LOOP);
                var vcpu = X86VCpu.of(vm.createVCpu(0));
                assertThat(vcpu.run(Duration.ofMillis(1))).isEqualTo(new VmExit.DeadlineReached());
                vcpus.add(vcpu);
            }
            assertThat(Thread.getAllStackTraces().keySet())
                    .anyMatch(thread -> thread.getName().equals("jkvm-deadline"));
        }
        for (X86VCpu vcpu : vcpus) {
            assertThatThrownBy(vcpu::registers).isInstanceOf(IllegalStateException.class);
        }
        assertThat(Thread.getAllStackTraces().keySet())
                .noneMatch(thread -> thread.getName().equals("jkvm-deadline"));
        assertThat(HostUse.now().files()).isEqualTo(before.files());
        assertThat(HostUse.now().kvmMappings()).isEqualTo(before.kvmMappings());
    }

    /** Runs a vCPU on a thread of its own and keeps what the run threw. */
    private static Thread runner(Runnable run, AtomicReference<Throwable> thrown) {
        return Thread.ofPlatform().name("runner").start(() -> {
            try {
                run.run();
            } catch (Throwable t) {
                thrown.set(t);
            }
        });
    }

    @Test
    void closingAVmEndsTheRunOfItsVCpuWithAnException() throws InterruptedException {
        for (int i = 0; i < Lane.repeats(200); i++) {
            try (var guest = new RealModeGuest(OUT_LOOP)) {
                AtomicReference<Throwable> thrown = new AtomicReference<>();
                CountDownLatch running = new CountDownLatch(1);
                Thread runner = runner(
                        () -> guest.vcpu.run(new CountingHandler() {
                            @Override
                            public void portOut(int port, int size, long value) {
                                running.countDown();
                            }
                        }),
                        thrown);
                assertThat(running.await(LONG_SECONDS, TimeUnit.SECONDS)).isTrue();
                guest.vm.close();
                runner.join();
                assertThat(thrown.get())
                        .isInstanceOf(IllegalStateException.class)
                        .hasMessage("vCPU 0 was closed while it ran");
                assertThat(guest.vm.vcpus()).isEmpty();
            }
        }
    }

    @Test
    void closingAVCpuFromManyThreadsWorksOnce() throws InterruptedException {
        try (var guest = new RealModeGuest(TIGHT_LOOP)) {
            AtomicReference<Throwable> thrown = new AtomicReference<>();
            Thread runner = runner(guest.vcpu::run, thrown);
            AtomicInteger closed = new AtomicInteger();
            List<Thread> closers = new ArrayList<>();
            for (int i = 0; i < 4; i++) {
                closers.add(Thread.ofPlatform().start(() -> {
                    guest.vcpu.close();
                    closed.incrementAndGet();
                }));
            }
            for (Thread closer : closers) {
                closer.join();
            }
            runner.join();
            assertThat(closed).hasValue(4);
            assertThat(thrown.get()).isInstanceOf(IllegalStateException.class).hasMessageContaining("vCPU 0");
            assertThat(guest.vm.vcpus()).isEmpty();
            guest.vcpu.close();
            guest.vcpu.interrupt();
        }
    }

    @Test
    void closingAVmFromTwoThreadsReturnsWhenItIsClosed() throws InterruptedException {
        for (int i = 0; i < Lane.repeats(100); i++) {
            try (var guest = new RealModeGuest(TIGHT_LOOP)) {
                AtomicReference<Throwable> thrown = new AtomicReference<>();
                Thread runner = runner(guest.vcpu::run, thrown);
                Thread other = Thread.ofPlatform().start(guest.vm::close);
                guest.vm.close();
                assertThatThrownBy(() -> guest.ram.segment().fill((byte) 0)).isInstanceOf(IllegalStateException.class);
                other.join();
                runner.join();
                assertThat(thrown.get()).isInstanceOf(IllegalStateException.class);
            }
        }
    }

    @Test
    void anExitHandlerMayCloseItsVCpu() {
        try (var guest = new RealModeGuest(OUT_LOOP)) {
            assertThatThrownBy(() -> guest.vcpu.run(new CountingHandler() {
                        @Override
                        public void portOut(int port, int size, long value) {
                            guest.vcpu.close();
                            guest.vcpu.close();
                        }
                    }))
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessage("vCPU 0 was closed while it ran");
            assertThat(guest.vm.vcpus()).isEmpty();
        }
    }

    @Test
    void exitHandlersOfTwoVCpusMayCloseTheVmAtTheSameTime() throws InterruptedException {
        HostUse before = HostUse.now();
        for (int i = 0; i < Lane.repeats(50); i++) {
            try (var guest = new RealModeGuest(OUT_LOOP)) {
                var second = guest.vm.createVCpu(1);
                CountDownLatch both = new CountDownLatch(2);
                AtomicReference<Throwable> firstThrown = new AtomicReference<>();
                AtomicReference<Throwable> secondThrown = new AtomicReference<>();
                var closing = new CountingHandler() {
                    @Override
                    public void portOut(int port, int size, long value) {
                        both.countDown();
                        try {
                            assertThat(both.await(LONG_SECONDS, TimeUnit.SECONDS))
                                    .isTrue();
                        } catch (InterruptedException e) {
                            throw new AssertionError(e);
                        }
                        guest.vm.close();
                    }
                };
                Thread one = runner(() -> guest.vcpu.run(closing), firstThrown);
                Thread two = runner(() -> second.run(closing), secondThrown);
                one.join();
                two.join();
                assertThat(firstThrown.get()).isInstanceOf(IllegalStateException.class);
                assertThat(secondThrown.get()).isInstanceOf(IllegalStateException.class);
                guest.vm.close();
                assertThat(guest.vm.vcpus()).isEmpty();
            }
        }
        assertThat(HostUse.now().files()).isEqualTo(before.files());
        assertThat(HostUse.now().kvmMappings()).isEqualTo(before.kvmMappings());
    }

    @Test
    void anEventLoopMayCloseItsVm() throws InterruptedException {
        try (var guest = new RealModeGuest(TIGHT_LOOP)) {
            AtomicReference<Throwable> thrown = new AtomicReference<>();
            Thread runner = runner(guest.vcpu::run, thrown);
            guest.vm.createEventLoop("closer").execute(guest.vm::close);
            runner.join();
            assertThat(thrown.get()).isInstanceOf(IllegalStateException.class);
            guest.vm.close();
            assertThatThrownBy(() -> guest.ram.segment().fill((byte) 0)).isInstanceOf(IllegalStateException.class);
        }
    }
}
