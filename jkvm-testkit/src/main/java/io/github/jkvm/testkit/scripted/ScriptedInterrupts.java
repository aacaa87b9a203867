package io.github.jkvm.testkit.scripted;

import io.github.jkvm.Capability;
import io.github.jkvm.EventLoop;
import io.github.jkvm.HypervisorException;
import io.github.jkvm.Interrupt;
import io.github.jkvm.InterruptLine;
import io.github.jkvm.InterruptRoute;
import io.github.jkvm.MessageInterrupt;
import io.github.jkvm.Vm;
import java.util.BitSet;
import java.util.List;
import java.util.Objects;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** The ways to interrupt the guest of one VM; see the methods of {@link Vm} of the same names. What is signalled ends in the {@link InterruptInbox}. */
final class ScriptedInterrupts {
    /** Most routes, and the first number that is too high ({@code KVM_MAX_IRQ_ROUTES}; Linux, include/linux/kvm_host.h). */
    private static final int MOST_ROUTES = 4096;

    /** Numbers from here up are given to message interrupts, so that those below stay free for the program. */
    private static final int FIRST_MESSAGE = 256;

    private static final int IOAPIC = 2;
    private static final int IOAPIC_INPUTS = 24;

    private final ScriptedVm vm;
    private final InterruptInbox inbox;
    private final OpenChildren<Interrupt> open = new OpenChildren<>();
    private volatile Controllers controllers = Controllers.NONE;

    // Guarded by this object.
    private final BitSet taken = new BitSet();
    private List<InterruptRoute> routes = List.of();

    /** Which interrupt controllers are inside the hypervisor. */
    enum Controllers {
        /** None: the guest can't be interrupted through the VM. */
        NONE,
        /** The local APICs only. */
        SPLIT,
        /** All of them. */
        ALL
    }

    ScriptedInterrupts(ScriptedVm vm, InterruptInbox inbox) {
        this.vm = vm;
        this.inbox = inbox;
    }

    Controllers controllers() {
        return controllers;
    }

    /** Tells that controllers were created. Every input of an IOAPIC has its own number at first. */
    synchronized void created(Controllers now) {
        controllers = now;
        if (now == Controllers.ALL) {
            routes = IntStream.range(0, IOAPIC_INPUTS)
                    .<InterruptRoute>mapToObj(gsi -> new InterruptRoute.Pin(gsi, IOAPIC, gsi))
                    .toList();
        }
    }

    InterruptLine line(int gsi) {
        checkGsi(gsi);
        open.checkOpen();
        requireAll("interrupt line " + gsi);
        return new Line(gsi);
    }

    Interrupt interrupt(int gsi) {
        checkGsi(gsi);
        open.checkOpen();
        requireSome("interrupt " + gsi);
        vm.require(Capability.IRQFD, "interrupt(); use interruptLine()");
        return open.add(() -> new Edge(gsi));
    }

    Interrupt resampled(int gsi, EventLoop loop, Runnable onEnd) {
        checkGsi(gsi);
        Objects.requireNonNull(onEnd, "onEnd");
        if (!(loop instanceof ScriptedEventLoop ours)) {
            throw new IllegalArgumentException(
                    "resampled interrupt " + gsi + " needs an event loop made by a scripted VM, got " + loop);
        }
        open.checkOpen();
        requireAll("resampled interrupt " + gsi);
        vm.require(
                Capability.IRQFD_RESAMPLE,
                "resampledInterrupt(); use interruptLine() and lower it when the guest has answered the device");
        return open.add(() -> new Resampled(gsi, ours, onEnd));
    }

    MessageInterrupt message() {
        open.checkOpen();
        requireSome("messageInterrupt()");
        vm.require(Capability.IRQFD, "messageInterrupt(); use sendMessage()");
        vm.require(Capability.IRQ_ROUTING, "messageInterrupt(); use sendMessage()");
        return open.add(() -> new Message(takeNumber()));
    }

    private synchronized int takeNumber() {
        BitSet used = (BitSet) taken.clone();
        routes.forEach(route -> used.set(route.gsi()));
        int gsi = used.nextClearBit(FIRST_MESSAGE);
        if (gsi >= MOST_ROUTES || routes.size() + taken.cardinality() >= MOST_ROUTES) {
            throw new HypervisorException("no interrupt number is left for a message interrupt: there are "
                    + MOST_ROUTES + " routes, " + routes.size() + " besides " + taken.cardinality()
                    + " message interrupts; close some, or give devices fewer vectors");
        }
        taken.set(gsi);
        return gsi;
    }

    void setRoutes(List<InterruptRoute> own) {
        open.checkOpen();
        requireSome("setInterruptRoutes()");
        vm.require(Capability.IRQ_ROUTING, "setInterruptRoutes(); keep the default routes");
        List<InterruptRoute> next = List.copyOf(own);
        if (next.size() > MOST_ROUTES) {
            throw new IllegalArgumentException(next.size() + " interrupt routes; this host takes " + MOST_ROUTES);
        }
        synchronized (this) {
            for (InterruptRoute route : next) {
                check(route);
            }
            routes = next;
        }
    }

    private void check(InterruptRoute route) {
        if (route.gsi() >= MOST_ROUTES) {
            throw new IllegalArgumentException(route + ": the GSI must be below " + MOST_ROUTES);
        }
        if (taken.get(route.gsi())) {
            throw new IllegalArgumentException(route
                    + ": this number belongs to a message interrupt of the VM; use a number below " + FIRST_MESSAGE
                    + ", or messageInterrupt()");
        }
        if (route instanceof InterruptRoute.Pin pin && controllers == Controllers.SPLIT) {
            throw new IllegalArgumentException(
                    pin + ": a split irqchip has no pins in the hypervisor; route the GSI to a Message");
        }
    }

