package io.github.jkvm.kvm;

import static io.github.jkvm.kvm.layout.InterruptStructs.KVM_MSI;

import io.github.jkvm.Capability;
import io.github.jkvm.EventLoop;
import io.github.jkvm.Interrupt;
import io.github.jkvm.InterruptLine;
import io.github.jkvm.InterruptRoute;
import io.github.jkvm.MessageInterrupt;
import io.github.jkvm.Vm;
import io.github.jkvm.kvm.ffi.Errno;
import io.github.jkvm.kvm.ffi.OwnedFd;
import io.github.jkvm.kvm.layout.VmIoctls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** The ways to interrupt the guest of one VM; see the methods of {@link Vm} of the same names. */
final class VmInterrupts implements AutoCloseable {
    private static final long ADDRESS_LO = KVM_MSI.offset("address_lo");
    private static final long ADDRESS_HI = KVM_MSI.offset("address_hi");
    private static final long DATA = KVM_MSI.offset("data");

    private final OwnedFd vm;
    private final OpenChildren<Interrupt> open = new OpenChildren<>();
    private final InterruptRoutes routes;
    private volatile Controllers controllers = Controllers.NONE;

    /** Which interrupt controllers are inside the kernel. */
    enum Controllers {
        /** None: the guest can't be interrupted through the VM. */
        NONE,
        /** The local APICs only; lines end in the IOAPIC, which is the program's. */
        SPLIT,
        /** All of them. */
        ALL
    }

    /**
     * Creates it for a VM that has no interrupt controller yet.
     *
     * @param vm the VM's descriptor, which stays the caller's and is closed after this
     */
    VmInterrupts(OwnedFd vm) {
        this.vm = vm;
        this.routes = new InterruptRoutes(vm);
    }

    /**
     * Tells that controllers were created.
     *
     * @param now which
     * @param defaults the routes that the kernel made for them, or null if they are not known
     */
    void created(Controllers now, @Nullable List<InterruptRoute> defaults) {
        routes.created(now, defaults);
        controllers = now;
    }

    InterruptLine line(int gsi) {
        checkGsi(gsi);
        requireAll("interrupt line " + gsi);
        return new KvmInterruptLine(vm, gsi);
    }

    Interrupt interrupt(int gsi) {
        checkGsi(gsi);
        requireSome("interrupt " + gsi);
        StructCall.require(vm, Capability.IRQFD, "interrupt(); use interruptLine()");
        return open.add(() -> IrqFd.edge(vm, gsi, open::remove));
    }

    Interrupt resampled(int gsi, EventLoop loop, Runnable onEnd) {
        checkGsi(gsi);
        Objects.requireNonNull(onEnd, "onEnd");
        if (!(loop instanceof EpollEventLoop ours)) {
            throw new IllegalArgumentException(
                    "resampled interrupt " + gsi + " needs an event loop made by a KVM VM, got " + loop);
        }
        requireAll("resampled interrupt " + gsi);
        StructCall.require(
                vm,
                Capability.IRQFD_RESAMPLE,
                "resampledInterrupt(); use interruptLine() and lower it when the guest has answered the device");
        return open.add(() -> IrqFd.resampled(vm, gsi, ours, onEnd, open::remove));
    }

    MessageInterrupt message() {
        requireSome("messageInterrupt()");
        StructCall.require(vm, Capability.IRQFD, "messageInterrupt(); use sendMessage()");
        StructCall.require(vm, Capability.IRQ_ROUTING, "messageInterrupt(); use sendMessage()");
        return open.add(() -> MessageIrqFd.create(vm, routes, open::remove));
    }

    void setRoutes(List<InterruptRoute> own) {
        requireSome("setInterruptRoutes()");
        StructCall.require(vm, Capability.IRQ_ROUTING, "setInterruptRoutes(); keep the default routes");
        routes.set(List.copyOf(own));
    }

    Vm.Delivery send(long address, int data) {
        requireSome("sendMessage()");
        int result;
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment message = KVM_MSI.allocate(arena);
            message.set(ValueLayout.JAVA_INT, ADDRESS_LO, (int) address);
            message.set(ValueLayout.JAVA_INT, ADDRESS_HI, (int) (address >>> Integer.SIZE));
            message.set(ValueLayout.JAVA_INT, DATA, data);
            result = vm.tryIoctl(VmIoctls.KVM_SIGNAL_MSI, message);
        }
        if (result == -Errno.ENOTTY) {
            // Not asked before each message: only kernels before 3.5 lack it.
            StructCall.require(vm, Capability.SIGNAL_MSI, "sendMessage(); use interrupt() with a Message route");
        }
        // KVM answers "-1" when no local APIC is the message's destination, which reads as EPERM. Guests choose where
        // the messages of their devices go, so this is no failure of the host: the message is lost, as on hardware.
        if (result < 0 && result != -Errno.EPERM) {
            throw new KvmException(
                    VmIoctls.KVM_SIGNAL_MSI.name(),
                    "address 0x" + Long.toHexString(address) + ", data 0x" + Integer.toHexString(data),
                    -result,
                    "the host refuses the message; on x86 it is in the local APIC's format (address 0xfee00000 and up)");
        }
        return result > 0 ? Vm.Delivery.DELIVERED : Vm.Delivery.BLOCKED;
    }

    private static void checkGsi(int gsi) {
        if (gsi < 0) {
            throw new IllegalArgumentException("interrupt number (GSI) " + gsi + " must be 0 or more");
        }
    }

    private void requireSome(String what) {
        if (controllers == Controllers.NONE) {
            throw new IllegalStateException(what
                    + ": this VM has no interrupt controller; call createIrqChip() or enableSplitIrqChip() first (on Arm,"
                    + " createDevice())");
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
    @Override
    public void close() {
        routes.close();
        open.close();
    }
}
