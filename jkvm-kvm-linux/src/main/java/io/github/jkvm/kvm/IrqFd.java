package io.github.jkvm.kvm;

import static io.github.jkvm.kvm.layout.InterruptNumbers.KVM_IRQFD_FLAG_DEASSIGN;
import static io.github.jkvm.kvm.layout.InterruptNumbers.KVM_IRQFD_FLAG_RESAMPLE;
import static io.github.jkvm.kvm.layout.InterruptStructs.KVM_IRQFD;

import io.github.jkvm.Interrupt;
import io.github.jkvm.kvm.ffi.Errno;
import io.github.jkvm.kvm.ffi.EventFd;
import io.github.jkvm.kvm.ffi.OwnedFd;
import io.github.jkvm.kvm.layout.VmIoctls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** An interrupt raised by an eventfd (Linux, Documentation/virt/kvm/api.rst, KVM_IRQFD). */
final class IrqFd implements Interrupt {
    private static final long FD = KVM_IRQFD.offset("fd");
    private static final long GSI = KVM_IRQFD.offset("gsi");
    private static final long FLAGS = KVM_IRQFD.offset("flags");
    private static final long RESAMPLE_FD = KVM_IRQFD.offset("resamplefd");

    private final OwnedFd vm;
    private final int gsi;
    private final EventFd event;
    private final @Nullable Resample resample;
    private final Consumer<IrqFd> onClose;
    private boolean closed;

    /** How the kernel tells that the guest has ended a level-triggered interrupt. */
    private record Resample(EventFd ended, EpollEventLoop.Watch registration) {}

    private IrqFd(OwnedFd vm, int gsi, EventFd event, @Nullable Resample resample, Consumer<IrqFd> onClose) {
        this.vm = vm;
        this.gsi = gsi;
        this.event = event;
        this.resample = resample;
        this.onClose = onClose;
    }

    /** Attaches an interrupt that is an edge, or a message. */
    static IrqFd edge(OwnedFd vm, int gsi, Consumer<IrqFd> onClose) {
        return edge(vm, gsi, EventFd.create("interrupt " + gsi), onClose);
    }

    /** Attaches an interrupt that is an edge, or a message, to an event of others, which is left open. */
    static IrqFd edge(OwnedFd vm, int gsi, OwnedFd event, Consumer<IrqFd> onClose) {
        return edge(vm, gsi, EventFd.borrow(event), onClose);
    }

    private static IrqFd edge(OwnedFd vm, int gsi, EventFd event, Consumer<IrqFd> onClose) {
        try {
            var interrupt = new IrqFd(vm, gsi, event, null, onClose);
            interrupt.attach();
            return interrupt;
        } catch (Throwable t) {
            event.close();
            throw t;
        }
    }

    /** Attaches an interrupt that holds its line high until the guest ends it. */
    static IrqFd resampled(OwnedFd vm, int gsi, EpollEventLoop loop, Runnable onEnd, Consumer<IrqFd> onClose) {
        EventFd event = EventFd.create("interrupt " + gsi);
        EventFd ended = null;
        EpollEventLoop.Watch registration = null;
        try {
            ended = EventFd.create("end of interrupt " + gsi);
            registration = loop.onSignal(ended, onEnd, () -> {});
            var interrupt = new IrqFd(vm, gsi, event, new Resample(ended, registration), onClose);
            interrupt.attach();
            return interrupt;
        } catch (Throwable t) {
            event.close();
            if (registration != null) {
                registration.end();
            }
            if (ended != null) {
                ended.close();
            }
            throw t;
        }
    }

    private void attach() {
        int result = request(resample == null ? 0 : KVM_IRQFD_FLAG_RESAMPLE);
        if (result < 0) {
            throw new KvmException(
                    VmIoctls.KVM_IRQFD.name(),
                    "attach " + this,
                    -result,
                    switch (-result) {
                        case Errno.EBUSY -> "the event is attached to an interrupt already; end that first";
                        case Errno.EAGAIN, Errno.EINVAL ->
                            "the interrupt controller that it needs has not been created";
                        default -> "the kernel refuses it; see KVM_IRQFD in Documentation/virt/kvm/api.rst of Linux";
                    });
        }
    }

    private int request(int flags) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment request = KVM_IRQFD.allocate(arena);
            request.set(ValueLayout.JAVA_INT, GSI, gsi);
            request.set(ValueLayout.JAVA_INT, FLAGS, flags);
            request.set(ValueLayout.JAVA_INT, FD, event.fd().acquire());
            try {
                if (resample == null) {
                    return vm.tryIoctl(VmIoctls.KVM_IRQFD, request);
                }
                OwnedFd ended = resample.ended.fd();
                request.set(ValueLayout.JAVA_INT, RESAMPLE_FD, ended.acquire());
                try {
                    return vm.tryIoctl(VmIoctls.KVM_IRQFD, request);
                } finally {
                    ended.release();
                }
            } finally {
                event.fd().release();
            }
        }
    }

    @Override
    public int gsi() {
        return gsi;
    }

    @Override
    public void signal() {
        event.signal();
    }

    @Override
    public void close() {
        synchronized (this) {
            if (closed) {
                return;
            }
            closed = true;
        }
        onClose.accept(this);
        int result;
        try {
            result = request(KVM_IRQFD_FLAG_DEASSIGN);
        } catch (IllegalStateException vmIsClosed) {
            result = 0; // and took its interrupts with it
        } finally {
            if (resample != null) {
                // Code under way is not waited for, since the caller may hold a lock that it wants.
                resample.registration.end();
                resample.ended.close();
            }
            event.close();
        }
        if (result < 0) {
            throw KvmException.of(VmIoctls.KVM_IRQFD.name(), "detach " + this, -result);
        }
    }

    @Override
    public String toString() {
        return (resample == null ? "interrupt " : "resampled interrupt ") + gsi;
    }
}
