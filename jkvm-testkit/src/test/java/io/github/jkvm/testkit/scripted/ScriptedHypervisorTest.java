package io.github.jkvm.testkit.scripted;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.Capability;
import io.github.jkvm.Doorbell;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.Hypervisor;
import io.github.jkvm.HypervisorException;
import io.github.jkvm.MemoryBacking;
import io.github.jkvm.UnsupportedCapabilityException;
import io.github.jkvm.x86.CpuidEntry;
import io.github.jkvm.x86.FpuState;
import io.github.jkvm.x86.GuestDebug;
import io.github.jkvm.x86.IrqChipState;
import io.github.jkvm.x86.LapicState;
import io.github.jkvm.x86.Msr;
import io.github.jkvm.x86.Registers;
import io.github.jkvm.x86.SpecialRegisters2;
import io.github.jkvm.x86.X86Hypervisor;
import io.github.jkvm.x86.X86VCpu;
import io.github.jkvm.x86.Xcr;
import io.github.jkvm.x86.XsaveState;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** What the scripted hypervisor claims, and the x86 state that it keeps. */
class ScriptedHypervisorTest {

    @Test
    void isFoundByNobodyWhoDoesNotAskForIt() {
        assertThat(Hypervisor.available().reason()).doesNotContain("scripted");
    }

    @Test
    void refusesWhatItDoesNotClaim() {
        try (var hypervisor = ScriptedHypervisor.builder()
                .without(Capability.IOEVENTFD, Capability.IRQCHIP)
                .build()) {
            assertThat(hypervisor.supports(Capability.IOEVENTFD)).isFalse();
            assertThat(hypervisor.supports(Capability.IRQFD)).isTrue();
            assertThat(hypervisor.supports(Capability.DIRTY_RING)).isFalse();
            var vm = hypervisor.createVm();
            assertThat(vm.supports(Capability.IRQCHIP)).isFalse();
            assertThatThrownBy(vm::createIrqChip)
                    .isInstanceOfSatisfying(
                            UnsupportedCapabilityException.class,
                            missing -> assertThat(missing.capability()).isEqualTo(Capability.IRQCHIP));
            assertThatThrownBy(() -> vm.doorbell(Doorbell.Match.port(1, 1)))
                    .isInstanceOf(UnsupportedCapabilityException.class)
                    .hasMessageContaining("has no IOEVENTFD, needed for a doorbell");
        }
    }

