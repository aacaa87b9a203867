package io.github.jkvm.it;

import static java.util.concurrent.TimeUnit.SECONDS;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.Bytes;
import io.github.jkvm.Capability;
import io.github.jkvm.Doorbell;
import io.github.jkvm.EventLoop;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.HostFile;
import io.github.jkvm.VmExit;
import io.github.jkvm.kvm.KvmException;
import io.github.jkvm.kvm.ffi.EventFd;
import io.github.jkvm.testkit.RequiresKvm;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

@RequiresKvm(Capability.IOEVENTFD)
class DoorbellTest {
    private static final int PORT = 0x510;
    private static final long MMIO = 0xD000_0000L;

    @Test
    void aPortWriteRingsWithoutLeavingTheGuest() {
        Code16 code = new Code16().out(PORT, 1).out(PORT, 2).out(BareGuest.REPORT, 0x11);
        try (var guest = new BareGuest(code);
                Doorbell doorbell = guest.vm.doorbell(Doorbell.Match.port(PORT, 1))) {
            assertThat(doorbell.poll()).isFalse();
            assertThat(guest.report()).isEqualTo(0x11);
            assertThat(doorbell.poll()).isTrue();
            assertThat(doorbell.poll()).isFalse();
        }
    }

    @Test
    void anMmioWriteRingsWithoutLeavingTheGuest() {
        Code16 code =
                new Code16().movEdi((int) MMIO).movEax(0x1234_5678).storeEax().out(BareGuest.REPORT, 0x12);
        try (var guest = new BareGuest(code);
                Doorbell doorbell = guest.vm.doorbell(Doorbell.Match.mmio(GuestAddress.of(MMIO), 4))) {
            assertThat(guest.report()).isEqualTo(0x12);
            assertThat(doorbell.poll()).isTrue();
        }
    }

    @Test
    void anEventOfTheCallersIsSignalledAndLeftOpen() {
        Code16 code = new Code16().out(PORT, 1).out(BareGuest.REPORT, 0x11).out(PORT, 1);
        try (var guest = new BareGuest(code);
                EventFd event = EventFd.create("test")) {
            Doorbell doorbell = guest.vm.doorbell(Doorbell.Match.port(PORT, 1), event.fd());
            assertThat(guest.report()).isEqualTo(0x11);
            assertThat(event.take()).isTrue();
            doorbell.close();
            assertThat(guest.run()).isEqualTo(new VmExit.PortOut(PORT, 1, 1, Bytes.copyOf((byte) 1)));
            assertThat(event.take()).isFalse();
            assertThatThrownBy(() -> guest.vm.doorbell(Doorbell.Match.port(PORT, 1), new HostFile() {}))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("eventfds of this host");
        }
    }

    @Test
    void aWriteOfAnotherLengthLeavesTheGuest() {
        Code16 code = new Code16().movDx(PORT).movAx(0x5566).outDxAx().out(BareGuest.REPORT, 0x13);
        try (var guest = new BareGuest(code);
                Doorbell doorbell = guest.vm.doorbell(Doorbell.Match.port(PORT, 1))) {
            assertThat(guest.run()).isEqualTo(new VmExit.PortOut(PORT, 2, 1, Bytes.copyOf((byte) 0x66, (byte) 0x55)));
            assertThat(guest.report()).isEqualTo(0x13);
            assertThat(doorbell.poll()).isFalse();
        }
    }

    @Test
    @RequiresKvm(Capability.IOEVENTFD_ANY_LENGTH)
    void aDoorbellOfAnyLengthRingsForEachOfThem() {
        Code16 code = new Code16()
                .movEdi((int) MMIO)
                .storeAl()
                .out(BareGuest.REPORT, 1)
                .storeAx()
                .out(BareGuest.REPORT, 2)
                .storeEax()
                .out(BareGuest.REPORT, 4);
        try (var guest = new BareGuest(code);
                Doorbell doorbell = guest.vm.doorbell(Doorbell.Match.mmio(GuestAddress.of(MMIO), 0))) {
            for (int length : new int[] {1, 2, 4}) {
                assertThat(guest.report()).isEqualTo(length);
                assertThat(doorbell.poll()).as("a write of %d bytes", length).isTrue();
            }
        }
    }

