package io.github.jkvm.it;

import static io.github.jkvm.testkit.GuestAssertions.assertThat;
import static io.github.jkvm.testkit.MicroGuest.REPORT_PORT;
import static io.github.jkvm.testkit.asm.Mem.dwordPtr;
import static io.github.jkvm.testkit.asm.Mem.mem;
import static io.github.jkvm.testkit.asm.Reg16.DX;
import static io.github.jkvm.testkit.asm.Reg32.EAX;
import static io.github.jkvm.testkit.asm.Reg32.EDI;
import static io.github.jkvm.testkit.asm.Reg8.AL;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.Capability;
import io.github.jkvm.EventLoop;
import io.github.jkvm.Interrupt;
import io.github.jkvm.InterruptLine;
import io.github.jkvm.InterruptRoute;
import io.github.jkvm.Vm;
import io.github.jkvm.kvm.KvmException;
import io.github.jkvm.machine.boot.EntryMode;
import io.github.jkvm.testkit.GuestStop;
import io.github.jkvm.testkit.MicroGuest;
import io.github.jkvm.testkit.RequiresKvm;
import io.github.jkvm.testkit.asm.Assembler;
import io.github.jkvm.testkit.asm.Label;
import io.github.jkvm.testkit.asm.Mode;
import io.github.jkvm.x86.LapicState;
import io.github.jkvm.x86.Segment;
import io.github.jkvm.x86.X86VCpu;
import io.github.jkvm.x86.X86Vm;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;

@RequiresKvm({Capability.IRQCHIP, Capability.IRQFD})
class InterruptTest {
    private static final int READY = 0xAA;

    /** Where the 8259s put their interrupts (Intel 8259A data sheet, ICW2). */
    static final int PIC_BASE = 0x20;

    static final int MESSAGE_VECTOR = 0x61;

    /** Of a lower priority than the other. */
    static final int LAST_VECTOR = 0x51;

    static final long APIC = 0xFEE0_0000L;
    private static final int APIC_EOI = 0xB0;
    private static final int APIC_ENABLE = 1 << 8;

    /** Pins 4 to 7 of the first 8259 are level-triggered (PIIX4 data sheet, ELCR1). */
    private static final int ELCR1 = 0x4D0;

    private static final Duration LONG = Duration.ofSeconds(60);
    private static final int IRQ_HANDLERS = 0x3000;
    private static final int MESSAGE_HANDLER = 0x4000;
    private static final int LAST_HANDLER = 0x4040;

    private static void out(Assembler code, int port, int... values) {
        code.mov(DX, port);
        for (int value : values) {
            code.mov(AL, value).out(DX, AL);
        }
    }

    /** Sets up the 8259s: ICW1 to ICW4, no input masked (Intel 8259A data sheet). */
    private static void pics(Assembler code) {
        out(code, 0x20, 0x11);
        out(code, 0x21, PIC_BASE, 4, 1, 0);
        out(code, 0xA0, 0x11);
        out(code, 0xA1, PIC_BASE + 8, 2, 1, 0);
        out(code, ELCR1, 0xC0);
    }

    /** Has a real-mode vector lead to code that reports it and ends the interrupt; no register is changed (SDM volume 3, 21.1.4). */
    private static void handle(MicroGuest guest, int vector, int address, Consumer<Assembler> end) {
        Assembler code = new Assembler(Mode.BITS16, address);
        code.push(EAX).push(EDI).mov(AL, vector).out(REPORT_PORT, AL);
        end.accept(code);
        code.pop(EDI).pop(EAX).iretw();
        code.assemble().load(guest.memory());
        guest.memory().writeShort(4L * vector, (short) address);
        guest.memory().writeShort(4L * vector + 2, (short) 0);
    }

    private static void endAtThePic(Assembler code) {
        code.mov(AL, 0x20).out(0x20, AL);
    }

    private static void endAtTheApic(Assembler code) {
        code.mov(EDI, APIC + APIC_EOI).mov(EAX, 0).mov(mem(EDI), EAX);
    }

