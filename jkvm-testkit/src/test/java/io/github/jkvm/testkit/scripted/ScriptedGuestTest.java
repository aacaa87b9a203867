package io.github.jkvm.testkit.scripted;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.Bytes;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.MemoryBacking;
import io.github.jkvm.VmExit;
import io.github.jkvm.x86.Msr;
import io.github.jkvm.x86.MsrFilter;
import io.github.jkvm.x86.SpecialRegisters;
import io.github.jkvm.x86.X86VCpu;
import io.github.jkvm.x86.X86Vm;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.BitSet;
import java.util.List;
import java.util.OptionalLong;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;

/** What the programs of guests can do, and what becomes of them. */
class ScriptedGuestTest {
    private static final Duration LONG = Duration.ofSeconds(60);

    private static X86VCpu boot(ScriptedHypervisor hypervisor) {
        return hypervisor.createVm().createVCpu(0);
    }

    @Test
    void aProgramBranchesOnWhatItReads() {
        GuestProgram program = guest -> {
            while (guest.portIn(0x60, 1) != 3) {
                guest.portOut(0xE9, "again");
            }
            guest.shutdown();
        };
        try (var hypervisor = ScriptedHypervisor.running(program)) {
            X86VCpu vcpu = boot(hypervisor);
            assertThat(vcpu.run(LONG)).isEqualTo(new VmExit.PortIn(0x60, 1, 1));
            vcpu.respond(2);
            Bytes again = Bytes.copyOf("again".getBytes(StandardCharsets.UTF_8));
            assertThat(vcpu.run(LONG)).isEqualTo(new VmExit.PortOut(0xE9, 1, 5, again));
            assertThat(vcpu.run(LONG)).isInstanceOf(VmExit.PortIn.class);
            vcpu.respond(3);
            assertThat(vcpu.run(LONG)).isEqualTo(new VmExit.Shutdown());
        }
    }

    @Test
    void aProgramThatReturnsHasHaltedForGood() {
        try (var hypervisor = ScriptedHypervisor.create()) {
            X86Vm vm = hypervisor.createVm();
            vm.createIrqChip();
            X86VCpu vcpu = vm.createVCpu(0);
            for (int i = 0; i < 3; i++) {
                assertThat(vcpu.run(LONG)).isEqualTo(new VmExit.Halt());
            }
        }
    }

    @Test
    void whatAProgramThrowsEndsTheRunAndEachThatFollows() {
        var failure = new AssertionError("the guest got what it did not expect");
        try (var hypervisor = ScriptedHypervisor.running(guest -> {
            guest.portOut(1, 1, 1);
            throw failure;
        })) {
            X86VCpu vcpu = boot(hypervisor);
            assertThat(vcpu.run(LONG)).isInstanceOf(VmExit.PortOut.class);
            assertThatThrownBy(vcpu::run).isSameAs(failure);
            assertThatThrownBy(vcpu::run).isSameAs(failure);
        }
        try (var hypervisor = ScriptedHypervisor.running(guest -> {
            throw new IOException("no such thing");
        })) {
            X86VCpu vcpu = boot(hypervisor);
            assertThatThrownBy(vcpu::run)
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("vCPU 0: the guest's program failed: java.io.IOException: no such thing")
                    .hasCauseInstanceOf(IOException.class);
        }
    }

    @Test
    void whatIsWrongWithAnInstructionIsThrownWithinTheProgram() {
        try (var hypervisor = ScriptedHypervisor.running(guest -> {
            assertThatThrownBy(() -> guest.portOut(0x1_0000, 1, 0)).isInstanceOf(IllegalArgumentException.class);
            assertThatThrownBy(() -> guest.portIn(0, 3)).isInstanceOf(IllegalArgumentException.class);
            assertThatThrownBy(() -> guest.portOut(0, "")).isInstanceOf(IllegalArgumentException.class);
            assertThatThrownBy(() -> guest.load(0, 9)).isInstanceOf(IllegalArgumentException.class);
            assertThatThrownBy(() -> guest.hypercall(1, 1, 2, 3, 4, 5, 6, 7))
                    .isInstanceOf(IllegalArgumentException.class);
            assertThatThrownBy(() -> guest.exit(new VmExit.PortIn(1, 1, 1)))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("is not for exit(); use portIn()");
            assertThatThrownBy(() -> guest.endInterrupt(new GuestInterrupt.Line(5)))
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("line 5 that it has not taken");
            assertThatThrownBy(() -> guest.startProcessor(7)).hasMessageContaining("vCPU 7, which the VM has not");
            guest.shutdown();
        })) {
            assertThat(boot(hypervisor).run(LONG)).isEqualTo(new VmExit.Shutdown());
        }
    }

