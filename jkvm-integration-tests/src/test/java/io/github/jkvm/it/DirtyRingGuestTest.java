package io.github.jkvm.it;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.Capability;
import io.github.jkvm.DirtyPages;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.MemoryBacking;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.VmExit;
import io.github.jkvm.kvm.DirtyRing;
import io.github.jkvm.kvm.DirtyRingOverrunException;
import io.github.jkvm.kvm.KvmException;
import io.github.jkvm.kvm.KvmVm;
import io.github.jkvm.testkit.HostFeature;
import io.github.jkvm.testkit.RequiresKvm;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;

@RequiresKvm(Capability.DIRTY_RING)
class DirtyRingGuestTest {
    private static final int ENTRIES = 4096;
    private static final GuestAddress BASE = GuestAddress.of(0x100_0000);
    private static final long PAGE = 4096;

    /** Writes a byte to each of some pages from the base on, and reports; again and again. */
    private static Code16 writer(int pages) {
        var code = new Code16();
        int again = code.here();
        code.movEcx(pages).movEdi((int) BASE.value());
        int loop = code.here();
        return code.storeAl()
                .addEdi((int) PAGE)
                .decEcx()
                .jnz(loop)
                .out(BareGuest.REPORT, 1)
                .jmp(again);
    }

    private static BareGuest guest(int pages) {
        return new BareGuest(vm -> KvmVm.of(vm).enableDirtyRing(ENTRIES), writer(pages));
    }

    private static MemoryRegion tracked(BareGuest guest, long pages) {
        MemoryRegion region = guest.vm.addMemory(BASE, MemoryBacking.anonymous(pages * PAGE));
        guest.vm.startDirtyTracking(region);
        return region;
    }

    @Test
    void theRingHasThePagesThatTheGuestWroteInOrder() {
        try (BareGuest guest = guest(20)) {
            MemoryRegion region = tracked(guest, 64);
            DirtyRing ring = guest.kvmVCpu().dirtyRing();
            assertThat(ring.capacity()).isEqualTo(ENTRIES);
            for (int round = 0; round < 3; round++) {
                assertThat(guest.report()).isEqualTo(1);
                List<Long> dirty = new ArrayList<>();
                int count = ring.harvest((of, offset) -> {
                    assertThat(of).isSameAs(region);
                    dirty.add(offset);
                });
                assertThat(dirty)
                        .containsExactlyElementsOf(
                                LongStream.range(0, 20).mapToObj(i -> i * PAGE).toList());
                assertThat(count).isEqualTo(20);
                assertThat(guest.kvm().resetDirtyRings()).isEqualTo(20);
            }
        }
    }

    @Test
    @RequiresKvm(features = HostFeature.LONG_MODE_EXCEPTIONS) // an instruction emulator reports every write
    void pagesAreReportedOnceUntilTheRingsAreReset() {
        try (BareGuest guest = guest(5)) {
            tracked(guest, 64);
            assertThat(guest.report()).isEqualTo(1);
            assertThat(guest.kvmVCpu().dirtyRing().harvest((of, offset) -> {})).isEqualTo(5);
            assertThat(guest.report()).isEqualTo(1);
            assertThat(guest.kvmVCpu().dirtyRing().harvest((of, offset) -> {})).isZero();
            guest.kvm().resetDirtyRings();
            assertThat(guest.report()).isEqualTo(1);
            assertThat(guest.kvm().harvestDirtyRings((of, offset) -> {})).isEqualTo(5);
        }
    }

    @Test
    // An instruction emulator passes the ring's limit, and on a busy machine was seen not to leave the guest any more.
    @RequiresKvm(features = HostFeature.LONG_MODE_EXCEPTIONS)
    void aFullRingStopsTheGuestAndNoPageIsLost() {
        int pages = 3 * ENTRIES;
        try (BareGuest guest = guest(pages)) {
            tracked(guest, pages);
            var dirty = new TreeSet<Long>();
            int stops = 0;
            boolean overran = false;
            VmExit exit = guest.run();
            while (exit instanceof VmExit.DirtyRingFull) {
                stops++;
                overran |= overrunOrHarvest(guest, dirty);
                exit = guest.run();
            }
            assertThat(exit).isInstanceOf(VmExit.PortOut.class);
            overran |= overrunOrHarvest(guest, dirty);

            assertThat(stops).isGreaterThanOrEqualTo(2);
            assertThat(dirty).allMatch(offset -> offset % PAGE == 0 && offset < pages * PAGE);
            assertThat(overran || dirty.size() == pages)
                    .as("all of %d pages, not %d, or to be told that some are lost", pages, dirty.size())
                    .isTrue();
        }
    }

