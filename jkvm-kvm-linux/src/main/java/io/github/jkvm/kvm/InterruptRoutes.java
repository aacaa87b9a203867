package io.github.jkvm.kvm;

import static io.github.jkvm.kvm.layout.Capabilities.KVM_CAP_IRQ_ROUTING;

import io.github.jkvm.HypervisorException;
import io.github.jkvm.InterruptRoute;
import io.github.jkvm.kvm.ffi.OwnedFd;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * The routes of one VM: those that the program sets, and those of message interrupts. The kernel takes only all of them at once.
 *
 * <p>Safe for use by many threads.
 */
final class InterruptRoutes implements AutoCloseable {
    /** Numbers from here up are given to message interrupts first, so that those below stay free for the program. */
    private static final int FIRST_MESSAGE = 256;

    private final OwnedFd vm;
    private final BitSet taken = new BitSet();
    private final TreeMap<Integer, InterruptRoute.Message> messages = new TreeMap<>();
    private VmInterrupts.Controllers controllers = VmInterrupts.Controllers.NONE;
    /** What the program set, or the kernel's defaults; null if these are not known. */
    private @Nullable List<InterruptRoute> own;

    private boolean closed;

    InterruptRoutes(OwnedFd vm) {
        this.vm = vm;
    }

    /** Tells that there are controllers, and which routes the kernel made for them: null if it is not known. */
    synchronized void created(VmInterrupts.Controllers now, @Nullable List<InterruptRoute> defaults) {
        controllers = now;
        own = defaults;
    }

    /** Replaces the routes that are not those of message interrupts. */
    synchronized void set(List<InterruptRoute> routes) {
        for (InterruptRoute route : routes) {
            if (taken.get(route.gsi())) {
                throw new IllegalArgumentException(
                        route + ": this number belongs to a message interrupt of the VM; use a" + " number below "
                                + FIRST_MESSAGE + ", or messageInterrupt()");
            }
        }
        commit(routes);
        own = routes;
    }

    /**
     * Finds a number for a message interrupt.
     *
     * @throws HypervisorException if there is none left
     */
    synchronized int take() {
        if (own == null) {
            throw new IllegalStateException(
                    "messageInterrupt(): the routes that this host sets by itself are not known, and"
                            + " would be lost; call setInterruptRoutes() first");
        }
        int limit = limit();
        BitSet used = (BitSet) taken.clone();
        own.forEach(route -> used.set(route.gsi()));
        int gsi = used.nextClearBit(Math.min(FIRST_MESSAGE, limit / 2));
        if (gsi >= limit) {
            gsi = used.nextClearBit(0);
        }
        if (gsi >= limit || own.size() + taken.cardinality() >= limit) {
            throw new HypervisorException(
                    "no interrupt number is left for a message interrupt: this host takes " + limit
                            + " routes, and there are " + own.size() + " besides " + taken.cardinality()
                            + " message interrupts; close some, or give devices fewer vectors");
        }
        taken.set(gsi);
        return gsi;
    }

    /** Sets the message of a number that was taken. */
    synchronized void set(int gsi, long address, int data) {
        if (closed) {
            throw new IllegalStateException("the VM is closed");
        }
        var next = new InterruptRoute.Message(gsi, address, data);
        var before = messages.put(gsi, next);
        if (next.equals(before)) {
            return;
        }
        try {
            commit(own());
        } catch (Throwable refused) {
            if (before == null) {
                messages.remove(gsi);
            } else {
                messages.put(gsi, before);
            }
            throw refused;
        }
    }

    /** Frees a number. Nothing may signal it any more. */
    synchronized void giveBack(int gsi) {
        boolean routed = messages.remove(gsi) != null;
        taken.clear(gsi);
        if (routed && !closed) {
            // Else the next one who gets the number would send the old message.
            commit(own());
        }
    }

    private List<InterruptRoute> own() {
        return own == null ? List.of() : own;
    }

    private void commit(List<InterruptRoute> others) {
        List<InterruptRoute> all = new ArrayList<>(others.size() + messages.size());
        all.addAll(others);
        all.addAll(messages.values());
        RoutingTable.set(vm, all, limit(), controllers);
    }

    private int limit() {
        return HostCapabilities.ask(vm, KVM_CAP_IRQ_ROUTING);
    }

    /** Lets numbers be given back without telling the kernel, because the VM is going away. */
    @Override
    public synchronized void close() {
        closed = true;
    }
}