    @Test
    void aProgramThatWaitsForTheTestDoesNotKeepTheRunFromEnding() {
        CountDownLatch awaited = new CountDownLatch(1);
        try (var hypervisor = ScriptedHypervisor.running(guest -> {
            awaited.await();
            guest.portOut(1, 1, 1);
        })) {
            X86VCpu vcpu = boot(hypervisor);
            assertThat(vcpu.run(Duration.ofMillis(10))).isEqualTo(new VmExit.DeadlineReached());
            vcpu.interrupt();
            assertThat(vcpu.run(LONG)).isEqualTo(new VmExit.Interrupted());
            awaited.countDown();
            assertThat(vcpu.run(LONG)).isInstanceOf(VmExit.PortOut.class);
        }
    }

    @Test
    void closingEndsThePrograms() throws InterruptedException {
        CountDownLatch ended = new CountDownLatch(2);
        try (var hypervisor = ScriptedHypervisor.running(guest -> {
            try {
                if (guest.vcpuId() == 0) {
                    guest.spin();
                } else {
                    new CountDownLatch(1).await();
                }
            } finally {
                ended.countDown();
            }
        })) {
            X86Vm vm = hypervisor.createVm();
            for (int id = 0; id < 2; id++) {
                assertThat(vm.createVCpu(id).run(Duration.ofMillis(10))).isEqualTo(new VmExit.DeadlineReached());
            }
        }
        assertThat(ended.await(0, TimeUnit.SECONDS)).isTrue();
    }

    @Test
    void aProgramMayCloseItsVm() {
        AtomicReference<X86Vm> vm = new AtomicReference<>();
        try (var hypervisor = ScriptedHypervisor.running(guest -> vm.get().close())) {
            vm.set(hypervisor.createVm());
            X86VCpu vcpu = vm.get().createVCpu(0);
            assertThatThrownBy(vcpu::run)
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessage("vCPU 0 was closed while it ran");
            vm.get().close();
            assertThat(vm.get().vcpus()).isEmpty();
        }
    }

    @Test
    void anotherThreadCanNotActForTheGuest() {
        AtomicReference<ScriptedGuest> leaked = new AtomicReference<>();
        try (var hypervisor = ScriptedHypervisor.running(guest -> {
            leaked.set(guest);
            guest.halt();
        })) {
            boot(hypervisor).run(LONG);
            assertThatThrownBy(() -> leaked.get().portOut(1, 1, 1))
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("can't act for the guest");
        }
    }

    @Test
    void hypercallsReturnTheirAnswerOrAllOnes() {
        try (var hypervisor = ScriptedHypervisor.running(guest -> {
            guest.portOut(1, 4, guest.hypercall(12, 7, 8));
            guest.portOut(1, 4, guest.hypercall(13));
        })) {
            X86VCpu vcpu = boot(hypervisor);
            assertThat(vcpu.run(LONG)).isEqualTo(new VmExit.Hypercall(12, List.of(7L, 8L, 0L, 0L, 0L, 0L), 0));
            vcpu.respond(99);
            assertThat(vcpu.registers().rax()).isEqualTo(99);
            assertThat(vcpu.run(LONG))
                    .isEqualTo(new VmExit.PortOut(1, 4, 1, Bytes.copyOf((byte) 99, (byte) 0, (byte) 0, (byte) 0)));
            assertThat(vcpu.run(LONG)).isInstanceOf(VmExit.Hypercall.class);
            assertThat(vcpu.run(LONG))
                    .isInstanceOfSatisfying(
                            VmExit.PortOut.class,
                            out -> assertThat(out.data().toLong()).isEqualTo(0xFFFF_FFFFL));
        }
    }

    @Test
    void exitsWithoutAnAnswerAreReturnedAsTheyAre() {
        List<VmExit> exits = List.of(
                new VmExit.InternalError(1, List.of(2L)),
                new VmExit.FailEntry(0x80000021L, 3),
                new VmExit.SystemEvent(VmExit.SystemEventType.RESET, 2, List.of()),
                new VmExit.Unknown(77, Bytes.copyOf(new byte[256])));
        try (var hypervisor = ScriptedHypervisor.running(guest -> exits.forEach(guest::exit))) {
            X86VCpu vcpu = boot(hypervisor);
            for (VmExit exit : exits) {
                assertThat(vcpu.run(LONG)).isEqualTo(exit);
            }
        }
    }

