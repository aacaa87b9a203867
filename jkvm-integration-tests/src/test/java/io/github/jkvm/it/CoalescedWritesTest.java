package io.github.jkvm.it;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.Capability;
import io.github.jkvm.ExitHandler;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.VmExit;
import io.github.jkvm.kvm.CoalescedMmioRing;
import io.github.jkvm.testkit.RequiresKvm;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

@RequiresKvm(Capability.COALESCED_MMIO)
class CoalescedWritesTest {
    private static final long MMIO = 0xD000_0000L;
    private static final int PORT = 0x520;

    private final List<String> writes = new ArrayList<>();

    /** Notes all accesses in the order it is told of them. */
    private final ExitHandler notes = new ExitHandler() {
        @Override
        public long portIn(int port, int size) {
            writes.add("in %x".formatted(port));
            return 0;
        }

        @Override
        public void portOut(int port, int size, long value) {
            writes.add("out %x/%d=%x".formatted(port, size, value));
        }

        @Override
        public long mmioRead(long address, int size) {
            writes.add("read %x".formatted(address));
            return 0;
        }

        @Override
        public void mmioWrite(long address, int size, long value) {
            writes.add("write %x/%d=%x".formatted(address, size, value));
        }
    };

    @Test
    void writesGatherInOrderWithoutLeavingTheGuest() {
        Code16 code = new Code16()
                .movEdi((int) MMIO)
                .movEax(0x1122_3344)
                .storeEax()
                .storeAx()
                .addEdi(8)
                .storeAl()
                .out(BareGuest.REPORT, 1);
        try (var guest = new BareGuest(code)) {
            CoalescedMmioRing ring = guest.kvm().coalescedWrites();
            ring.addMmio(GuestAddress.of(MMIO), 0x1000);
            assertThat(ring.drain(notes)).isZero();
            assertThat(guest.report()).isEqualTo(1);

            assertThat(ring.drain(notes)).isEqualTo(3);
            assertThat(writes)
                    .containsExactly("write d0000000/4=11223344", "write d0000000/2=3344", "write d0000008/1=44");
            assertThat(ring.drain(notes)).isZero();
        }
    }

    @Test
    @RequiresKvm(Capability.COALESCED_PIO)
    void portWritesGatherToo() {
        Code16 code = new Code16()
                .out(PORT, 0x41)
                .movAx(0x4243)
                .outDxAx()
                .movEax(0x4445_4647)
                .outDxEax()
                .out(PORT + 4, 1);
        try (var guest = new BareGuest(code)) {
            CoalescedMmioRing ring = guest.kvm().coalescedWrites();
            ring.addPorts(PORT, 4);
            assertThat(guest.run())
                    .isInstanceOfSatisfying(
                            VmExit.PortOut.class, out -> assertThat(out.port()).isEqualTo(PORT + 4));

            assertThat(ring.drain(notes)).isEqualTo(3);
            assertThat(writes).containsExactly("out 520/1=41", "out 520/2=4243", "out 520/4=44454647");
        }
    }

    @Test
    void aFullRingLeavesTheGuestAndNothingIsLostOrOutOfOrder() {
        int count = 1_000;
        var code = new Code16().movEcx(count).movEdi((int) MMIO).movEax(0);
        int loop = code.here();
        code.incEax().storeEax().decEcx().jnz(loop).hlt();
        try (var guest = new BareGuest(code)) {
            CoalescedMmioRing ring = guest.kvm().coalescedWrites();
            ring.addMmio(GuestAddress.of(MMIO), 4);
            VmExit exit = guest.vcpu.run(ring.inOrder(notes), BareGuest.LONG);

            assertThat(exit).isEqualTo(new VmExit.Halt());
            assertThat(writes).hasSizeLessThan(count);
            ring.drain(notes);
            assertThat(writes)
                    .isEqualTo(IntStream.rangeClosed(1, count)
                            .mapToObj("write d0000000/4=%x"::formatted)
                            .toList());
        }
    }

    @Test
    void writesLeaveTheGuestAgainOnceTheZoneIsClosed() {
        var code = new Code16()
                .movEdi((int) MMIO)
                .movEax(7)
                .storeEax()
                .out(BareGuest.REPORT, 1)
                .storeEax();
        try (var guest = new BareGuest(code)) {
            CoalescedMmioRing ring = guest.kvm().coalescedWrites();
            CoalescedMmioRing.Zone zone = ring.addMmio(GuestAddress.of(MMIO), 4);
            assertThat(guest.report()).isEqualTo(1);
            zone.close();
            zone.close();
            assertThat(guest.run()).isInstanceOf(VmExit.MmioWrite.class);
            assertThat(ring.drain(notes)).isEqualTo(1);
            ring.addMmio(GuestAddress.of(MMIO), 4);
        }
    }

    @Test
    void refusesZonesThatOverlapOrPassTheEnd() {
        try (var guest = new BareGuest(new Code16())) {
            CoalescedMmioRing ring = guest.kvm().coalescedWrites();
            ring.addMmio(GuestAddress.of(MMIO), 0x1000);
            assertThatThrownBy(() -> ring.addMmio(GuestAddress.of(MMIO + 0xFFF), 1))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessage("coalesced MMIO 0xd0000fff..0xd0000fff overlaps coalesced MMIO 0xd0000000..0xd0000fff");
            assertThatThrownBy(() -> ring.addMmio(GuestAddress.of(-1), 2)).isInstanceOf(IllegalArgumentException.class);
            assertThatThrownBy(() -> ring.addMmio(GuestAddress.of(MMIO), 0))
                    .isInstanceOf(IllegalArgumentException.class);
            assertThatThrownBy(() -> ring.addPorts(0xFFFF, 2)).isInstanceOf(IllegalArgumentException.class);
        }
    }

    @Test
    void explainsThatThereIsNoRoomForMoreZones() {
        try (var guest = new BareGuest(new Code16())) {
            CoalescedMmioRing ring = guest.kvm().coalescedWrites();
            assertThatThrownBy(() ->
                            IntStream.range(0, 10_000).forEach(i -> ring.addMmio(GuestAddress.of(MMIO + 8L * i), 4)))
                    .hasMessageContaining("KVM_REGISTER_COALESCED_MMIO")
                    .hasMessageContaining("ENOSPC");
        }
    }

    @Test
    void theRingCannotBeReadOnceTheVmIsClosed() {
        CoalescedMmioRing ring;
        CoalescedMmioRing.Zone zone;
        try (var guest = new BareGuest(new Code16().out(BareGuest.REPORT, 1))) {
            ring = guest.kvm().coalescedWrites();
            zone = ring.addMmio(GuestAddress.of(MMIO), 4);
            assertThat(guest.report()).isEqualTo(1);
            assertThat(ring.drain(notes)).isZero();
        }
        zone.close();
        assertThatThrownBy(() -> ring.drain(notes)).isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(() -> ring.addMmio(GuestAddress.of(MMIO), 4)).isInstanceOf(IllegalStateException.class);
    }
}