    @Test
    void valuesTellDoorbellsOfOnePlaceApart() {
        Code16 code = new Code16()
                .movDx(PORT)
                .movAx(7)
                .outDxAx()
                .out(BareGuest.REPORT, 1)
                .movDx(PORT)
                .movAx(0xFFFF)
                .outDxAx()
                .out(BareGuest.REPORT, 2)
                .movDx(PORT)
                .movAx(8)
                .outDxAx();
        Doorbell.Match match = Doorbell.Match.port(PORT, 2);
        try (var guest = new BareGuest(code);
                Doorbell seven = guest.vm.doorbell(match.withValue(7));
                Doorbell ones = guest.vm.doorbell(match.withValue(-1))) {
            assertThat(guest.report()).isEqualTo(1);
            assertThat(seven.poll()).isTrue();
            assertThat(ones.poll()).isFalse();
            assertThat(guest.report()).isEqualTo(2);
            assertThat(seven.poll()).isFalse();
            assertThat(ones.poll()).isTrue();
            assertThat(guest.run()).isInstanceOf(VmExit.PortOut.class);
            assertThat(seven.match().value()).isEqualTo(7);
        }
    }

    @Test
    void explainsThatThereIsADoorbellAlready() {
        try (var guest = new BareGuest(new Code16());
                Doorbell first = guest.vm.doorbell(Doorbell.Match.port(PORT, 2))) {
            assertThatThrownBy(() -> guest.vm.doorbell(first.match()))
                    .isInstanceOf(KvmException.class)
                    .hasMessage(
                            "KVM_IOEVENTFD (doorbell at port 0x510, 2 bytes) failed with EEXIST (17): there is a doorbell for these"
                                    + " writes already; close it first, or give both a length and a value of their own");
        }
    }

    @Test
    void writesLeaveTheGuestAgainOnceTheDoorbellIsClosed() {
        Code16 code = new Code16().out(PORT, 1).out(BareGuest.REPORT, 1).out(PORT, 2);
        try (var guest = new BareGuest(code)) {
            Doorbell doorbell = guest.vm.doorbell(Doorbell.Match.port(PORT, 1));
            assertThat(guest.report()).isEqualTo(1);
            doorbell.close();
            doorbell.close();
            assertThat(guest.run()).isEqualTo(new VmExit.PortOut(PORT, 1, 1, Bytes.copyOf((byte) 2)));
            assertThatThrownBy(doorbell::poll)
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("doorbell at port 0x510, 1 bytes is closed");
            guest.vm.doorbell(Doorbell.Match.port(PORT, 1)).close();
        }
    }

    @Test
    void closingTheVmClosesDoorbellsAndLoops() {
        Doorbell doorbell;
        EventLoop loop;
        try (var guest = new BareGuest(new Code16())) {
            doorbell = guest.vm.doorbell(Doorbell.Match.port(PORT, 1));
            loop = guest.vm.createEventLoop(null);
            loop.onRing(doorbell, () -> {});
        }
        assertThatThrownBy(doorbell::poll).isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(() -> loop.execute(() -> {})).isInstanceOf(IllegalStateException.class);
    }

    @Test
    void theVmCanBeClosedFromItsOwnEventLoop() throws InterruptedException {
        var closed = new CountDownLatch(1);
        try (var guest = new BareGuest(new Code16())) {
            EventLoop loop = guest.vm.createEventLoop("closes its VM");
            loop.execute(() -> {
                guest.vm.close();
                closed.countDown();
            });
            assertThat(closed.await(30, SECONDS)).isTrue();
            assertThatThrownBy(() -> guest.vm.createEventLoop(null)).isInstanceOf(IllegalStateException.class);
        }
    }