    /**
     * A guest in real mode that does something, then waits for interrupts; each reports its vector and is ended. Its data segments reach all addresses below
     * 4 GiB, where the APICs are.
     */
    static MicroGuest ready(Consumer<X86Vm> prepare, Consumer<Assembler> setup) {
        MicroGuest guest = MicroGuest.builder()
                .mode(EntryMode.REAL16)
                .deadline(LONG)
                .prepare(prepare)
                .build(code -> {
                    setup.accept(code);
                    code.mov(AL, READY).out(REPORT_PORT, AL);
                    Label wait = code.here("wait");
                    code.sti().hlt().jmp(wait);
                });
        try {
            X86VCpu vcpu = guest.vcpu();
            vcpu.setSpecialRegisters(vcpu.specialRegisters()
                    .withSegments(Segment.realMode(0, Segment.TYPE_CODE), Segment.flat32(0, Segment.TYPE_DATA)));
            for (int irq = 0; irq < 8; irq++) {
                handle(guest, PIC_BASE + irq, IRQ_HANDLERS + irq * 0x40, InterruptTest::endAtThePic);
            }
            handle(guest, MESSAGE_VECTOR, MESSAGE_HANDLER, InterruptTest::endAtTheApic);
            handle(guest, LAST_VECTOR, LAST_HANDLER, InterruptTest::endAtTheApic);
            assertThat(guest).reports(READY);
        } catch (Throwable t) {
            guest.close();
            throw t;
        }
        return guest;
    }

    static MicroGuest ready() {
        return ready(X86Vm::createIrqChip, InterruptTest::pics);
    }

    static void enableApic(MicroGuest guest) {
        LapicState lapic = guest.vcpu().lapic();
        guest.vcpu()
                .setLapic(lapic.withRegister(
                        LapicState.SPURIOUS_VECTOR, lapic.register(LapicState.SPURIOUS_VECTOR) | APIC_ENABLE | 0xFF));
    }

    private static InterruptRoute.Message message(int gsi) {
        return new InterruptRoute.Message(gsi, APIC, MESSAGE_VECTOR);
    }

    @Test
    void aPulsedLineInterruptsTheGuestOnce() {
        try (MicroGuest guest = ready()) {
            guest.vm().interruptLine(3).pulse();
            assertThat(guest).reports(PIC_BASE + 3);
            guest.vm().interruptLine(5).pulse();
            assertThat(guest).reports(PIC_BASE + 5);
        }
    }

    @Test
    void aRaisedLevelInterruptsUntilItIsLowered() {
        try (MicroGuest guest = ready()) {
            InterruptLine line = guest.vm().interruptLine(6);
            assertThat(line.gsi()).isEqualTo(6);
            line.raise();
            line.raise();
            for (int i = 0; i < 3; i++) {
                assertThat(guest).reports(PIC_BASE + 6);
            }
            line.lower();
            // A lower priority than line 6: were that still raised, it would come first.
            guest.vm().interruptLine(7).raise();
            assertThat(guest).reports(PIC_BASE + 7);
        }
    }

    @Test
    void aSignalledInterruptReachesTheGuestFromAnotherThread() throws InterruptedException {
        try (MicroGuest guest = ready()) {
            Interrupt interrupt = guest.vm().interrupt(4);
            assertThat(interrupt.gsi()).isEqualTo(4);
            int rounds = 200;
            for (int i = 0; i < rounds; i++) {
                Thread signaller = Thread.ofPlatform().start(interrupt::signal);
                assertThat(guest).reports(PIC_BASE + 4);
                signaller.join();
            }
        }
    }

    @Test
    void signalsThatTheGuestHasNotTakenMerge() {
        try (MicroGuest guest = ready()) {
            Interrupt interrupt = guest.vm().interrupt(4);
            interrupt.signal();
            assertThat(guest).reports(PIC_BASE + 4);
            // The guest is in its handler now: of all these it takes one.
            interrupt.signal();
            interrupt.signal();
            interrupt.signal();
            // The kernel raises pins a moment later, on a thread of its own; closing waits for that.
            interrupt.close();
            assertThat(guest).reports(PIC_BASE + 4);
            guest.vm().interruptLine(5).pulse();
            assertThat(guest).reports(PIC_BASE + 5);
        }
    }

