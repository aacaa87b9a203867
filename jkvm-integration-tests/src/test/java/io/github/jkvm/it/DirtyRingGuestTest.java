package io.github.jkvm.it;

import static io.github.jkvm.testkit.GuestAssertions.assertThat;
import static io.github.jkvm.testkit.MicroGuest.REPORT_PORT;
import static io.github.jkvm.testkit.asm.Mem.mem;
import static io.github.jkvm.testkit.asm.Reg32.ECX;
import static io.github.jkvm.testkit.asm.Reg32.EDI;
import static io.github.jkvm.testkit.asm.Reg8.AL;
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
import io.github.jkvm.kvm.KvmVCpu;
import io.github.jkvm.kvm.KvmVm;
import io.github.jkvm.machine.boot.EntryMode;
import io.github.jkvm.testkit.GuestStop;
import io.github.jkvm.testkit.HostFeature;
import io.github.jkvm.testkit.MicroGuest;
import io.github.jkvm.testkit.RequiresKvm;
import io.github.jkvm.testkit.asm.Label;
import java.time.Duration;
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
    private static final Duration LONG = Duration.ofSeconds(60);

    /** A guest that writes a byte to each of some pages from the base on, and reports; again and again. */
    private static MicroGuest guest(int pages) {
        return MicroGuest.builder()
                .mode(EntryMode.PROTECTED32)
                .deadline(LONG)
                .prepare(vm -> KvmVm.of(vm).enableDirtyRing(ENTRIES))
                .build(code -> {
                    Label again = code.here("again");
                    code.mov(ECX, pages).mov(EDI, BASE.value());
                    Label next = code.here("next");
                    code.mov(mem(EDI), AL).add(EDI, PAGE).dec(ECX).jnz(next);
                    code.mov(AL, 1).out(REPORT_PORT, AL).jmp(again);
                });
    }

    private static KvmVm kvm(MicroGuest guest) {
        return KvmVm.of(guest.vm());
    }

    private static DirtyRing ring(MicroGuest guest) {
        return KvmVCpu.of(guest.vcpu()).dirtyRing();
    }

    /** Runs the guest until it has reported, or its ring is full. */
    private static boolean isFull(MicroGuest guest) {
        GuestStop stop = guest.run();
        assertThat(stop).isIn(new GuestStop.Reported(1), new GuestStop.Other(new VmExit.DirtyRingFull()));
        return stop instanceof GuestStop.Other;
    }

    private static MemoryRegion tracked(MicroGuest guest, long pages) {
        MemoryRegion region = guest.vm().addMemory(BASE, MemoryBacking.anonymous(pages * PAGE));
        guest.vm().startDirtyTracking(region);
        return region;
    }

    @Test
    void theRingHasThePagesThatTheGuestWroteInOrder() {
        try (MicroGuest guest = guest(20)) {
            MemoryRegion region = tracked(guest, 64);
            DirtyRing ring = ring(guest);
            assertThat(ring.capacity()).isEqualTo(ENTRIES);
            for (int round = 0; round < 3; round++) {
                assertThat(guest).reports(1);
                List<Long> dirty = new ArrayList<>();
                int count = ring.harvest((of, offset) -> {
                    assertThat(of).isSameAs(region);
                    dirty.add(offset);
                });
                assertThat(dirty)
                        .containsExactlyElementsOf(
                                LongStream.range(0, 20).mapToObj(i -> i * PAGE).toList());
                assertThat(count).isEqualTo(20);
                assertThat(kvm(guest).resetDirtyRings()).isEqualTo(20);
            }
        }
    }

    @Test
    @RequiresKvm(features = HostFeature.LONG_MODE_EXCEPTIONS) // an instruction emulator reports every write
    void pagesAreReportedOnceUntilTheRingsAreReset() {
        try (MicroGuest guest = guest(5)) {
            tracked(guest, 64);
            assertThat(guest).reports(1);
            assertThat(ring(guest).harvest((of, offset) -> {})).isEqualTo(5);
            assertThat(guest).reports(1);
            assertThat(ring(guest).harvest((of, offset) -> {})).isZero();
            kvm(guest).resetDirtyRings();
            assertThat(guest).reports(1);
            assertThat(kvm(guest).harvestDirtyRings((of, offset) -> {})).isEqualTo(5);
        }
    }

    @Test
    // An instruction emulator passes the ring's limit, and on a busy machine was seen not to leave the guest any more.
    @RequiresKvm(features = HostFeature.LONG_MODE_EXCEPTIONS)
    void aFullRingStopsTheGuestAndNoPageIsLost() {
        int pages = 3 * ENTRIES;
        try (MicroGuest guest = guest(pages)) {
            tracked(guest, pages);
            var dirty = new TreeSet<Long>();
            int stops = 0;
            boolean overran = false;
            while (isFull(guest)) {
                stops++;
                overran |= overrunOrHarvest(guest, dirty);
            }
            overran |= overrunOrHarvest(guest, dirty);

            assertThat(stops).isGreaterThanOrEqualTo(2);
            assertThat(dirty).allMatch(offset -> offset % PAGE == 0 && offset < pages * PAGE);
            assertThat(overran || dirty.size() == pages)
                    .as("all of %d pages, not %d, or to be told that some are lost", pages, dirty.size())
                    .isTrue();
        }
    }

    private static boolean overrunOrHarvest(MicroGuest guest, Set<Long> dirty) {
        try {
            kvm(guest).harvestDirtyRings((of, offset) -> dirty.add(offset));
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
        try (MicroGuest guest = guest(pages)) {
            MemoryRegion region = tracked(guest, pages);
            DirtyPages dirty = guest.vm().takeDirtyPages(region);
            while (isFull(guest)) {
                dirty = dirty.union(guest.vm().takeDirtyPages(region));
            }
            assertThat(dirty.union(guest.vm().takeDirtyPages(region)).count()).isEqualTo(pages);
        }
    }

    @Test
    void takeDirtyPagesEmptiesTheRingsIntoAllTrackedRegions() {
        try (MicroGuest guest = guest(8)) {
            MemoryRegion region = tracked(guest, 64);
            MemoryRegion ram = guest.memory().regions().getFirst();
            guest.vm().startDirtyTracking(ram);
            assertThat(guest).reports(1);
            guest.memory().writeByte(0x9000, (byte) 1);

            // KVM takes a page for written when it lets the guest write it, as it does where the code is.
            assertThat(guest.vm().takeDirtyPages(ram).offsets())
                    .contains(0x9000L)
                    .isSubsetOf(0x9000L, guest.codeAddress());
            guest.memory().writeByte(BASE.value() + 63 * PAGE, (byte) 1);
            assertThat(guest.vm().takeDirtyPages(region).offsets())
                    .containsExactly(0L, PAGE, 2 * PAGE, 3 * PAGE, 4 * PAGE, 5 * PAGE, 6 * PAGE, 7 * PAGE, 63 * PAGE);
            assertThat(guest.vm().takeDirtyPages(region).isEmpty()).isTrue();
            assertThat(guest).reports(1);
            assertThat(guest.vm().takeDirtyPages(region).count()).isEqualTo(8);
        }
    }

    @Test
    void keepsWhatAVCpuWroteThatIsClosed() {
        try (MicroGuest guest = guest(3)) {
            MemoryRegion region = tracked(guest, 64);
            assertThat(guest).reports(1);
            guest.vcpu().close();

            assertThat(guest.vm().takeDirtyPages(region).count()).isEqualTo(3);
        }
    }

    @Test
    void pagesOfARemovedRegionAreNotTakenForThoseOfItsSuccessor() {
        try (MicroGuest guest = guest(6)) {
            MemoryRegion region = tracked(guest, 64);
            assertThat(guest).reports(1);
            guest.vm().removeMemory(region);
            MemoryRegion next = tracked(guest, 64);

            assertThat(guest.vm().takeDirtyPages(next).isEmpty()).isTrue();
            assertThatThrownBy(() -> guest.vm().takeDirtyPages(region)).isInstanceOf(IllegalArgumentException.class);
        }
    }

    @Test
    void refusesRingsOfAWrongSizeAndRingsThatComeTooLate() {
        try (MicroGuest guest = MicroGuest.builder().build()) {
            for (int entries : new int[] {0, -4096, 1, 128, 5000, 1 << 30, Integer.MIN_VALUE}) {
                assertThatThrownBy(() -> kvm(guest).enableDirtyRing(entries))
                        .isInstanceOf(IllegalArgumentException.class)
                        .hasMessageStartingWith(
                                "a dirty ring of " + entries + " entries; it must be a power of two from 256 to ");
            }
            assertThatThrownBy(() -> kvm(guest).enableDirtyRing(ENTRIES))
                    .isInstanceOf(KvmException.class)
                    .hasMessageContaining("enable it before createVCpu()");
            assertThatThrownBy(() -> kvm(guest).resetDirtyRings())
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("call enableDirtyRing() before createVCpu()");
            assertThatThrownBy(() -> ring(guest)).isInstanceOf(IllegalStateException.class);
        }
    }

    @Test
    void theRingCannotBeReadOnceTheVmIsClosed() {
        DirtyRing ring;
        try (MicroGuest guest = guest(1)) {
            ring = ring(guest);
        }
        assertThatThrownBy(() -> ring.harvest((of, offset) -> {})).isInstanceOf(IllegalStateException.class);
    }
}