    @Test
    void msrAccessesFollowTheStateTheFilterAndTheExits() {
        int unknown = 0x4B00_1234;
        try (var hypervisor = ScriptedHypervisor.running(guest -> {
            assertThat(guest.readMsr(Msr.LSTAR)).isEqualTo(OptionalLong.of(0x1234));
            assertThat(guest.writeMsr(Msr.EFER, SpecialRegisters.EFER_SCE)).isTrue();
            assertThat(guest.readMsr(unknown)).as("an unknown register faults").isEmpty();
            assertThat(guest.writeMsr(unknown, 1)).isFalse();
            assertThat(guest.readMsr(Msr.STAR)).as("the filter denies it").isEmpty();
            guest.halt();
            assertThat(guest.readMsr(Msr.STAR)).as("answered").isEqualTo(OptionalLong.of(5));
            assertThat(guest.writeMsr(unknown, 9)).as("faulted").isFalse();
            guest.halt();
        })) {
            X86Vm vm = hypervisor.createVm();
            X86VCpu vcpu = vm.createVCpu(0);
            vcpu.setMsrs(List.of(new Msr(Msr.LSTAR, 0x1234)));
            vm.setMsrFilter(new MsrFilter(
                    MsrFilter.Unlisted.ALLOW,
                    List.of(new MsrFilter.Range(Msr.STAR, 1, Set.of(MsrFilter.Access.READ), new BitSet()))));
            assertThat(vcpu.run(LONG)).isEqualTo(new VmExit.Halt());
            assertThat(vcpu.specialRegisters().efer()).isEqualTo(SpecialRegisters.EFER_SCE);
            vm.setMsrExits(Set.of(X86Vm.MsrExitReason.FILTER, X86Vm.MsrExitReason.UNKNOWN));
            assertThat(vcpu.run(LONG)).isEqualTo(new VmExit.ReadMsr(Msr.STAR, 8));
            vcpu.respond(5);
            assertThat(vcpu.run(LONG)).isEqualTo(new VmExit.WriteMsr(unknown, 2, 9));
            vcpu.respondFault();
            assertThat(vcpu.run(LONG)).isEqualTo(new VmExit.Halt());
        }
    }

    @Test
    void loadsAndStoresAreInMemoryWhereThereIsSomeAcrossItsPages() {
        try (var hypervisor = ScriptedHypervisor.running(guest -> {
            guest.store(0xFFC, 8, 0x1122_3344_5566_7788L);
            assertThat(guest.load(0xFFC, 8)).isEqualTo(0x1122_3344_5566_7788L);
            guest.store(0x1FFE, 4, 0xAABB_CCDDL);
            guest.halt();
        })) {
            X86Vm vm = hypervisor.createVm();
            vm.addMemory(GuestAddress.ZERO, MemoryBacking.anonymous(0x2000));
            X86VCpu vcpu = vm.createVCpu(0);
            assertThat(vcpu.run(LONG))
                    .as("the part behind the end of memory")
                    .isEqualTo(new VmExit.MmioWrite(GuestAddress.of(0x2000), Bytes.copyOf((byte) 0xBB, (byte) 0xAA)));
            assertThat(vm.memory().readShort(0x1FFE)).isEqualTo((short) 0xCCDD);
            assertThat(vcpu.run(LONG)).isEqualTo(new VmExit.Halt());
        }
    }

    @Test
    void eachVCpuRunsItsOwnProgramFromTheBeginning() {
        try (var hypervisor = ScriptedHypervisor.builder()
                .program(guest -> guest.portOut(guest.vcpuId(), 1, 0))
                .program(1, ScriptedGuest::shutdown)
                .build()) {
            for (int vms = 0; vms < 2; vms++) {
                X86Vm vm = hypervisor.createVm();
                assertThat(vm.createVCpu(2).run(LONG))
                        .isInstanceOfSatisfying(
                                VmExit.PortOut.class,
                                out -> assertThat(out.port()).isEqualTo(2));
                assertThat(vm.createVCpu(1).run(LONG)).isEqualTo(new VmExit.Shutdown());
            }
        }
    }

    @Test
    void manyVmsLeaveNoThreadBehind() {
        AtomicInteger programs = new AtomicInteger();
        for (int i = 0; i < 200; i++) {
            try (var hypervisor = ScriptedHypervisor.running(guest -> {
                programs.incrementAndGet();
                try {
                    guest.spin();
                } finally {
                    programs.decrementAndGet();
                }
            })) {
                X86Vm vm = hypervisor.createVm();
                vm.createEventLoop(null).execute(() -> {});
                vm.createVCpu(0).run(Duration.ofNanos(1 + i * 5_000L));
            }
        }
        assertThat(programs).hasValue(0);
        assertThat(Thread.getAllStackTraces().keySet())
                .extracting(Thread::getName)
                .noneMatch(name -> name.startsWith("scripted VM"));
    }

    @Test
    void oneProcessorStartsTheOther() throws InterruptedException {
        try (var hypervisor = ScriptedHypervisor.builder()
                .program(0, guest -> guest.startProcessor(1))
                .program(1, ScriptedGuest::shutdown)
                .build()) {
            X86Vm vm = hypervisor.createVm();
            vm.createIrqChip();
            X86VCpu first = vm.createVCpu(0);
            X86VCpu second = vm.createVCpu(1);
            AtomicReference<VmExit> exit = new AtomicReference<>();
            Thread runner = Thread.ofPlatform().start(() -> exit.set(second.run(LONG)));
            assertThat(first.run(LONG)).isEqualTo(new VmExit.Halt());
            runner.join();
            assertThat(exit.get()).isEqualTo(new VmExit.Shutdown());
        }
    }
}