    @Test
    void aClosedInterruptRefusesToSignal() {
        Interrupt left;
        try (MicroGuest guest = ready()) {
            Interrupt interrupt = guest.vm().interrupt(4);
            interrupt.close();
            interrupt.close();
            assertThatThrownBy(interrupt::signal)
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessage("interrupt 4 is closed");
            left = guest.vm().interrupt(4);
        }
        assertThatThrownBy(left::signal).isInstanceOf(IllegalStateException.class);
    }

    /**
     * Has the guest serve a device that wants attention several times, through a line that is raised anew at each end. The kernel may tell of an end
     * once too often (Linux, arch/x86/kvm/ioapic.c, ioapic_lazy_update_eoi), so the device looks what it wants instead of counting.
     */
    private static void serveResampled(MicroGuest guest, int gsi, int vector, int times) throws InterruptedException {
        EventLoop loop = guest.vm().createEventLoop(null);
        var wanted = new AtomicInteger(times);
        var served = new CountDownLatch(1);
        var interrupt = new AtomicReference<Interrupt>();
        interrupt.set(guest.vm().resampledInterrupt(gsi, loop, () -> {
            if (wanted.get() > 0) {
                interrupt.get().signal();
            } else {
                served.countDown();
            }
        }));
        interrupt.get().signal();
        for (int i = 0; i < times; i++) {
            assertThat(guest).reports(vector);
            wanted.decrementAndGet();
        }
        // The guest ends the last one when it runs on; only then is it told that all is served.
        Thread teller = Thread.ofPlatform().start(() -> {
            awaitUninterruptibly(served);
            interrupt.get().close();
            guest.vm().sendMessage(APIC, LAST_VECTOR);
        });
        GuestStop reported = guest.run();
        for (int more = 0; reported.equals(new GuestStop.Reported(vector)) && more < times; more++) {
            reported = guest.run();
        }
        assertThat(reported).isEqualTo(new GuestStop.Reported(LAST_VECTOR));
        teller.join();
    }

