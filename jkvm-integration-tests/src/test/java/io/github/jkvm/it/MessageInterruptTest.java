package io.github.jkvm.it;

import static io.github.jkvm.it.InterruptTest.APIC;
import static io.github.jkvm.it.InterruptTest.LAST_VECTOR;
import static io.github.jkvm.it.InterruptTest.MESSAGE_VECTOR;
import static io.github.jkvm.it.InterruptTest.PIC_BASE;
import static io.github.jkvm.it.InterruptTest.enableApic;
import static io.github.jkvm.it.InterruptTest.ready;
import static io.github.jkvm.testkit.GuestAssertions.assertThat;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.Capability;
import io.github.jkvm.HypervisorException;
import io.github.jkvm.Interrupt;
import io.github.jkvm.InterruptRoute;
import io.github.jkvm.MessageInterrupt;
import io.github.jkvm.kvm.ffi.EventFd;
import io.github.jkvm.testkit.MicroGuest;
import io.github.jkvm.testkit.RequiresKvm;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Interrupts whose message the guest chooses. */
@RequiresKvm({Capability.IRQCHIP, Capability.IRQFD, Capability.IRQ_ROUTING})
class MessageInterruptTest {

    @Test
    void sendsTheMessageItWasToldLast() {
        try (MicroGuest guest = ready()) {
            enableApic(guest);
            MessageInterrupt interrupt = guest.vm().messageInterrupt();
            for (int i = 0; i < 3; i++) {
                interrupt.setMessage(APIC, MESSAGE_VECTOR);
                interrupt.signal();
                assertThat(guest).reports(MESSAGE_VECTOR);
                interrupt.setMessage(APIC, LAST_VECTOR);
                interrupt.setMessage(APIC, LAST_VECTOR);
                interrupt.signal();
                assertThat(guest).reports(LAST_VECTOR);
            }
        }
    }

    /** An eventfd, as another process is handed it. */
    @Test
    void anEventOfTheCallersSendsTheMessageWhileItIsAttached() {
        try (MicroGuest guest = ready();
                EventFd event = EventFd.create("test")) {
            enableApic(guest);
            MessageInterrupt interrupt = guest.vm().messageInterrupt();
            interrupt.setMessage(APIC, MESSAGE_VECTOR);
            event.signal();
            MessageInterrupt.Attachment attachment = interrupt.attach(event.fd());
            assertThat(guest).as("what was signalled before").reports(MESSAGE_VECTOR);
            event.signal();
            assertThat(guest).reports(MESSAGE_VECTOR);
            assertThatThrownBy(() -> interrupt.attach(event.fd()))
                    .hasMessageContaining("attached to an interrupt already");
            attachment.close();
            event.signal();
            interrupt.setMessage(APIC, LAST_VECTOR);
            interrupt.signal();
            assertThat(guest).as("what was signalled later is not sent").reports(LAST_VECTOR);
            assertThat(event.take()).as("but left for others").isTrue();
            interrupt.attach(event.fd());
            event.signal();
            assertThat(guest).reports(LAST_VECTOR);
            interrupt.close();
            event.signal();
            assertThat(event.take()).as("detached with the interrupt").isTrue();
        }
    }

    @Test
    void isLostWithoutAMessageOrWithoutAReceiver() {
        try (MicroGuest guest = ready()) {
            enableApic(guest);
            MessageInterrupt interrupt = guest.vm().messageInterrupt();
            interrupt.signal();
            interrupt.setMessage(-1, -1);
            interrupt.signal();
            interrupt.setMessage(APIC | 9 << 12, MESSAGE_VECTOR);
            interrupt.signal();
            interrupt.setMessage(APIC, LAST_VECTOR);
            interrupt.signal();
            assertThat(guest).reports(LAST_VECTOR);
        }
    }