    private static boolean overrunOrHarvest(BareGuest guest, Set<Long> dirty) {
        try {
            guest.kvm().harvestDirtyRings((of, offset) -> dirty.add(offset));
            return false;
        } catch (DirtyRingOverrunException lost) {
            return true;
        }
    }

    @Test
    // An instruction emulator passes the ring's limit, and on a busy machine was seen not to leave the guest any more.
    @RequiresKvm(features = HostFeature.LONG_MODE_EXCEPTIONS)
    void takeDirtyPagesLosesNoPageOfAGuestThatFillsItsRing() {
        int pages = 3 * ENTRIES;
        try (BareGuest guest = guest(pages)) {
            MemoryRegion region = tracked(guest, pages);
            DirtyPages dirty = guest.vm.takeDirtyPages(region);
            while (guest.run() instanceof VmExit.DirtyRingFull) {
                dirty = dirty.union(guest.vm.takeDirtyPages(region));
            }
            assertThat(dirty.union(guest.vm.takeDirtyPages(region)).count()).isEqualTo(pages);
        }
    }

    @Test
    void takeDirtyPagesEmptiesTheRingsIntoAllTrackedRegions() {
        try (BareGuest guest = guest(8)) {
            MemoryRegion region = tracked(guest, 64);
            guest.vm.startDirtyTracking(guest.ram);
            assertThat(guest.report()).isEqualTo(1);
            guest.vm.memory().writeByte(0x9000, (byte) 1);

            // KVM takes a page for written when it lets the guest write it, as it does where the code is.
            assertThat(guest.vm.takeDirtyPages(guest.ram).offsets())
                    .contains(0x9000L)
                    .isSubsetOf(0x9000L, (long) BareGuest.CODE);
            guest.vm.memory().writeByte(BASE.value() + 63 * PAGE, (byte) 1);
            assertThat(guest.vm.takeDirtyPages(region).offsets())
                    .containsExactly(0L, PAGE, 2 * PAGE, 3 * PAGE, 4 * PAGE, 5 * PAGE, 6 * PAGE, 7 * PAGE, 63 * PAGE);
            assertThat(guest.vm.takeDirtyPages(region).isEmpty()).isTrue();
            assertThat(guest.report()).isEqualTo(1);
            assertThat(guest.vm.takeDirtyPages(region).count()).isEqualTo(8);
        }
    }

    @Test
    void keepsWhatAVCpuWroteThatIsClosed() {
        try (BareGuest guest = guest(3)) {
            MemoryRegion region = tracked(guest, 64);
            assertThat(guest.report()).isEqualTo(1);
            guest.vcpu.close();

            assertThat(guest.vm.takeDirtyPages(region).count()).isEqualTo(3);
        }
    }

    @Test
    void pagesOfARemovedRegionAreNotTakenForThoseOfItsSuccessor() {
        try (BareGuest guest = guest(6)) {
            MemoryRegion region = tracked(guest, 64);
            assertThat(guest.report()).isEqualTo(1);
            guest.vm.removeMemory(region);
            MemoryRegion next = tracked(guest, 64);

            assertThat(guest.vm.takeDirtyPages(next).isEmpty()).isTrue();
            assertThatThrownBy(() -> guest.vm.takeDirtyPages(region)).isInstanceOf(IllegalArgumentException.class);
        }
    }

    @Test
    void refusesRingsOfAWrongSizeAndRingsThatComeTooLate() {
        try (var guest = new BareGuest(new Code16())) {
            for (int entries : new int[] {0, -4096, 1, 128, 5000, 1 << 30, Integer.MIN_VALUE}) {
                assertThatThrownBy(() -> guest.kvm().enableDirtyRing(entries))
                        .isInstanceOf(IllegalArgumentException.class)
                        .hasMessageStartingWith(
                                "a dirty ring of " + entries + " entries; it must be a power of two from 256 to ");
            }
            assertThatThrownBy(() -> guest.kvm().enableDirtyRing(ENTRIES))
                    .isInstanceOf(KvmException.class)
                    .hasMessageContaining("enable it before createVCpu()");
            assertThatThrownBy(() -> guest.kvm().resetDirtyRings())
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("call enableDirtyRing() before createVCpu()");
            assertThatThrownBy(() -> guest.kvmVCpu().dirtyRing()).isInstanceOf(IllegalStateException.class);
        }
    }

    @Test
    void theRingCannotBeReadOnceTheVmIsClosed() {
        DirtyRing ring;
        try (BareGuest guest = guest(1)) {
            ring = guest.kvmVCpu().dirtyRing();
        }
        assertThatThrownBy(() -> ring.harvest((of, offset) -> {})).isInstanceOf(IllegalStateException.class);
    }
}
