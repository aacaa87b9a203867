package io.github.jkvm.it.x86;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import io.github.jkvm.Bytes;
import io.github.jkvm.Capability;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.MemoryBacking;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.UnsupportedCapabilityException;
import io.github.jkvm.kvm.KvmException;
import io.github.jkvm.kvm.KvmX86VCpu;
import io.github.jkvm.kvm.KvmX86Vm;
import io.github.jkvm.kvm.PmuEventFilter;
import io.github.jkvm.kvm.PmuEventFilter.Action;
import io.github.jkvm.kvm.PmuEventFilter.Encoding;
import io.github.jkvm.testkit.RequiresKvm;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

@RequiresKvm
class KvmExtrasTest {
    private static final int HLT = 0xF4;
    private static final int KVM_SEV_INIT = 0;

    private final X86Machine machine = new X86Machine();
    private final KvmX86Vm vm = KvmX86Vm.of(machine.vm);

    @AfterEach
    void close() {
        machine.close();
    }

    @Test
    void keepsNestedState() {
        KvmX86VCpu vcpu = KvmX86VCpu.of(machine.vcpu(HLT));
        if (!vm.supports(Capability.NESTED_STATE)) {
            assertThatExceptionOfType(UnsupportedCapabilityException.class)
                    .isThrownBy(vcpu::nestedState)
                    .withMessageContaining("NESTED_STATE");
            assertThatExceptionOfType(UnsupportedCapabilityException.class)
                    .isThrownBy(() -> vcpu.setNestedState(Bytes.copyOf(new byte[128])));
            return;
        }
        vcpu.setCpuid(machine.hypervisor.supportedCpuid());
        Bytes state = vcpu.nestedState();
        // The header of struct kvm_nested_state has 128 bytes.
        assertThat(state.length()).isGreaterThanOrEqualTo(128);
        vcpu.setNestedState(state);
        assertThat(vcpu.nestedState()).isEqualTo(state);
    }

    @Test
    @RequiresKvm(Capability.NESTED_STATE)
    void refusesNestedStateShorterThanItSays() {
        KvmX86VCpu vcpu = KvmX86VCpu.of(machine.vcpu(HLT));
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
        MemoryRegion region = vm.addMemory(GuestAddress.ZERO, MemoryBacking.anonymous(1 << 16));
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
}
