package io.github.jkvm.it;

import static io.github.jkvm.testkit.GuestAssertions.assertThat;
import static io.github.jkvm.testkit.MicroGuest.REPORT_PORT;
import static io.github.jkvm.testkit.asm.Mem.mem;
import static io.github.jkvm.testkit.asm.Reg16.AX;
import static io.github.jkvm.testkit.asm.Reg16.DX;
import static io.github.jkvm.testkit.asm.Reg32.EAX;
import static io.github.jkvm.testkit.asm.Reg32.ECX;
import static io.github.jkvm.testkit.asm.Reg8.AL;
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
import io.github.jkvm.machine.boot.EntryMode;
import io.github.jkvm.testkit.ExitKind;
import io.github.jkvm.testkit.MicroGuest;
import io.github.jkvm.testkit.RequiresKvm;
import io.github.jkvm.testkit.asm.Assembler;
import io.github.jkvm.testkit.asm.Label;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

@RequiresKvm(Capability.IOEVENTFD)
class DoorbellTest {
    private static final int PORT = 0x510;
    private static final long MMIO = 0xD000_0000L;
    private static final Duration LONG = Duration.ofSeconds(60);

    private static MicroGuest guest(Consumer<Assembler> program) {
        return MicroGuest.builder().mode(EntryMode.PROTECTED32).deadline(LONG).build(program);
    }

    /** A guest that has nothing to run. */
    private static MicroGuest idle() {
        return MicroGuest.builder().build();
    }

    /** Writes a byte to the port. */
    private static Assembler ring(Assembler code, int value) {
        return code.mov(DX, PORT).mov(AL, value).out(DX, AL);
    }

    private static Assembler report(Assembler code, int value) {
        return code.mov(AL, value).out(REPORT_PORT, AL);
    }

    @Test
    void aPortWriteRingsWithoutLeavingTheGuest() {
        try (var guest = guest(code -> report(ring(ring(code, 1), 2), 0x11));
                Doorbell doorbell = guest.vm().doorbell(Doorbell.Match.port(PORT, 1))) {
            assertThat(doorbell.poll()).isFalse();
            assertThat(guest).reports(0x11).hasExits(ExitKind.PORT_OUT, 1);
            assertThat(doorbell.poll()).isTrue();
            assertThat(doorbell.poll()).isFalse();
        }
    }

    @Test
    void anMmioWriteRingsWithoutLeavingTheGuest() {
        try (var guest = guest(code -> report(code.mov(EAX, 0x1234_5678).mov(mem(MMIO), EAX), 0x12));
                Doorbell doorbell = guest.vm().doorbell(Doorbell.Match.mmio(GuestAddress.of(MMIO), 4))) {
            assertThat(guest).reports(0x12);
            assertThat(doorbell.poll()).isTrue();
        }
    }

    @Test
    void anEventOfTheCallersIsSignalledAndLeftOpen() {
        try (var guest = guest(code -> ring(report(ring(code, 1), 0x11), 1));
                EventFd event = EventFd.create("test")) {
            Doorbell doorbell = guest.vm().doorbell(Doorbell.Match.port(PORT, 1), event.fd());
            assertThat(guest).reports(0x11).hasExits(ExitKind.PORT_OUT, 1);
            assertThat(event.take()).isTrue();
            doorbell.close();
            assertThat(guest.vcpu().run(LONG)).isEqualTo(new VmExit.PortOut(PORT, 1, 1, Bytes.copyOf((byte) 1)));
            assertThat(event.take()).isFalse();
            assertThatThrownBy(() -> guest.vm().doorbell(Doorbell.Match.port(PORT, 1), new HostFile() {}))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("eventfds of this host");
        }
    }

