package io.github.jkvm.testkit.scripted;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.Capability;
import io.github.jkvm.Doorbell;
import io.github.jkvm.EventLoop;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.Hypervisor;
import io.github.jkvm.MemoryBacking;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.VCpu;
import io.github.jkvm.Vm;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;

/** How things end: in order, once, waited for, and refusing afterwards. */
public interface LifetimeContract extends HypervisorContract {
    /** How long a thread may take to do what it must do at once. */
    long LONG_SECONDS = 60;

    @Test
    default void everythingRefusesAfterClose() {
        Hypervisor hypervisor = open(PairedGuest.HALT);
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
                () -> vm.doorbell(Doorbell.Match.port(1, 1)),
                () -> vm.supports(Capability.IRQCHIP),
                vcpu::run,
                () -> vcpu.respond(1),
                () -> vm.memory().readByte(0),
                () -> region.segment().get(ValueLayout.JAVA_BYTE, 0));
        for (int i = 0; i < ofVm.size(); i++) {
            assertThatThrownBy(ofVm.get(i)).as("call %d", i).isInstanceOf(IllegalStateException.class);
        }
        assertThat(vm.vcpus()).isEmpty();
        vcpu.interrupt();
        vcpu.close();
        hypervisor.close();
        hypervisor.close();
        assertThatThrownBy(hypervisor::createVm)
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("is closed");
        assertThatThrownBy(hypervisor::maxVCpus).isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(() -> hypervisor.supports(Capability.IRQCHIP)).isInstanceOf(IllegalStateException.class);
    }

    /** Runs something on a thread of its own and keeps what it threw. */
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
    default void closingAVmEndsTheRunOfItsVCpuWithAnException() throws InterruptedException {
        for (int i = 0; i < repeats(200); i++) {
            try (var guest = start(PairedGuest.OUT_LOOP)) {
                AtomicReference<Throwable> thrown = new AtomicReference<>();
                CountDownLatch running = new CountDownLatch(1);
                var handler = new ExitContract.Recorder() {
                    @Override
                    public void portOut(int port, int size, long value) {
                        running.countDown();
                    }
                };
                Thread runner = runner(() -> guest.vcpu.run(handler), thrown);
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
    default void closingAVCpuFromManyThreadsWorksOnce() throws InterruptedException {
        try (var guest = start(PairedGuest.TIGHT_LOOP)) {
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
    default void closingAVmFromTwoThreadsReturnsWhenItIsClosed() throws InterruptedException {
        for (int i = 0; i < repeats(100); i++) {
            try (var guest = start(PairedGuest.TIGHT_LOOP)) {
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
    default void anExitHandlerMayCloseItsVCpu() {
        try (var guest = start(PairedGuest.OUT_LOOP)) {
            var closing = new ExitContract.Recorder() {
                @Override
                public void portOut(int port, int size, long value) {
                    guest.vcpu.close();
                    guest.vcpu.close();
                }
            };
            assertThatThrownBy(() -> guest.vcpu.run(closing))
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessage("vCPU 0 was closed while it ran");
            assertThat(guest.vm.vcpus()).isEmpty();
        }
    }

    @Test
    default void exitHandlersOfTwoVCpusMayCloseTheVmAtTheSameTime() throws InterruptedException {
        for (int i = 0; i < repeats(50); i++) {
            try (var guest = start(PairedGuest.OUT_LOOP)) {
                VCpu second = guest.createVCpu(1);
                CountDownLatch both = new CountDownLatch(2);
                AtomicReference<Throwable> firstThrown = new AtomicReference<>();
                AtomicReference<Throwable> secondThrown = new AtomicReference<>();
                var closing = new ExitContract.Recorder() {
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
    }

    @Test
    default void anEventLoopMayCloseItsVm() throws InterruptedException {
        try (var guest = start(PairedGuest.TIGHT_LOOP)) {
            AtomicReference<Throwable> thrown = new AtomicReference<>();
            Thread runner = runner(guest.vcpu::run, thrown);
            guest.vm.createEventLoop("closer").execute(guest.vm::close);
            runner.join();
            assertThat(thrown.get()).isInstanceOf(IllegalStateException.class);
            guest.vm.close();
            assertThatThrownBy(() -> guest.ram.segment().fill((byte) 0)).isInstanceOf(IllegalStateException.class);
        }
    }

    @Test
    default void closingTheHypervisorClosesItsVmsAndTheirParts() {
        Doorbell doorbell;
        EventLoop loop;
        List<VCpu> vcpus = new ArrayList<>();
        try (Hypervisor hypervisor = open(PairedGuest.HALT)) {
            for (int i = 0; i < 3; i++) {
                vcpus.add(hypervisor.createVm().createVCpu(0));
            }
            Vm vm = vcpus.getFirst().vm();
            doorbell = vm.doorbell(Doorbell.Match.port(0x20, 1));
            loop = vm.createEventLoop(null);
            loop.onRing(doorbell, () -> {});
        }
        vcpus.forEach(vcpu -> assertThatThrownBy(vcpu::run).isInstanceOf(IllegalStateException.class));
        assertThatThrownBy(doorbell::poll).isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(() -> loop.execute(() -> {})).isInstanceOf(IllegalStateException.class);
        doorbell.close();
        loop.close();
    }

    @Test
    default void vcpuIdsOutOfRangeOrTakenAreRefused() {
        try (Hypervisor hypervisor = open(PairedGuest.HALT);
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
}