    @Test
    void theVmCanBeClosedWhileOthersPlaceAndCloseDoorbells() throws InterruptedException {
        for (int round = 0; round < 20; round++) {
            var guest = new BareGuest(new Code16());
            EventLoop loop = guest.vm.createEventLoop(null);
            var begun = new CountDownLatch(3);
            var unexpected = new AtomicReference<Throwable>();
            List<Thread> threads = IntStream.range(0, 3)
                    .mapToObj(t -> Thread.ofPlatform()
                            .start(() -> placeUntilRefused(
                                    guest, loop, Doorbell.Match.port(PORT + t, 1), begun, unexpected)))
                    .toList();
            assertThat(begun.await(30, SECONDS)).isTrue();
            guest.close();
            for (Thread thread : threads) {
                thread.join();
            }
            assertThat(unexpected.get()).isNull();
        }
    }

    private static void placeUntilRefused(
            BareGuest guest,
            EventLoop loop,
            Doorbell.Match match,
            CountDownLatch begun,
            AtomicReference<Throwable> unexpected) {
        try {
            while (true) {
                Doorbell doorbell = guest.vm.doorbell(match);
                try {
                    loop.onRing(doorbell, () -> {});
                } finally {
                    // Must not throw, whether the VM is closed meanwhile or not.
                    closeOrReport(doorbell, unexpected);
                }
                begun.countDown();
            }
        } catch (IllegalStateException closed) {
            begun.countDown();
        } catch (Throwable t) {
            unexpected.set(t);
        }
    }

    private static void closeOrReport(Doorbell doorbell, AtomicReference<Throwable> unexpected) {
        try {
            doorbell.close();
        } catch (Throwable t) {
            unexpected.set(t);
        }
    }

    @Test
    void noRingOfAGuestInALoopIsLost() throws InterruptedException {
        int rings = Lane.repeats(100_000);
        var code = new Code16().movEcx(rings).movEdi(0x2000).movEax(0).movDx(PORT);
        int loopStart = code.here();
        // The count is in memory before the ring: who takes the last ring sees the last count.
        code.incEax().storeEax().outDxAl().decEcx().jnz(loopStart).out(BareGuest.REPORT, 0x55);
        try (var guest = new BareGuest(code);
                Doorbell doorbell = guest.vm.doorbell(Doorbell.Match.port(PORT, 1))) {
            EventLoop loop = guest.vm.createEventLoop(null);
            var runs = new AtomicInteger();
            var last = new CountDownLatch(1);
            loop.onRing(doorbell, () -> {
                runs.incrementAndGet();
                if (guest.vm.memory().readIntAcquire(0x2000) == rings) {
                    last.countDown();
                }
            });
            assertThat(guest.report()).isEqualTo(0x55);
            assertThat(last.await(30, SECONDS)).isTrue();
            assertThat(runs.get()).isBetween(1, rings);
        }
    }

    @Test
    void doorbellsCanBePlacedAndTakenOffWhileTheGuestRings() throws InterruptedException {
        var code = new Code16().movDx(PORT);
        int loopStart = code.here();
        code.outDxAl().jmp(loopStart);
        try (var guest = new BareGuest(code)) {
            EventLoop loop = guest.vm.createEventLoop(null);
            var stop = new AtomicBoolean();
            var exits = new AtomicInteger();
            Thread runner = Thread.ofPlatform().start(() -> {
                while (!stop.get()) {
                    if (guest.run() instanceof VmExit.PortOut) {
                        exits.incrementAndGet();
                    }
                }
            });
            var rings = new AtomicInteger();
            for (int i = 0; i < 500; i++) {
                Doorbell doorbell = guest.vm.doorbell(Doorbell.Match.port(PORT, 1));
                if (i % 2 == 0) {
                    loop.onRing(doorbell, rings::incrementAndGet);
                }
                doorbell.close();
            }
            var rang = new CountDownLatch(1);
            try (Doorbell last = guest.vm.doorbell(Doorbell.Match.port(PORT, 1))) {
                loop.onRing(last, rang::countDown);
                assertThat(rang.await(30, SECONDS)).isTrue();
            }
            stop.set(true);
            guest.vcpu.interrupt();
            runner.join();
            assertThat(exits.get()).isPositive();
        }
    }
}