    @Test
    void leavesTheRoutesOfPinsAlone() {
        try (MicroGuest guest = ready()) {
            enableApic(guest);
            MessageInterrupt message = guest.vm().messageInterrupt();
            message.setMessage(APIC, MESSAGE_VECTOR);
            guest.vm().interruptLine(3).pulse();
            assertThat(guest).as("the routes that KVM sets by itself").reports(PIC_BASE + 3);

            guest.vm().setInterruptRoutes(List.of(new InterruptRoute.Pin(31, 0, 5)));
            Interrupt pin = guest.vm().interrupt(31);
            message.signal();
            assertThat(guest).reports(MESSAGE_VECTOR);
            pin.signal();
            assertThat(guest).reports(PIC_BASE + 5);
            message.setMessage(APIC, LAST_VECTOR);
            message.close();
            pin.signal();
            assertThat(guest).reports(PIC_BASE + 5);
        }
    }

    @Test
    void aNumberThatIsGivenBackHasNoOldMessage() {
        try (MicroGuest guest = ready()) {
            enableApic(guest);
            MessageInterrupt first = guest.vm().messageInterrupt();
            first.setMessage(APIC, MESSAGE_VECTOR);
            first.close();
            first.close();
            MessageInterrupt second = guest.vm().messageInterrupt();
            assertThat(second.gsi()).isEqualTo(first.gsi());
            second.signal();
            second.setMessage(APIC, LAST_VECTOR);
            second.signal();
            assertThat(guest).reports(LAST_VECTOR);
            assertThatThrownBy(() -> first.setMessage(APIC, MESSAGE_VECTOR))
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("is closed");
            assertThatThrownBy(first::signal).isInstanceOf(IllegalStateException.class);
        }
    }

    @Test
    void numbersAreApartFromThoseOfTheProgram() {
        try (MicroGuest guest = ready()) {
            MessageInterrupt message = guest.vm().messageInterrupt();
            assertThatThrownBy(() -> guest.vm()
                            .setInterruptRoutes(
                                    List.of(new InterruptRoute.Message(message.gsi(), APIC, MESSAGE_VECTOR))))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("belongs to a message interrupt");
            int next = message.gsi() + 1;
            guest.vm().setInterruptRoutes(List.of(new InterruptRoute.Message(next, APIC, MESSAGE_VECTOR)));
            assertThat(guest.vm().messageInterrupt().gsi()).isEqualTo(next + 1);
        }
    }

    @Test
    void theHostsLimitIsToldInWords() {
        try (MicroGuest guest = ready()) {
            List<InterruptRoute> many = new ArrayList<>();
            for (int gsi = 0; gsi < 4094; gsi++) {
                many.add(new InterruptRoute.Message(gsi, APIC, MESSAGE_VECTOR));
            }
            guest.vm().setInterruptRoutes(many);
            MessageInterrupt one = guest.vm().messageInterrupt();
            assertThat(guest.vm().messageInterrupt().gsi()).isNotEqualTo(one.gsi());
            assertThatThrownBy(guest.vm()::messageInterrupt)
                    .isInstanceOf(HypervisorException.class)
                    .hasMessageContaining(
                            "this host takes 4096 routes, and there are 4094 besides 2 message interrupts");
            one.close();
            assertThat(guest.vm().messageInterrupt().gsi()).isEqualTo(one.gsi());
        }
    }

    @Test
    @RequiresKvm(Capability.SPLIT_IRQCHIP)
    void worksWithASplitIrqchip() {
        try (MicroGuest guest = ready(vm -> vm.enableSplitIrqChip(24), code -> {})) {
            enableApic(guest);
            MessageInterrupt interrupt = guest.vm().messageInterrupt();
            interrupt.setMessage(APIC, MESSAGE_VECTOR);
            interrupt.signal();
            assertThat(guest).reports(MESSAGE_VECTOR);
        }
    }

    @Test
    void isClosedWithItsVm() {
        MessageInterrupt left;
        try (MicroGuest guest = ready()) {
            left = guest.vm().messageInterrupt();
            left.setMessage(APIC, MESSAGE_VECTOR);
        }
        assertThatThrownBy(() -> left.setMessage(APIC, LAST_VECTOR)).isInstanceOf(IllegalStateException.class);
        left.close();
        try (var bare = MicroGuest.builder().build()) {
            assertThatThrownBy(bare.vm()::messageInterrupt)
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("no interrupt controller; call createIrqChip()");
        }
    }
}
