package io.github.jkvm.kvm;

import static io.github.jkvm.kvm.layout.InterruptNumbers.KVM_IRQ_ROUTING_IRQCHIP;
import static io.github.jkvm.kvm.layout.InterruptNumbers.KVM_IRQ_ROUTING_MSI;
import static io.github.jkvm.kvm.layout.InterruptStructs.KVM_IRQ_ROUTING;
import static io.github.jkvm.kvm.layout.InterruptStructs.KVM_IRQ_ROUTING_ENTRY;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import io.github.jkvm.InterruptRoute;
import io.github.jkvm.kvm.ffi.OwnedFd;
import io.github.jkvm.kvm.layout.VmIoctls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;

/** The table that gives interrupt numbers their meaning ({@code KVM_SET_GSI_ROUTING}). */
final class RoutingTable {
    private static final long NR = KVM_IRQ_ROUTING.offset("nr");
    private static final long ENTRIES = KVM_IRQ_ROUTING.offset("entries");
    private static final long GSI = KVM_IRQ_ROUTING_ENTRY.offset("gsi");
    private static final long TYPE = KVM_IRQ_ROUTING_ENTRY.offset("type");
    private static final long CONTROLLER = KVM_IRQ_ROUTING_ENTRY.offset("u.irqchip.irqchip");
    private static final long PIN = KVM_IRQ_ROUTING_ENTRY.offset("u.irqchip.pin");
    private static final long ADDRESS_LO = KVM_IRQ_ROUTING_ENTRY.offset("u.msi.address_lo");
    private static final long ADDRESS_HI = KVM_IRQ_ROUTING_ENTRY.offset("u.msi.address_hi");
    private static final long DATA = KVM_IRQ_ROUTING_ENTRY.offset("u.msi.data");

    private RoutingTable() {}

    /**
     * Replaces a VM's table.
     *
     * @param vm the VM
     * @param routes the routes
     * @param limit how many there may be, and the first interrupt number that is too high
     * @param controllers which controllers are in the kernel
     * @throws IllegalArgumentException if a route can't be
     * @throws KvmException if the kernel refuses the table
     */
    static void set(OwnedFd vm, List<InterruptRoute> routes, int limit, VmInterrupts.Controllers controllers) {
        if (routes.size() > limit) {
            throw new IllegalArgumentException(routes.size() + " interrupt routes; this host takes " + limit);
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment table = KVM_IRQ_ROUTING.allocate(arena, routes.size());
            table.set(JAVA_INT, NR, routes.size());
            long at = ENTRIES;
            for (InterruptRoute route : routes) {
                if (route.gsi() >= limit) {
                    throw new IllegalArgumentException(route + ": the GSI must be below " + limit);
                }
                write(route, table.asSlice(at, KVM_IRQ_ROUTING_ENTRY.size()), controllers);
                at += KVM_IRQ_ROUTING_ENTRY.size();
            }
            int result = vm.tryIoctl(VmIoctls.KVM_SET_GSI_ROUTING, table);
            if (result < 0) {
                throw new KvmException(
                        VmIoctls.KVM_SET_GSI_ROUTING.name(),
                        routes.size() + " routes",
                        -result,
                        "a pin or controller does not exist, or one GSI has two pins of the same controller, or a message together with a"
                                + " second route: " + routes);
            }
        }
    }

    private static void write(InterruptRoute route, MemorySegment entry, VmInterrupts.Controllers controllers) {
        entry.set(JAVA_INT, GSI, route.gsi());
        switch (route) {
            case InterruptRoute.Pin pin -> {
                if (controllers == VmInterrupts.Controllers.SPLIT) {
                    throw new IllegalArgumentException(
                            pin + ": a split irqchip has no pins in the kernel; route the GSI to a Message");
                }
                entry.set(JAVA_INT, TYPE, KVM_IRQ_ROUTING_IRQCHIP);
                entry.set(JAVA_INT, CONTROLLER, pin.controller());
                entry.set(JAVA_INT, PIN, pin.pin());
            }
            case InterruptRoute.Message message -> {
                entry.set(JAVA_INT, TYPE, KVM_IRQ_ROUTING_MSI);
                entry.set(JAVA_INT, ADDRESS_LO, (int) message.address());
                entry.set(JAVA_INT, ADDRESS_HI, (int) (message.address() >>> Integer.SIZE));
                entry.set(JAVA_INT, DATA, message.data());
            }
        }
    }
}
