package io.github.jkvm.it.x86;

import static io.github.jkvm.testkit.GuestAssertions.assertThat;
import static io.github.jkvm.testkit.asm.Mem.mem;
import static io.github.jkvm.testkit.asm.Reg32.EAX;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import io.github.jkvm.Bytes;
import io.github.jkvm.Capability;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.Hypervisor;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.UnsupportedCapabilityException;
import io.github.jkvm.VmExit;
import io.github.jkvm.kvm.ArmVCpu;
import io.github.jkvm.kvm.KvmException;
import io.github.jkvm.kvm.KvmX86Hypervisor;
import io.github.jkvm.kvm.KvmX86VCpu;
import io.github.jkvm.kvm.KvmX86Vm;
import io.github.jkvm.kvm.PmuEventFilter;
import io.github.jkvm.kvm.PmuEventFilter.Action;
import io.github.jkvm.kvm.PmuEventFilter.Encoding;
import io.github.jkvm.machine.boot.EntryMode;
import io.github.jkvm.testkit.MicroGuest;
import io.github.jkvm.testkit.MicroVm;
import io.github.jkvm.testkit.RequiresKvm;
import io.github.jkvm.x86.Msr;
import io.github.jkvm.x86.Registers;
import io.github.jkvm.x86.X86Vm;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

@MicroVm
class KvmExtrasTest {
    private static final int KVM_SEV_INIT = 0;
    private static final int KVM_CAP_ONE_REG = 70;
    private static final int KVM_CAP_SYS_HYPERV_CPUID = 191;

    private static final Duration LONG = Duration.ofSeconds(60);

    @MicroVm(mode = EntryMode.REAL16, deadline = "60s")
    private MicroGuest guest;

    private KvmX86Vm vm;

    @BeforeEach
    void takeTheVm() {
        vm = KvmX86Vm.of(guest.vm());
    }

    @Test
    void keepsNestedState() {
        KvmX86VCpu vcpu = KvmX86VCpu.of(guest.vcpu());
        if (!vm.supports(Capability.NESTED_STATE)) {
            assertThatExceptionOfType(UnsupportedCapabilityException.class)
                    .isThrownBy(vcpu::nestedState)
                    .withMessageContaining("NESTED_STATE");
            assertThatExceptionOfType(UnsupportedCapabilityException.class)
                    .isThrownBy(() -> vcpu.setNestedState(Bytes.copyOf(new byte[128])));
            return;
        }
        Bytes state = vcpu.nestedState();
        // The header of struct kvm_nested_state has 128 bytes.
        assertThat(state.length()).isGreaterThanOrEqualTo(128);
        vcpu.setNestedState(state);
        assertThat(vcpu.nestedState()).isEqualTo(state);
    }

    @Test
    @RequiresKvm(Capability.NESTED_STATE)
    void refusesNestedStateShorterThanItSays() {
        KvmX86VCpu vcpu = KvmX86VCpu.of(guest.vcpu());
        byte[] state = new byte[128];
        state[5] = 0x10; // size 4096
        assertThatIllegalArgumentException()
                .isThrownBy(() -> vcpu.setNestedState(Bytes.copyOf(state)))
                .withMessageContaining("nested state of 128 bytes tells that it has 4096");
    }

    @Test
    void choosesTheEventsThatTheGuestCounts() {
        var filter = new PmuEventFilter(Action.DENY, Encoding.EVENTS, List.of(0xC0L, 0x3CL), 0);
        if (vm.supports(Capability.PMU_EVENT_FILTER)) {
            vm.setPmuEventFilter(filter);
            assertThatExceptionOfType(KvmException.class)
                    .isThrownBy(() -> vm.setPmuEventFilter(
                            new PmuEventFilter(Action.ALLOW, Encoding.EVENTS, Collections.nCopies(5000, 0xC0L), 0)))
                    .withMessageContaining("KVM_SET_PMU_EVENT_FILTER")
                    .withMessageContaining("ALLOW of 5000 events")
                    .withMessageContaining("more events than the host takes");
        } else {
            assertThatExceptionOfType(UnsupportedCapabilityException.class)
                    .isThrownBy(() -> vm.setPmuEventFilter(filter))
                    .withMessageContaining("PMU_EVENT_FILTER");
        }
    }