    @Test
    void aWriteOfAnotherLengthLeavesTheGuest() {
        try (var guest = guest(code -> report(code.mov(DX, PORT).mov(AX, 0x5566).out(DX, AX), 0x13));
                Doorbell doorbell = guest.vm().doorbell(Doorbell.Match.port(PORT, 1))) {
            assertThat(guest.vcpu().run(LONG))
                    .isEqualTo(new VmExit.PortOut(PORT, 2, 1, Bytes.copyOf((byte) 0x66, (byte) 0x55)));
            assertThat(guest).reports(0x13);
            assertThat(doorbell.poll()).isFalse();
        }
    }

    @Test
    @RequiresKvm(Capability.IOEVENTFD_ANY_LENGTH)
    void aDoorbellOfAnyLengthRingsForEachOfThem() {
        Consumer<Assembler> program = code -> {
            report(code.mov(mem(MMIO), AL), 1);
            report(code.mov(mem(MMIO), AX), 2);
            report(code.mov(mem(MMIO), EAX), 4);
        };
        try (var guest = guest(program);
                Doorbell doorbell = guest.vm().doorbell(Doorbell.Match.mmio(GuestAddress.of(MMIO), 0))) {
            for (int length : new int[] {1, 2, 4}) {
                assertThat(guest).reports(length);
                assertThat(doorbell.poll()).as("a write of %d bytes", length).isTrue();
            }
        }
    }

    @Test
    void valuesTellDoorbellsOfOnePlaceApart() {
        Consumer<Assembler> program = code -> {
            report(code.mov(DX, PORT).mov(AX, 7).out(DX, AX), 1);
            report(code.mov(AX, 0xFFFF).out(DX, AX), 2);
            code.mov(AX, 8).out(DX, AX);
        };
        Doorbell.Match match = Doorbell.Match.port(PORT, 2);
        try (var guest = guest(program);
                Doorbell seven = guest.vm().doorbell(match.withValue(7));
                Doorbell ones = guest.vm().doorbell(match.withValue(-1))) {
            assertThat(guest).reports(1).hasExits(ExitKind.PORT_OUT, 1);
            assertThat(seven.poll()).isTrue();
            assertThat(ones.poll()).isFalse();
            assertThat(guest).reports(2).hasExits(ExitKind.PORT_OUT, 2);
            assertThat(seven.poll()).isFalse();
            assertThat(ones.poll()).isTrue();
            assertThat(guest.vcpu().run(LONG)).isInstanceOf(VmExit.PortOut.class);
            assertThat(seven.match().value()).isEqualTo(7);
        }
    }

    @Test
    void explainsThatThereIsADoorbellAlready() {
        try (var guest = idle();
                Doorbell first = guest.vm().doorbell(Doorbell.Match.port(PORT, 2))) {
            assertThatThrownBy(() -> guest.vm().doorbell(first.match()))
                    .isInstanceOf(KvmException.class)
                    .hasMessage(
                            "KVM_IOEVENTFD (doorbell at port 0x510, 2 bytes) failed with EEXIST (17): there is a doorbell for these"
                                    + " writes already; close it first, or give both a length and a value of their own");
        }
    }

    @Test
    void writesLeaveTheGuestAgainOnceTheDoorbellIsClosed() {
        try (var guest = guest(code -> ring(report(ring(code, 1), 1), 2))) {
            Doorbell doorbell = guest.vm().doorbell(Doorbell.Match.port(PORT, 1));
            assertThat(guest).reports(1).hasExits(ExitKind.PORT_OUT, 1);
            doorbell.close();
            doorbell.close();
            assertThat(guest.vcpu().run(LONG)).isEqualTo(new VmExit.PortOut(PORT, 1, 1, Bytes.copyOf((byte) 2)));
            assertThatThrownBy(doorbell::poll)
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("doorbell at port 0x510, 1 bytes is closed");
            guest.vm().doorbell(Doorbell.Match.port(PORT, 1)).close();
        }
    }

