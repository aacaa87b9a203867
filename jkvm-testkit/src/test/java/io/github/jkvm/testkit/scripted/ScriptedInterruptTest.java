package io.github.jkvm.testkit.scripted;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.EventLoop;
import io.github.jkvm.HypervisorException;
import io.github.jkvm.Interrupt;
import io.github.jkvm.InterruptRoute;
import io.github.jkvm.MessageInterrupt;
import io.github.jkvm.Vm;
import io.github.jkvm.VmExit;
import io.github.jkvm.x86.X86VCpu;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** How interrupts reach a scripted guest, and a test that has no guest to take them. */
class ScriptedInterruptTest {
    private static final Duration LONG = Duration.ofSeconds(60);

    /** Where x86 guests have their messages written (SDM volume 3, 12.11.1). */
    private static final long APIC = 0xFEE0_0000L;

    private static ScriptedVm withControllers(ScriptedHypervisor hypervisor) {
        ScriptedVm vm = hypervisor.createVm();
        vm.createIrqChip();
        return vm;
    }

    @Test
    void messagesAreRecordedAndMergeUntilTheGuestTakesThem() {
        try (var hypervisor = ScriptedHypervisor.create()) {
            ScriptedVm vm = withControllers(hypervisor);
            MessageInterrupt interrupt = vm.messageInterrupt();
            interrupt.signal();
            assertThat(vm.recordedInterrupts())
                    .as("without a message, signals are lost")
                    .isEmpty();
            interrupt.setMessage(APIC, 0x41);
            interrupt.signal();
            interrupt.signal();
            assertThat(vm.sendMessage(APIC, 0x41)).isEqualTo(Vm.Delivery.BLOCKED);
            assertThat(vm.sendMessage(APIC, 0x42)).isEqualTo(Vm.Delivery.DELIVERED);
            assertThat(vm.recordedInterrupts())
                    .containsExactly(new GuestInterrupt.Message(APIC, 0x41), new GuestInterrupt.Message(APIC, 0x42));
        }
    }

    @Test
    void aNumberIsWhatItIsRoutedTo() {
        try (var hypervisor = ScriptedHypervisor.create()) {
            ScriptedVm vm = withControllers(hypervisor);
            Interrupt fifth = vm.interrupt(5);
            Interrupt far = vm.interrupt(100);
            fifth.signal();
            far.signal();
            vm.setInterruptRoutes(List.of(new InterruptRoute.Message(100, APIC, 0x33)));
            fifth.signal();
            far.signal();
            assertThat(vm.recordedInterrupts())
                    .containsExactly(new GuestInterrupt.Edge(5), new GuestInterrupt.Message(APIC, 0x33));
        }
    }

    @Test
    void aLineTellsTheTestWhetherItIsAsserted() {
        try (var hypervisor = ScriptedHypervisor.create()) {
            ScriptedVm vm = withControllers(hypervisor);
            vm.interruptLine(6).raise();
            assertThat(vm.isAsserted(6)).isTrue();
            vm.interruptLine(6).lower();
            assertThat(vm.isAsserted(6)).isFalse();
            assertThat(vm.recordedInterrupts()).containsExactly(new GuestInterrupt.Line(6));
        }
    }

    @Test
    void theEndOfAResampledInterruptLowersItsLineAndTellsTheDevice() throws InterruptedException {
        GuestProgram program = guest -> {
            GuestInterrupt taken = guest.waitForInterrupt();
            assertThat(taken).isEqualTo(new GuestInterrupt.Line(9));
            guest.endInterrupt(taken);
            assertThat(guest.takeInterrupt()).isEmpty();
            guest.shutdown();
        };
        try (var hypervisor = ScriptedHypervisor.running(program)) {
            ScriptedVm vm = withControllers(hypervisor);
            CountDownLatch told = new CountDownLatch(1);
            EventLoop loop = vm.createEventLoop(null);
            vm.resampledInterrupt(9, loop, told::countDown).signal();
            assertThat(vm.createVCpu(0).run(LONG)).isEqualTo(new VmExit.Shutdown());
            assertThat(told.await(60, TimeUnit.SECONDS)).isTrue();
            assertThat(vm.isAsserted(9)).isFalse();
        }
    }

    @Test
    void aHaltedVCpuWithoutControllersIsGivenItsInterruptsByTheProgram() {
        GuestProgram program = guest -> {
            assertThat(guest.waitForInterrupt()).isEqualTo(new GuestInterrupt.Vector(0x30));
            assertThat(guest.waitForInterrupt()).isEqualTo(new GuestInterrupt.NonMaskable());
            guest.shutdown();
        };
        try (var hypervisor = ScriptedHypervisor.running(program)) {
            X86VCpu vcpu = hypervisor.createVm().createVCpu(0);
            assertThat(vcpu.run(LONG)).isEqualTo(new VmExit.Halt());
            vcpu.queueInterrupt(0x30);
            assertThat(vcpu.run(LONG)).isEqualTo(new VmExit.Halt());
            vcpu.nmi();
            assertThat(vcpu.run(LONG)).isEqualTo(new VmExit.Shutdown());
        }
    }

    @Test
    void vectorsAreNotQueuedBesideControllers() {
        try (var hypervisor = ScriptedHypervisor.create()) {
            X86VCpu vcpu = withControllers(hypervisor).createVCpu(0);
            assertThatThrownBy(() -> vcpu.queueInterrupt(0x30)).isInstanceOf(HypervisorException.class);
            assertThatThrownBy(() -> vcpu.queueInterrupt(256)).isInstanceOf(IllegalArgumentException.class);
        }
    }

    @Test
    void aSplitControllerHasMessagesButNoLines() {
        try (var hypervisor = ScriptedHypervisor.create()) {
            ScriptedVm vm = hypervisor.createVm();
            vm.enableSplitIrqChip(24);
            assertThatThrownBy(() -> vm.interruptLine(3))
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("the IOAPIC of a split irqchip is the program's own");
            assertThatThrownBy(() -> vm.setInterruptRoutes(List.of(new InterruptRoute.Pin(3, 2, 3))))
                    .isInstanceOf(IllegalArgumentException.class);
            assertThat(vm.sendMessage(APIC, 1)).isEqualTo(Vm.Delivery.DELIVERED);
        }
    }
}
