package io.github.jkvm.it;

import static io.github.jkvm.testkit.GuestAssertions.assertThat;
import static io.github.jkvm.testkit.MicroGuest.REPORT_PORT;
import static io.github.jkvm.testkit.asm.Mem.mem;
import static io.github.jkvm.testkit.asm.Reg32.EAX;
import static io.github.jkvm.testkit.asm.Reg8.AL;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.Capability;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.HypervisorException;
import io.github.jkvm.MemoryBacking;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.UnsupportedCapabilityException;
import io.github.jkvm.kvm.GuestMemfd;
import io.github.jkvm.kvm.KvmException;
import io.github.jkvm.kvm.KvmVCpu;
import io.github.jkvm.kvm.KvmVm;
import io.github.jkvm.machine.boot.EntryMode;
import io.github.jkvm.testkit.MicroGuest;
import io.github.jkvm.testkit.RequiresKvm;
import org.junit.jupiter.api.Test;

@RequiresKvm
class GuestMemfdTest {
    private static final GuestAddress BASE = GuestAddress.of(0x100_0000);
    private static final long SIZE = 0x1_0000;

    private static MicroGuest guest() {
        return MicroGuest.builder()
                .mode(EntryMode.PROTECTED32)
                .build(code -> code.mov(EAX, 0x1234_5678)
                        .mov(mem(BASE.value()), EAX)
                        .mov(AL, 1)
                        .out(REPORT_PORT, AL));
    }

    private static KvmVm kvm(MicroGuest guest) {
        return KvmVm.of(guest.vm());
    }

    @Test
    @RequiresKvm(Capability.GUEST_MEMFD)
    void aRegionWithGuestMemoryServesTheGuestFromItsSharedPages() {
        try (MicroGuest guest = guest()) {
            GuestMemfd memfd = kvm(guest).createGuestMemfd(2 * SIZE);
            assertThat(memfd.size()).isEqualTo(2 * SIZE);
            MemoryRegion region = kvm(guest).addMemory(BASE, MemoryBacking.anonymous(SIZE), memfd, SIZE);
            assertThat(guest).reports(1);
            assertThat(guest.memory().readInt(BASE.value())).isEqualTo(0x1234_5678);

            assertThatThrownBy(() -> guest.vm().startDirtyTracking(region))
                    .isInstanceOf(HypervisorException.class)
                    .hasMessageContaining("which has a guest memfd");
            memfd.close();
            guest.vm().removeMemory(region);
            guest.vm().addMemory(BASE, MemoryBacking.anonymous(SIZE));
        }
    }

    @Test
    @RequiresKvm(Capability.GUEST_MEMFD)
    void refusesSizesAndOffsetsThatDoNotFit() {
        try (MicroGuest guest = guest();
                GuestMemfd memfd = kvm(guest).createGuestMemfd(SIZE)) {
            KvmVm vm = kvm(guest);
            for (long offset : new long[] {-4096, 1, 4096, Long.MAX_VALUE}) {
                assertThatThrownBy(() -> vm.addMemory(BASE, MemoryBacking.anonymous(SIZE), memfd, offset))
                        .isInstanceOf(IllegalArgumentException.class)
                        .hasMessageContaining("must begin at a multiple of 4096 and end within it");
            }
            assertThatThrownBy(() -> vm.createGuestMemfd(1))
                    .isInstanceOf(KvmException.class)
                    .hasMessageContaining("KVM_CREATE_GUEST_MEMFD (1 bytes) failed with EINVAL");
        }
    }

    @Test
    void namesTheCapabilityThatAHostLacks() {
        try (MicroGuest guest = guest()) {
            refusesByName(guest, Capability.GUEST_MEMFD, () -> kvm(guest).createGuestMemfd(SIZE));
            refusesByName(
                    guest,
                    Capability.MEMORY_ATTRIBUTES,
                    () -> kvm(guest).setMemoryAttributes(BASE, SIZE, GuestMemfd.Pages.SHARED));
            refusesByName(
                    guest,
                    Capability.PRE_FAULT_MEMORY,
                    () -> KvmVCpu.of(guest.vcpu()).preFaultMemory(GuestAddress.ZERO, SIZE));
        }
    }

    private static void refusesByName(MicroGuest guest, Capability capability, Runnable call) {
        if (guest.vm().supports(capability)) {
            assertThatCode(call::run).doesNotThrowAnyException();
            return;
        }
        assertThatThrownBy(call::run)
                .isInstanceOfSatisfying(
                        UnsupportedCapabilityException.class,
                        refusal -> assertThat(refusal.capability()).isEqualTo(capability))
                .hasMessageContaining("this host's KVM lacks " + capability);
    }
}