    @Test
    void refusesSevCommandsWhereThereIsNoEncryptedMemory() {
        assumeFalse(Files.exists(Path.of("/dev/sev")), "this host has encrypted memory");
        assertThatExceptionOfType(KvmException.class)
                .isThrownBy(() -> vm.sevCommand(KVM_SEV_INIT, Bytes.copyOf()))
                .withMessageContaining("KVM_MEMORY_ENCRYPT_OP")
                .withMessageContaining("SEV command 0, opening /dev/sev")
                .withMessageContaining("the host has no encrypted memory (AMD SEV)");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> vm.sevCommand(KVM_SEV_INIT, Bytes.copyOf(new byte[4097])))
                .withMessageContaining("at most 4096");
    }

    @Test
    void refusesToRegisterRegionsOfVmsWithoutEncryptedMemory() {
        MemoryRegion region = vm.memory().regions().getFirst();
        assertThatExceptionOfType(KvmException.class)
                .isThrownBy(() -> vm.registerEncryptedRegion(region))
                .withMessageContaining("KVM_MEMORY_ENCRYPT_REG_REGION")
                .withMessageContaining("encrypted memory");
        assertThatExceptionOfType(KvmException.class)
                .isThrownBy(() -> vm.unregisterEncryptedRegion(region))
                .withMessageContaining("KVM_MEMORY_ENCRYPT_UNREG_REGION")
                .withMessageContaining("encrypted memory");
    }

    @Test
    void refusesRegionsOfOtherVms() {
        MemoryRegion other = MemoryRegion.onHeap(GuestAddress.ZERO, 4096);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> vm.registerEncryptedRegion(other))
                .withMessageContaining("is not a region of this VM");
    }

    /** Linux, arch/x86/include/uapi/asm/kvm.h since 6.18: KVM_X86_REG_MSR(index). */
    private static long msr(int index) {
        return 0x2030_0002_0000_0000L | Integer.toUnsignedLong(index);
    }

    @Test
    void readsAndSetsRegistersByNumber() {
        KvmX86VCpu vcpu = KvmX86VCpu.of(guest.vcpu());
        vcpu.setMsrs(List.of(new Msr(Msr.STAR, 0x1234_5678_0000_0000L)));
        if (vm.checkExtension(KVM_CAP_ONE_REG) == 0) {
            assertThatExceptionOfType(KvmException.class)
                    .isThrownBy(() -> vcpu.oneRegisters().get(msr(Msr.STAR)))
                    .withMessageContaining("KVM_GET_ONE_REG")
                    .withMessageContaining("register 0x20300002c0000081")
                    .withMessageContaining("Linux 6.18 or later");
            assertThatExceptionOfType(KvmException.class)
                    .isThrownBy(() -> vcpu.oneRegisters().ids())
                    .withMessageContaining("KVM_GET_REG_LIST");
            return;
        }
        assertThat(vcpu.oneRegisters().get(msr(Msr.STAR)).toLong()).isEqualTo(0x1234_5678_0000_0000L);
        vcpu.oneRegisters()
                .set(
                        msr(Msr.STAR),
                        Bytes.copyOf((byte) 0, (byte) 0, (byte) 0, (byte) 0, (byte) 1, (byte) 0, (byte) 0, (byte) 0));
        assertThat(vcpu.msrs(List.of(Msr.STAR))).containsExactly(new Msr(Msr.STAR, 1L << 32));
        assertThat(vcpu.oneRegisters().ids()).doesNotHaveDuplicates();
        assertThatExceptionOfType(KvmException.class)
                .isThrownBy(() -> vcpu.oneRegisters().get(msr(0x7FFF_1234)))
                .withMessageContaining("the vCPU has no such register");
    }

    @Test
    void refusesRegisterValuesOfTheWrongSize() {
        KvmX86VCpu vcpu = KvmX86VCpu.of(guest.vcpu());
        assertThatIllegalArgumentException()
                .isThrownBy(() -> vcpu.oneRegisters().set(msr(Msr.STAR), Bytes.copyOf((byte) 1)))
                .withMessage("register 0x20300002c0000081 has 8 bytes; got 1");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> vcpu.oneRegisters().get(0x20F0_0000_0000_0000L))
                .withMessageContaining("size code 15 in bits 52 to 55");
    }

    @Test
    void refusesTheCallsOfArm() {
        ArmVCpu vcpu = ArmVCpu.of(guest.vcpu());
        assertThatExceptionOfType(KvmException.class)
                .isThrownBy(vcpu::preferredTarget)
                .withMessageContaining("KVM_ARM_PREFERRED_TARGET")
                .withMessageContaining("only Arm hosts have this call");
        assertThatExceptionOfType(KvmException.class)
                .isThrownBy(() -> vcpu.init(new ArmVCpu.Target(5, Collections.nCopies(7, 0))))
                .withMessageContaining("KVM_ARM_VCPU_INIT")
                .withMessageContaining("only Arm hosts have this call");
        assertThatExceptionOfType(KvmException.class)
                .isThrownBy(() -> vcpu.finalizeFeature(4))
                .withMessageContaining("KVM_ARM_VCPU_FINALIZE")
                .withMessageContaining("feature 4");
    }

    @Test
    void fillsPageTablesAheadOfUse() {
        KvmX86VCpu vcpu = KvmX86VCpu.of(guest.vcpu());
        if (vm.supports(Capability.PRE_FAULT_MEMORY)) {
            vcpu.preFaultMemory(GuestAddress.ZERO, 1 << 16);
            assertThatExceptionOfType(KvmException.class)
                    .isThrownBy(() -> vcpu.preFaultMemory(new GuestAddress(1 << 30), 4096))
                    .withMessageContaining("KVM_PRE_FAULT_MEMORY")
                    .withMessageContaining("there is no memory at this address");
        } else {
            assertThatExceptionOfType(UnsupportedCapabilityException.class)
                    .isThrownBy(() -> vcpu.preFaultMemory(GuestAddress.ZERO, 1 << 16))
                    .withMessageContaining("PRE_FAULT_MEMORY");
        }
        assertThatIllegalArgumentException().isThrownBy(() -> vcpu.preFaultMemory(new GuestAddress(-4096), 8192));
    }

    @Test
    void refusesCapabilitiesThatAVCpuDoesNotHave() {
        KvmX86VCpu vcpu = KvmX86VCpu.of(guest.vcpu());
        assertThatExceptionOfType(KvmException.class)
                .isThrownBy(() -> vcpu.enableCapability(Integer.MAX_VALUE, 1))
                .withMessageContaining("KVM_ENABLE_CAP")
                .withMessageContaining("capability 2147483647, [1]");
    }

    @Test
    void tellsWhatCpuidAnswersToGuestsOfHyperV() {
        try (var hypervisor = (KvmX86Hypervisor) Hypervisor.open()) {
            if (hypervisor.checkExtension(KVM_CAP_SYS_HYPERV_CPUID) == 0) {
                assertThatExceptionOfType(KvmException.class)
                        .isThrownBy(hypervisor::hypervCpuid)
                        .withMessageContaining("KVM_GET_SUPPORTED_HV_CPUID")
                        .withMessageContaining("does not offer Hyper-V's interface");
            } else {
                // Hypervisor Top Level Functional Specification, 2.4: leaf 0x40000001 is the interface, "Hv#1".
                assertThat(hypervisor.hypervCpuid())
                        .anyMatch(entry -> entry.function() == 0x4000_0001 && entry.eax() == 0x3123_7648);
            }
        }
    }

    /** SDM volume 3, 12.8.3.1: the task priority register is at 0x80 of the local APIC's page. */
    @Test
    void reportsAccessesToTheTaskPriority() {
        try (MicroGuest apicGuest = MicroGuest.builder()
                .mode(EntryMode.PROTECTED32)
                .prepare(X86Vm::createIrqChip)
                .build(code -> code.mov(mem(0xFEE0_0080L), EAX).jmp(code.here("forever")))) {
            KvmX86VCpu vcpu = KvmX86VCpu.of(apicGuest.vcpu());
            vcpu.startTprReports();
            VmExit exit = vcpu.run(LONG);
            assertThat(exit)
                    .isInstanceOfSatisfying(
                            VmExit.TprAccess.class,
                            access -> assertThat(access.access()).isEqualTo(VmExit.Access.WRITE));
            vcpu.stopTprReports();
            vcpu.setRegisters(Registers.INITIAL.withRip(apicGuest.codeAddress()));
            VmExit next = vcpu.run(Duration.ofMillis(200));
            assertThat(next).isNotInstanceOf(VmExit.TprAccess.class);
        }
    }
}