    @Test
    void hasTheLimitsThatItIsGiven() {
        try (var hypervisor =
                ScriptedHypervisor.builder().maxVCpus(2).maxMemoryRegions(1).build()) {
            assertThat(hypervisor.maxVCpus()).isEqualTo(2);
            assertThat(hypervisor.maxMemoryRegions()).isEqualTo(1);
            var vm = hypervisor.createVm();
            assertThatThrownBy(() -> vm.createVCpu(2)).hasMessage("vCPU id 2 must be from 0 to 1");
            vm.addMemory(GuestAddress.ZERO, MemoryBacking.anonymous(4096));
            assertThatThrownBy(() -> vm.addMemory(GuestAddress.of(4096), MemoryBacking.anonymous(4096)))
                    .isInstanceOf(HypervisorException.class)
                    .hasMessageContaining("allows 1 memory regions");
        }
        assertThatThrownBy(() -> ScriptedHypervisor.builder().maxVCpus(0)).isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void isToldApartFromOthers() {
        try (var hypervisor = ScriptedHypervisor.create()) {
            assertThat(X86Hypervisor.of(hypervisor)).isSameAs(hypervisor);
            var vm = ((Hypervisor) hypervisor).createVm();
            assertThat(ScriptedVm.of(vm)).isSameAs(vm);
            assertThat(vm.hypervisor()).isSameAs(hypervisor);
            assertThat(hypervisor.description()).contains("scripted");
        }
    }

    @Test
    void keepsTheStateOfAVCpu() {
        try (var hypervisor = ScriptedHypervisor.create()) {
            var vm = hypervisor.createVm();
            vm.createIrqChip();
            X86VCpu vcpu = vm.createVCpu(0);
            assertThat(vcpu.registers().rip()).as("power-on").isEqualTo(0xFFF0);
            assertThat(vcpu.specialRegisters().cs().base()).isEqualTo(0xFFFF_0000L);
            Registers registers = Registers.INITIAL.withRip(0x1234).withRsp(0x8000);
            vcpu.setRegisters(registers);
            assertThat(vcpu.registers()).isEqualTo(registers);
            vcpu.setCpuid(hypervisor.supportedCpuid());
            assertThat(vcpu.cpuid()).isEqualTo(hypervisor.supportedCpuid());
            vcpu.setMsrs(List.of(new Msr(Msr.LSTAR, 5), new Msr(Msr.APIC_BASE, 0xFEE0_0900L)));
            assertThat(vcpu.msrs(List.of(Msr.APIC_BASE, Msr.LSTAR)))
                    .containsExactly(new Msr(Msr.APIC_BASE, 0xFEE0_0900L), new Msr(Msr.LSTAR, 5));
            assertThat(vcpu.specialRegisters().apicBase()).isEqualTo(0xFEE0_0900L);
            LapicState lapic = vcpu.lapic().withRegister(LapicState.SPURIOUS_VECTOR, 0x1FF);
            vcpu.setLapic(lapic);
            assertThat(vcpu.lapic()).isEqualTo(lapic);
            vcpu.setFpu(FpuState.INITIAL);
            assertThat(vcpu.fpu()).isEqualTo(FpuState.INITIAL);
            XsaveState xsave = vcpu.xsave();
            vcpu.setXsave(xsave);
            vcpu.setXcrs(List.of(new Xcr(0, 3)));
            assertThat(vcpu.xcrs()).containsExactly(new Xcr(0, 3));
            vcpu.setDebugRegisters(vcpu.debugRegisters());
            vcpu.setEvents(vcpu.events());
            SpecialRegisters2 special = vcpu.specialRegisters2();
            vcpu.setSpecialRegisters2(special);
            vcpu.setTscKhz(2_000);
            assertThat(vcpu.tscKhz()).isEqualTo(2_000);
            assertThat(vcpu.translate(0x1234).physicalAddress()).isEqualTo(0x1234);
        }
    }

    @Test
    void refusesStateThatKvmRefuses() {
        try (var hypervisor = ScriptedHypervisor.create()) {
            X86VCpu vcpu = hypervisor.createVm().createVCpu(0);
            assertThatThrownBy(() -> vcpu.msrs(List.of(Msr.EFER, 0x4B00_1234)))
                    .isInstanceOf(HypervisorException.class)
                    .hasMessageContaining("MSR 0x4b001234 refused, number 2 of 2");
            assertThatThrownBy(vcpu::lapic).isInstanceOf(HypervisorException.class);
            assertThatThrownBy(() -> vcpu.setXcrs(List.of(new Xcr(1, 0)))).isInstanceOf(HypervisorException.class);
            assertThatThrownBy(vcpu::smi).isInstanceOf(UnsupportedCapabilityException.class);
            assertThatThrownBy(vcpu::notifyPaused).isInstanceOf(HypervisorException.class);
            assertThatThrownBy(() ->
                            vcpu.setGuestDebug(new GuestDebug(Set.of(GuestDebug.Feature.SINGLE_STEP), List.of(), 0)))
                    .isInstanceOf(UnsupportedCapabilityException.class);
            vcpu.setGuestDebug(GuestDebug.OFF);
            vcpu.run();
            assertThatThrownBy(() -> vcpu.setCpuid(List.of(new CpuidEntry(0, 0, 0, 0, 0, 0, 0))))
                    .isInstanceOf(HypervisorException.class)
                    .hasMessageContaining("the vCPU has run");
        }
    }

    @Test
    void keepsTheStateOfTheBoard() {
        try (var hypervisor = ScriptedHypervisor.create()) {
            var vm = hypervisor.createVm();
            vm.setIdentityMapAddress(GuestAddress.of(0xFEFF_C000L));
            vm.setTssAddress(GuestAddress.of(0xFEFF_D000L));
            assertThatThrownBy(vm::irqChip).isInstanceOf(HypervisorException.class);
            assertThatThrownBy(vm::createPit).isInstanceOf(HypervisorException.class);
            vm.createIrqChip();
            vm.createPit();
            IrqChipState chip = vm.irqChip();
            vm.setIrqChip(chip);
            assertThat(vm.irqChip()).isEqualTo(chip);
            vm.setPit(vm.pit());
            vm.setClock(vm.clock());
            vm.createVCpu(0);
            assertThatThrownBy(() -> vm.setBootCpuId(1)).isInstanceOf(HypervisorException.class);
            assertThatThrownBy(() -> vm.setTssAddress(GuestAddress.of(1L << 32)))
                    .isInstanceOf(IllegalArgumentException.class);
        }
    }
}