    Vm.Delivery send(long address, int data) {
        open.checkOpen();
        requireSome("sendMessage()");
        vm.require(Capability.SIGNAL_MSI, "sendMessage(); use interrupt() with a Message route");
        return inbox.post(new GuestInterrupt.Message(address, data));
    }

    /** Returns what a number is routed to; null if nothing, so that what is signalled is lost. Several pins are one interrupt for a program. */
    private synchronized @Nullable InterruptRoute routeOf(int gsi) {
        return routes.stream().filter(route -> route.gsi() == gsi).findFirst().orElse(null);
    }

    private void signalEdge(int gsi) {
        switch (routeOf(gsi)) {
            case null -> {}
            case InterruptRoute.Pin ignored -> inbox.post(new GuestInterrupt.Edge(gsi));
            case InterruptRoute.Message message -> inbox.post(messageOf(message));
        }
    }

    private static GuestInterrupt messageOf(InterruptRoute.Message route) {
        return new GuestInterrupt.Message(route.address(), route.data());
    }

    private static void checkGsi(int gsi) {
        if (gsi < 0) {
            throw new IllegalArgumentException("interrupt number (GSI) " + gsi + " must be 0 or more");
        }
    }

    private void requireSome(String what) {
        if (controllers == Controllers.NONE) {
            throw new IllegalStateException(
                    what + ": this VM has no interrupt controller; call createIrqChip() or enableSplitIrqChip() first");
        }
    }

    private void requireAll(String what) {
        requireSome(what);
        if (controllers == Controllers.SPLIT) {
            throw new IllegalStateException(what
                    + ": the IOAPIC of a split irqchip is the program's own, so this VM has no interrupt lines; use interrupt() with a"
                    + " Message route, sendMessage(), or createIrqChip() instead of enableSplitIrqChip()");
        }
    }

    /** Closes every interrupt. None can be made after. */
    void close() {
        open.close().forEach(interrupt -> {
            try {
                interrupt.close();
            } catch (Exception e) {
                throw new IllegalStateException(interrupt + " could not be closed", e);
            }
        });
    }

    /** An input of the interrupt controller. */
    private final class Line implements InterruptLine {
        private final int gsi;

        Line(int gsi) {
            this.gsi = gsi;
        }

        @Override
        public int gsi() {
            return gsi;
        }

        @Override
        public void raise() {
            open.checkOpen();
            switch (routeOf(gsi)) {
                case null -> {}
                case InterruptRoute.Pin ignored -> inbox.raise(gsi);
                case InterruptRoute.Message message -> inbox.post(messageOf(message));
            }
        }

        @Override
        public void lower() {
            open.checkOpen();
            inbox.lower(gsi);
        }

        /** An edge: it is the guest's though the line is low again. */
        @Override
        public void pulse() {
            open.checkOpen();
            signalEdge(gsi);
        }

        @Override
        public String toString() {
            return "interrupt line " + gsi;
        }
    }

    /** What all interrupts that can be closed have in common. */
    private abstract class Closable implements Interrupt {
        private final int gsi;
        private boolean closed;

        Closable(int gsi) {
            this.gsi = gsi;
        }

        @Override
        public final int gsi() {
            return gsi;
        }

        final synchronized void checkOpen() {
            if (closed) {
                throw new IllegalStateException(this + " is closed");
            }
        }

        @Override
        public final void close() {
            synchronized (this) {
                if (closed) {
                    return;
                }
                closed = true;
            }
            open.remove(this);
            detach();
        }

        void detach() {}
    }

    /** An edge, or whatever its number is routed to. */
    private final class Edge extends Closable {
        Edge(int gsi) {
            super(gsi);
        }

        @Override
        public void signal() {
            checkOpen();
            signalEdge(gsi());
        }

        @Override
        public String toString() {
            return "interrupt " + gsi();
        }
    }

    /** A line that the guest's end of the interrupt lowers. */
    private final class Resampled extends Closable {
        private final Consumer<Integer> listener;

        Resampled(int gsi, ScriptedEventLoop loop, Runnable onEnd) {
            super(gsi);
            this.listener = ended -> loop.executeIfOpen(onEnd);
            inbox.listen(gsi, listener);
        }

        @Override
        public void signal() {
            checkOpen();
            inbox.raise(gsi());
        }

        @Override
        void detach() {
            inbox.ignore(gsi(), listener);
        }

        @Override
        public String toString() {
            return "resampled interrupt " + gsi();
        }
    }

    /** An interrupt whose number belongs to it alone. */
    private final class Message extends Closable implements MessageInterrupt {
        private volatile GuestInterrupt.@Nullable Message message;

        Message(int gsi) {
            super(gsi);
        }

        @Override
        public void setMessage(long address, int data) {
            checkOpen();
            message = new GuestInterrupt.Message(address, data);
        }

        @Override
        public void signal() {
            checkOpen();
            GuestInterrupt now = message;
            if (now != null) {
                inbox.post(now);
            }
        }

        @Override
        void detach() {
            synchronized (ScriptedInterrupts.this) {
                taken.clear(gsi());
            }
        }

        @Override
        public String toString() {
            return "message interrupt " + gsi();
        }
    }
}
