package io.github.jkvm.it.x86;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.github.jkvm.Capability;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.Hypervisor;
import io.github.jkvm.kvm.KvmException;
import io.github.jkvm.testkit.RequiresKvm;
import io.github.jkvm.x86.ClockState;
import io.github.jkvm.x86.IrqChipState;
import io.github.jkvm.x86.IrqChipState.Ioapic;
import io.github.jkvm.x86.PitState;
import io.github.jkvm.x86.X86Vm;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

@RequiresKvm
class VmStateTest {
    private final Hypervisor hypervisor = Hypervisor.open();
    private final X86Vm vm = X86Vm.of(hypervisor.createVm());

    @AfterEach
    void close() {
        hypervisor.close();
    }

    @Test
    void reservesThePagesOfIntelProcessors() {
        assertThatCode(() -> vm.setTssAddress(new GuestAddress(0xFFFB_D000L))).doesNotThrowAnyException();
        assertThatCode(() -> vm.setIdentityMapAddress(new GuestAddress(0xFFFB_C000L)))
                .doesNotThrowAnyException();
    }

    @Test
    void refusesToReservePagesAbove4GiB() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> vm.setTssAddress(new GuestAddress(0xFFFF_E000L)))
                .withMessageContaining("0xffffe000 (12288 bytes)")
                .withMessageContaining("end below 4 GiB");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> vm.setIdentityMapAddress(new GuestAddress(1L << 32)))
                .withMessageContaining("end below 4 GiB");
        assertThatIllegalArgumentException().isThrownBy(() -> vm.setIdentityMapAddress(new GuestAddress(-4096)));
    }

    @Test
    void refusesToMoveTheIdentityMapOnceThereIsAVCpu() {
        vm.createVCpu(0);
        assertThatExceptionOfType(KvmException.class)
                .isThrownBy(() -> vm.setIdentityMapAddress(new GuestAddress(0xFFFB_C000L)))
                .withMessageContaining("KVM_SET_IDENTITY_MAP_ADDR")
                .withMessageContaining("call setIdentityMapAddress before createVCpu");
    }

    @Test
    @RequiresKvm(Capability.SET_BOOT_CPU_ID)
    void choosesTheVCpuThatStarts() {
        vm.setBootCpuId(1);
        vm.createIrqChip();
        // SDM volume 3, 12.4.4: bit 8 of IA32_APIC_BASE tells the processor that starts.
        assertThat(vm.createVCpu(0).specialRegisters().apicBase() & 1 << 8).isZero();
        assertThat(vm.createVCpu(1).specialRegisters().apicBase() & 1 << 8).isNotZero();
    }

    @Test
    @RequiresKvm(Capability.SET_BOOT_CPU_ID)
    void refusesToChooseTheVCpuThatStartsOnceThereIsOne() {
        assertThatIllegalArgumentException().isThrownBy(() -> vm.setBootCpuId(-1));
        vm.createVCpu(0);
        assertThatExceptionOfType(KvmException.class)
                .isThrownBy(() -> vm.setBootCpuId(1))
                .withMessageContaining("KVM_SET_BOOT_CPU_ID")
                .withMessageContaining("EBUSY")
                .withMessageContaining("call setBootCpuId before createVCpu");
    }

    @Test
    void createsInterruptControllersOnce() {
        vm.createIrqChip();
        assertThatExceptionOfType(KvmException.class)
                .isThrownBy(vm::createIrqChip)
                .withMessageContaining("KVM_CREATE_IRQCHIP")
                .withMessageContaining("EEXIST")
                .withMessageContaining("there is a controller already");
    }

    @Test
    void refusesInterruptControllersOnceThereIsAVCpu() {
        vm.createVCpu(0);
        assertThatExceptionOfType(KvmException.class)
                .isThrownBy(vm::createIrqChip)
                .withMessageContaining("call createIrqChip before createVCpu");
    }

    @Test
    @RequiresKvm(Capability.SPLIT_IRQCHIP)
    void putsOnlyLocalApicsIntoTheHypervisor() {
        vm.enableSplitIrqChip(24);
        assertThat(vm.createVCpu(0).lapic()).isNotNull();
        assertThatExceptionOfType(KvmException.class)
                .isThrownBy(vm::irqChip)
                .withMessageContaining("KVM_GET_IRQCHIP")
                .withMessageContaining("call createIrqChip first");
    }

    @Test
    @RequiresKvm(Capability.SPLIT_IRQCHIP)
    void refusesASplitControllerBesideAWholeOne() {
        vm.createIrqChip();
        assertThatExceptionOfType(KvmException.class)
                .isThrownBy(() -> vm.enableSplitIrqChip(24))
                .withMessageContaining("KVM_ENABLE_CAP")
                .withMessageContaining("SPLIT_IRQCHIP, 24 pins")
                .withMessageContaining("there is a controller or a vCPU already");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> vm.enableSplitIrqChip(1025))
                .withMessageContaining("0 to 1024");
    }

    @Test
    void keepsTheInterruptControllers() {
        vm.createIrqChip();
        IrqChipState before = vm.irqChip();
        List<Long> table = new ArrayList<>(before.ioapic().redirectionTable());
        // 82093AA, 3.2.4: vector 0x31, level-triggered (bit 15), masked (bit 16).
        table.set(5, 0x1_8031L);
        var ioapic = new Ioapic(
                before.ioapic().baseAddress(),
                before.ioapic().ioregsel(),
                before.ioapic().id(),
                0,
                table);
        var changed = new IrqChipState(pic(before.master(), 0x20), pic(before.slave(), 0x28), ioapic);
        vm.setIrqChip(changed);
        assertThat(vm.irqChip()).isEqualTo(changed);
    }

    private static IrqChipState.Pic pic(IrqChipState.Pic before, int base) {
        return new IrqChipState.Pic(
                before.lastIrr(),
                before.irr(),
                0xFF,
                before.isr(),
                before.priorityAdd(),
                base,
                before.readRegSelect(),
                before.poll(),
                before.specialMask(),
                before.initState(),
                before.autoEoi(),
                before.rotateOnAutoEoi(),
                before.specialFullyNestedMode(),
                before.init4(),
                before.elcr(),
                before.elcrMask());
    }

    @Test
    void refusesTheStateOfInterruptControllersThatDoNotExist() {
        assertThatExceptionOfType(KvmException.class)
                .isThrownBy(vm::irqChip)
                .withMessageContaining("KVM_GET_IRQCHIP")
                .withMessageContaining("call createIrqChip first");
    }

    @Test
    void keepsTheTimer() {
        vm.createIrqChip();
        vm.createPit();
        PitState before = vm.pit();
        PitState.Channel second = before.channels().get(2);
        var changed = new PitState(
                List.of(
                        before.channels().get(0),
                        before.channels().get(1),
                        new PitState.Channel(
                                0x1234,
                                second.latchedCount(),
                                second.countLatched(),
                                second.statusLatched(),
                                second.status(),
                                second.readState(),
                                second.writeState(),
                                second.writeLatch(),
                                3,
                                2,
                                second.bcd(),
                                1,
                                second.countLoadTime())),
                before.flags());
        vm.setPit(changed);
        PitState.Channel after = vm.pit().channels().get(2);
        assertThat(after.count()).isEqualTo(0x1234);
        assertThat(after.mode()).isEqualTo(2);
        assertThat(after.gate()).isEqualTo(1);
    }

    @Test
    void createsTheTimerOnce() {
        vm.createIrqChip();
        vm.createPit();
        assertThatExceptionOfType(KvmException.class)
                .isThrownBy(vm::createPit)
                .withMessageContaining("KVM_CREATE_PIT2")
                .withMessageContaining("there is a timer already");
    }

    @Test
    void refusesATimerWithoutInterruptControllers() {
        assertThatExceptionOfType(KvmException.class)
                .isThrownBy(vm::createPit)
                .withMessageContaining("call createIrqChip first");
        assertThatExceptionOfType(KvmException.class)
                .isThrownBy(vm::pit)
                .withMessageContaining("KVM_GET_PIT2")
                .withMessageContaining("call createPit first");
    }

    @Test
    void setsTheClockThatTheGuestReads() {
        vm.setClock(new ClockState(1_000_000_000_000L, 0, 0, 0));
        ClockState clock = vm.clock();
        assertThat(clock.clock()).isBetween(1_000_000_000_000L, 1_060_000_000_000L);
        assertThat(vm.clock().clock()).isGreaterThanOrEqualTo(clock.clock());
    }

    @Test
    void refusesClockFlagsThatDoNotExist() {
        assertThatExceptionOfType(KvmException.class)
                .isThrownBy(() -> vm.setClock(new ClockState(0, 1 << 30, 0, 0)))
                .withMessageContaining("KVM_SET_CLOCK")
                .withMessageContaining("does not know one of the flags");
    }

    @Test
    void refusesUseAfterClose() {
        vm.close();
        assertThatIllegalStateException().isThrownBy(vm::clock).withMessageContaining("closed");
        assertThatIllegalStateException().isThrownBy(vm::createIrqChip).withMessageContaining("closed");
        assertThatIllegalStateException().isThrownBy(() -> vm.setMsrExits(java.util.Set.of()));
    }
}