    private static void awaitUninterruptibly(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    @Test
    @RequiresKvm({Capability.IRQFD_RESAMPLE, Capability.SIGNAL_MSI})
    void aResampledInterruptIsRaisedAnewAsLongAsTheDeviceWantsIt() throws InterruptedException {
        try (MicroGuest guest = ready()) {
            enableApic(guest);
            serveResampled(guest, 6, PIC_BASE + 6, 6);
        }
    }

    /** Has the IOAPIC turn a pin into {@link #MESSAGE_VECTOR}, level-triggered (82093AA data sheet, 3.2.4). */
    private static void route(Assembler code, int pin) {
        code.mov(EDI, 0xFEC0_0000L).mov(dwordPtr(mem(EDI)), 0x10 + 2 * pin);
        code.mov(dwordPtr(mem(EDI, 0x10)), 1 << 15 | MESSAGE_VECTOR);
    }

    @Test
    @RequiresKvm({Capability.IRQFD_RESAMPLE, Capability.SIGNAL_MSI})
    void theLocalApicsEndOfInterruptResamplesALineOfTheIoapic() throws InterruptedException {
        int pin = 20;
        try (MicroGuest guest = ready(X86Vm::createIrqChip, code -> route(code, pin))) {
            enableApic(guest);
            serveResampled(guest, pin, MESSAGE_VECTOR, 3);
        }
    }

    @Test
    @RequiresKvm(Capability.IRQ_ROUTING)
    void aRoutedNumberSendsAMessage() {
        try (MicroGuest guest = ready()) {
            enableApic(guest);
            guest.vm().setInterruptRoutes(List.of(message(30), new InterruptRoute.Pin(31, 0, 5)));
            Interrupt message = guest.vm().interrupt(30);
            Interrupt pin = guest.vm().interrupt(31);
            for (int i = 0; i < 10; i++) {
                message.signal();
                assertThat(guest).reports(MESSAGE_VECTOR);
                pin.signal();
                assertThat(guest).reports(PIC_BASE + 5);
            }
            // Replaced as a whole: what 31 meant is gone.
            guest.vm().setInterruptRoutes(List.of(message(31)));
            pin.signal();
            assertThat(guest).reports(MESSAGE_VECTOR);
        }
    }

    @Test
    void refusesRoutesThatCannotBe() {
        try (MicroGuest guest = ready()) {
            assertThatThrownBy(() -> guest.vm().setInterruptRoutes(List.of(new InterruptRoute.Pin(1, 2, 24))))
                    .isInstanceOf(KvmException.class)
                    .hasMessageContaining("KVM_SET_GSI_ROUTING (1 routes) failed with EINVAL")
                    .hasMessageContaining("Pin[gsi=1, controller=2, pin=24]");
            assertThatThrownBy(() -> guest.vm().setInterruptRoutes(List.of(message(4096))))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("the GSI must be below 4096");
        }
    }

    @Test
    @RequiresKvm(Capability.SIGNAL_MSI)
    void tellsWhetherTheGuestTookAMessage() {
        try (MicroGuest guest = ready()) {
            // Intel SDM volume 3, 11.11.1: bits 12 to 19 of the address are the destination. There is no APIC 9.
            assertThat(guest.vm().sendMessage(APIC | 9 << 12, MESSAGE_VECTOR)).isEqualTo(Vm.Delivery.BLOCKED);
            enableApic(guest);
            assertThat(guest.vm().sendMessage(APIC, MESSAGE_VECTOR)).isEqualTo(Vm.Delivery.DELIVERED);
            assertThat(guest).reports(MESSAGE_VECTOR);
        }
    }

    @Test
    @RequiresKvm(Capability.SPLIT_IRQCHIP)
    void aSplitIrqchipTakesMessagesButNoPins() {
        try (MicroGuest guest = ready(vm -> vm.enableSplitIrqChip(24), code -> {})) {
            enableApic(guest);
            guest.vm().setInterruptRoutes(List.of(message(5)));
            guest.vm().interrupt(5).signal();
            assertThat(guest).reports(MESSAGE_VECTOR);
            assertThat(guest.vm().sendMessage(APIC, MESSAGE_VECTOR)).isEqualTo(Vm.Delivery.DELIVERED);
            assertThat(guest).reports(MESSAGE_VECTOR);

            assertThatThrownBy(() -> guest.vm().interruptLine(5))
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("the IOAPIC of a split irqchip is the program's own")
                    .hasMessageContaining("createIrqChip()");
            EventLoop loop = guest.vm().createEventLoop(null);
            assertThatThrownBy(() -> guest.vm().resampledInterrupt(5, loop, () -> {}))
                    .isInstanceOf(IllegalStateException.class);
            assertThatThrownBy(() -> guest.vm().setInterruptRoutes(List.of(new InterruptRoute.Pin(5, 2, 5))))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("a split irqchip has no pins in the kernel");
        }
    }

    @Test
    void tellsToCreateAControllerFirst() {
        try (MicroGuest guest = MicroGuest.builder().build()) {
            EventLoop loop = guest.vm().createEventLoop(null);
            List.<ThrowingCallable>of(
                            () -> guest.vm().interruptLine(4),
                            () -> guest.vm().interrupt(4),
                            () -> guest.vm().resampledInterrupt(4, loop, () -> {}),
                            () -> guest.vm().setInterruptRoutes(List.of()),
                            () -> guest.vm().sendMessage(APIC, MESSAGE_VECTOR))
                    .forEach(call -> assertThatThrownBy(call)
                            .isInstanceOf(IllegalStateException.class)
                            .hasMessageContaining(
                                    "no interrupt controller; call createIrqChip() or enableSplitIrqChip() first"));
            assertThatThrownBy(() -> guest.vm().interrupt(-1))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessage("interrupt number (GSI) -1 must be 0 or more");
        }
    }

    @Test
    void aWaitingGuestWakesForEveryInterrupt() throws InterruptedException {
        int rounds = Lane.repeats(5_000);
        try (MicroGuest guest = ready()) {
            Interrupt interrupt = guest.vm().interrupt(4);
            var taken = new Semaphore(0);
            Thread signaller = Thread.ofPlatform().start(() -> {
                for (int i = 0; i < rounds; i++) {
                    interrupt.signal();
                    taken.acquireUninterruptibly();
                }
            });
            for (int i = 0; i < rounds; i++) {
                assertThat(guest).reports(PIC_BASE + 4);
                taken.release();
            }
            signaller.join();
        }
    }
}
