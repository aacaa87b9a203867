package io.github.jkvm.it;

import static io.github.jkvm.testkit.GuestAssertions.assertThat;
import static io.github.jkvm.testkit.MicroGuest.REPORT_PORT;
import static io.github.jkvm.testkit.asm.Mem.mem;
import static io.github.jkvm.testkit.asm.Reg16.AX;
import static io.github.jkvm.testkit.asm.Reg16.DX;
import static io.github.jkvm.testkit.asm.Reg32.EAX;
import static io.github.jkvm.testkit.asm.Reg32.ECX;
import static io.github.jkvm.testkit.asm.Reg8.AL;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.Capability;
import io.github.jkvm.ExitHandler;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.VmExit;
import io.github.jkvm.kvm.CoalescedMmioRing;
import io.github.jkvm.kvm.KvmVm;
import io.github.jkvm.machine.boot.EntryMode;
import io.github.jkvm.testkit.MicroGuest;
import io.github.jkvm.testkit.RequiresKvm;
import io.github.jkvm.testkit.asm.Assembler;
import io.github.jkvm.testkit.asm.Label;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

@RequiresKvm(Capability.COALESCED_MMIO)
class CoalescedWritesTest {
    private static final long MMIO = 0xD000_0000L;
    private static final int PORT = 0x520;
    private static final Duration LONG = Duration.ofSeconds(60);

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

    private static MicroGuest guest(Consumer<Assembler> program) {
        return MicroGuest.builder().mode(EntryMode.PROTECTED32).deadline(LONG).build(program);
    }

    private static CoalescedMmioRing ring(MicroGuest guest) {
        return KvmVm.of(guest.vm()).coalescedWrites();
    }

    private static Assembler report(Assembler code) {
        return code.mov(AL, 1).out(REPORT_PORT, AL);
    }

    @Test
    void writesGatherInOrderWithoutLeavingTheGuest() {
        try (MicroGuest guest = guest(code -> report(code.mov(EAX, 0x1122_3344)
                .mov(mem(MMIO), EAX)
                .mov(mem(MMIO), AX)
                .mov(mem(MMIO + 8), AL)))) {
            CoalescedMmioRing ring = ring(guest);
            ring.addMmio(GuestAddress.of(MMIO), 0x1000);
            assertThat(ring.drain(notes)).isZero();
            assertThat(guest).reports(1);

            assertThat(ring.drain(notes)).isEqualTo(3);
            assertThat(writes)
                    .containsExactly("write d0000000/4=11223344", "write d0000000/2=3344", "write d0000008/1=44");
            assertThat(ring.drain(notes)).isZero();
        }
    }

    @Test
    @RequiresKvm(Capability.COALESCED_PIO)
    void portWritesGatherToo() {
        try (MicroGuest guest = guest(code -> code.mov(DX, PORT)
                .mov(AL, 0x41)
                .out(DX, AL)
                .mov(AX, 0x4243)
                .out(DX, AX)
                .mov(EAX, 0x4445_4647)
                .out(DX, EAX)
                .mov(DX, PORT + 4)
                .out(DX, AL))) {
            CoalescedMmioRing ring = ring(guest);
            ring.addPorts(PORT, 4);
            assertThat(guest.vcpu().run(LONG))
                    .isInstanceOfSatisfying(
                            VmExit.PortOut.class, out -> assertThat(out.port()).isEqualTo(PORT + 4));

            assertThat(ring.drain(notes)).isEqualTo(3);
            assertThat(writes).containsExactly("out 520/1=41", "out 520/2=4243", "out 520/4=44454647");
        }
    }

    @Test
    void aFullRingLeavesTheGuestAndNothingIsLostOrOutOfOrder() {
        int count = 1_000;
        Consumer<Assembler> program = code -> {
            code.mov(ECX, count).mov(EAX, 0);
            Label next = code.here("next");
            code.inc(EAX).mov(mem(MMIO), EAX).dec(ECX).jnz(next).hlt();
        };
        try (MicroGuest guest = guest(program)) {
            CoalescedMmioRing ring = ring(guest);
            ring.addMmio(GuestAddress.of(MMIO), 4);
            VmExit exit = guest.vcpu().run(ring.inOrder(notes), LONG);

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
        try (MicroGuest guest =
                guest(code -> report(code.mov(EAX, 7).mov(mem(MMIO), EAX)).mov(mem(MMIO), EAX))) {
            CoalescedMmioRing ring = ring(guest);
            CoalescedMmioRing.Zone zone = ring.addMmio(GuestAddress.of(MMIO), 4);
            assertThat(guest).reports(1);
            zone.close();
            zone.close();
            assertThat(guest.vcpu().run(LONG)).isInstanceOf(VmExit.MmioWrite.class);
            assertThat(ring.drain(notes)).isEqualTo(1);
            ring.addMmio(GuestAddress.of(MMIO), 4);
        }
    }

    @Test
    void refusesZonesThatOverlapOrPassTheEnd() {
        try (MicroGuest guest = MicroGuest.builder().build()) {
            CoalescedMmioRing ring = ring(guest);
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
        try (MicroGuest guest = MicroGuest.builder().build()) {
            CoalescedMmioRing ring = ring(guest);
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
        try (MicroGuest guest = guest(CoalescedWritesTest::report)) {
            ring = ring(guest);
            zone = ring.addMmio(GuestAddress.of(MMIO), 4);
            assertThat(guest).reports(1);
            assertThat(ring.drain(notes)).isZero();
        }
        zone.close();
        assertThatThrownBy(() -> ring.drain(notes)).isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(() -> ring.addMmio(GuestAddress.of(MMIO), 4)).isInstanceOf(IllegalStateException.class);
    }
}
