package io.github.jkvm.it;

import static io.github.jkvm.testkit.asm.Reg8.AL;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.data.Offset.offset;

import io.github.jkvm.Doorbell;
import io.github.jkvm.ExitHandler;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.Hypervisor;
import io.github.jkvm.MemoryBacking;
import io.github.jkvm.VCpu;
import io.github.jkvm.Vm;
import io.github.jkvm.VmExit;
import io.github.jkvm.testkit.RequiresKvm;
import io.github.jkvm.testkit.asm.Assembler;
import io.github.jkvm.testkit.asm.Label;
import io.github.jkvm.testkit.asm.Mode;
import io.github.jkvm.x86.X86VCpu;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** What the host gives is given back. How lifetimes end is a contract of every hypervisor: {@link KvmContractTest}. */
@RequiresKvm
class LifecycleTest {
    private static final Duration LONG = Duration.ofSeconds(60);

    /** How long a thread may take to do what it must do at once. */
    private static final long LONG_SECONDS = 60;

    private static final int PORT = 0x10;

    /**
     * Puts a program where a new vCPU begins as after power-on: at 16 bytes below 4 GiB (SDM volume 3, 11.1.4). No register needs to be set.
     */
    private static void load(Vm vm, Consumer<Assembler> program) {
        vm.addMemory(GuestAddress.of(0xFFFF_F000L), MemoryBacking.anonymous(0x1000));
        Assembler code = new Assembler(Mode.BITS16, 0xFFFF_FFF0L);
        program.accept(code);
        code.assemble().load(vm.memory());
    }

    private static void createRunClose(Hypervisor hypervisor) {
        try (var vm = hypervisor.createVm()) {
            var ram = vm.addMemory(GuestAddress.ZERO, MemoryBacking.anonymous(0x1_0000));
            load(vm, code -> code.out(PORT, AL).hlt());
            var vcpu = vm.createVCpu(0);
            vm.createEventLoop(null).execute(() -> {});
            vm.doorbell(Doorbell.Match.port(0x20, 1));
            var writes = new AtomicInteger();
            assertThat(vcpu.run(onPortWrite(writes::incrementAndGet), LONG)).isEqualTo(new VmExit.Halt());
            assertThat(writes).hasValue(1);
            vm.removeMemory(ram);
        }
    }

    /** Something is done for each write to a port, and nothing else is answered. */
    private static ExitHandler onPortWrite(Runnable action) {
        return new ExitHandler() {
            @Override
            public long portIn(int port, int size) {
                throw new AssertionError("a read of port " + port);
            }

            @Override
            public void portOut(int port, int size, long value) {
                action.run();
            }

            @Override
            public long mmioRead(long address, int size) {
                throw new AssertionError("a read at " + address);
            }

            @Override
            public void mmioWrite(long address, int size, long value) {
                throw new AssertionError("a write at " + address);
            }
        };
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
            assertThat(after.mappings()).isCloseTo(before.mappings(), offset(40L));
            assertThat(after.threads()).isCloseTo(before.threads(), offset(3L));
        }
    }

    @Test
    void closingTheHypervisorEndsItsThreadAndClosesItsVms() {
        HostUse before = HostUse.now();
        // The testkit's guests have a hypervisor, whose thread is not this test's.
        Set<Thread> othersThreads = deadlineThreads();
        List<X86VCpu> vcpus = new ArrayList<>();
        try (Hypervisor hypervisor = Hypervisor.open()) {
            for (int i = 0; i < 10; i++) {
                Vm vm = hypervisor.createVm();
                load(vm, code -> code.jmp(code.here("forever")));
                X86VCpu vcpu = X86VCpu.of(vm.createVCpu(0));
                assertThat(vcpu.run(Duration.ofMillis(1))).isEqualTo(new VmExit.DeadlineReached());
                vcpus.add(vcpu);
            }
            assertThat(deadlineThreads()).containsAll(othersThreads).hasSize(othersThreads.size() + 1);
        }
        for (X86VCpu vcpu : vcpus) {
            assertThatThrownBy(vcpu::registers).isInstanceOf(IllegalStateException.class);
        }
        assertThat(deadlineThreads()).isEqualTo(othersThreads);
        assertThat(HostUse.now().files()).isEqualTo(before.files());
        assertThat(HostUse.now().kvmMappings()).isEqualTo(before.kvmMappings());
    }

    private static Set<Thread> deadlineThreads() {
        return Thread.getAllStackTraces().keySet().stream()
                .filter(thread -> thread.getName().equals("jkvm-deadline"))
                .collect(Collectors.toSet());
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
    void aVmThatHandlersOfTwoVCpusCloseLeavesNothingBehind() throws InterruptedException {
        HostUse before = HostUse.now();
        for (int i = 0; i < Lane.repeats(50); i++) {
            try (Hypervisor hypervisor = Hypervisor.open()) {
                Vm vm = hypervisor.createVm();
                load(vm, code -> {
                    Label again = code.here("again");
                    code.out(PORT, AL).jmp(again);
                });
                var both = new CountDownLatch(2);
                ExitHandler closing = onPortWrite(() -> {
                    both.countDown();
                    try {
                        assertThat(both.await(LONG_SECONDS, TimeUnit.SECONDS)).isTrue();
                    } catch (InterruptedException e) {
                        throw new AssertionError(e);
                    }
                    vm.close();
                });
                AtomicReference<Throwable> firstThrown = new AtomicReference<>();
                AtomicReference<Throwable> secondThrown = new AtomicReference<>();
                VCpu first = vm.createVCpu(0);
                VCpu second = vm.createVCpu(1);
                Thread one = runner(() -> first.run(closing), firstThrown);
                Thread two = runner(() -> second.run(closing), secondThrown);
                one.join();
                two.join();
                assertThat(firstThrown.get()).isInstanceOf(IllegalStateException.class);
                assertThat(secondThrown.get()).isInstanceOf(IllegalStateException.class);
                vm.close();
                assertThat(vm.vcpus()).isEmpty();
            }
        }
        assertThat(HostUse.now().files()).isEqualTo(before.files());
        assertThat(HostUse.now().kvmMappings()).isEqualTo(before.kvmMappings());
    }
}