    @Test
    void closingTheVmClosesDoorbellsAndLoops() {
        Doorbell doorbell;
        EventLoop loop;
        try (var guest = idle()) {
            doorbell = guest.vm().doorbell(Doorbell.Match.port(PORT, 1));
            loop = guest.vm().createEventLoop(null);
            loop.onRing(doorbell, () -> {});
        }
        assertThatThrownBy(doorbell::poll).isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(() -> loop.execute(() -> {})).isInstanceOf(IllegalStateException.class);
    }

    @Test
    void theVmCanBeClosedFromItsOwnEventLoop() throws InterruptedException {
        var closed = new CountDownLatch(1);
        try (var guest = idle()) {
            EventLoop loop = guest.vm().createEventLoop("closes its VM");
            loop.execute(() -> {
                guest.vm().close();
                closed.countDown();
            });
            assertThat(closed.await(30, SECONDS)).isTrue();
            assertThatThrownBy(() -> guest.vm().createEventLoop(null)).isInstanceOf(IllegalStateException.class);
        }
    }

    @Test
    void theVmCanBeClosedWhileOthersPlaceAndCloseDoorbells() throws InterruptedException {
        for (int round = 0; round < 20; round++) {
            var guest = idle();
            EventLoop loop = guest.vm().createEventLoop(null);
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
            MicroGuest guest,
            EventLoop loop,
            Doorbell.Match match,
            CountDownLatch begun,
            AtomicReference<Throwable> unexpected) {
        try {
            while (true) {
                Doorbell doorbell = guest.vm().doorbell(match);
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
        long count = 0x2000;
        Consumer<Assembler> program = code -> {
            code.mov(ECX, rings).mov(EAX, 0).mov(DX, PORT);
            Label next = code.here("next");
            // The count is in memory before the ring: who takes the last ring sees the last count.
            code.inc(EAX).mov(mem(count), EAX).out(DX, AL).dec(ECX).jnz(next);
            report(code, 0x55);
        };
        try (var guest = guest(program);
                Doorbell doorbell = guest.vm().doorbell(Doorbell.Match.port(PORT, 1))) {
            EventLoop loop = guest.vm().createEventLoop(null);
            var runs = new AtomicInteger();
            var last = new CountDownLatch(1);
            loop.onRing(doorbell, () -> {
                runs.incrementAndGet();
                if (guest.memory().readIntAcquire(count) == rings) {
                    last.countDown();
                }
            });
            assertThat(guest).reports(0x55).hasExits(ExitKind.PORT_OUT, 1);
            assertThat(last.await(30, SECONDS)).isTrue();
            assertThat(runs.get()).isBetween(1, rings);
        }
    }

    @Test
    void doorbellsCanBePlacedAndTakenOffWhileTheGuestRings() throws InterruptedException {
        Consumer<Assembler> program = code -> {
            code.mov(DX, PORT);
            Label again = code.here("again");
            code.out(DX, AL).jmp(again);
        };
        try (var guest = guest(program)) {
            EventLoop loop = guest.vm().createEventLoop(null);
            var stop = new AtomicBoolean();
            var exits = new AtomicInteger();
            Thread runner = Thread.ofPlatform().start(() -> {
                while (!stop.get()) {
                    if (guest.vcpu().run(LONG) instanceof VmExit.PortOut) {
                        exits.incrementAndGet();
                    }
                }
            });
            var rings = new AtomicInteger();
            for (int i = 0; i < 500; i++) {
                Doorbell doorbell = guest.vm().doorbell(Doorbell.Match.port(PORT, 1));
                if (i % 2 == 0) {
                    loop.onRing(doorbell, rings::incrementAndGet);
                }
                doorbell.close();
            }
            var rang = new CountDownLatch(1);
            try (Doorbell last = guest.vm().doorbell(Doorbell.Match.port(PORT, 1))) {
                loop.onRing(last, rang::countDown);
                assertThat(rang.await(30, SECONDS)).isTrue();
            }
            stop.set(true);
            guest.vcpu().interrupt();
            runner.join();
            assertThat(exits.get()).isPositive();
        }
    }
}
