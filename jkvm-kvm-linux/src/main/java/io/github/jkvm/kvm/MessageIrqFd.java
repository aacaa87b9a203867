package io.github.jkvm.kvm;

import io.github.jkvm.HostFile;
import io.github.jkvm.MessageInterrupt;
import io.github.jkvm.kvm.ffi.OwnedFd;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;

/** An irqfd whose number belongs to it alone. */
final class MessageIrqFd implements MessageInterrupt {
    private final OwnedFd vm;
    private final IrqFd irqfd;
    private final InterruptRoutes routes;
    private final Consumer<? super MessageIrqFd> onClose;
    private final Set<IrqFd> attached = new HashSet<>();
    private boolean closed;

    private MessageIrqFd(OwnedFd vm, IrqFd irqfd, InterruptRoutes routes, Consumer<? super MessageIrqFd> onClose) {
        this.vm = vm;
        this.irqfd = irqfd;
        this.routes = routes;
        this.onClose = onClose;
    }

    static MessageIrqFd create(OwnedFd vm, InterruptRoutes routes, Consumer<? super MessageIrqFd> onClose) {
        int gsi = routes.take();
        try {
            return new MessageIrqFd(vm, IrqFd.edge(vm, gsi, detached -> {}), routes, onClose);
        } catch (Throwable failure) {
            routes.giveBack(gsi);
            throw failure;
        }
    }

    @Override
    public int gsi() {
        return irqfd.gsi();
    }

    @Override
    public void signal() {
        irqfd.signal();
    }

    @Override
    public synchronized void setMessage(long address, int data) {
        if (closed) {
            throw new IllegalStateException(this + " is closed");
        }
        routes.set(gsi(), address, data);
    }

    @Override
    public synchronized Attachment attach(HostFile event) {
        if (closed) {
            throw new IllegalStateException(this + " is closed");
        }
        IrqFd further = IrqFd.edge(vm, gsi(), HostEvents.descriptor(event), this::forget);
        attached.add(further);
        return further::close;
    }

    private synchronized void forget(IrqFd ended) {
        attached.remove(ended);
    }

    @Override
    public void close() {
        List<AutoCloseable> all;
        synchronized (this) {
            if (closed) {
                return;
            }
            closed = true;
            all = new ArrayList<>(attached);
        }
        onClose.accept(this);
        all.add(irqfd);
        all.add(() -> routes.giveBack(gsi()));
        Closing.inOrder(all.toArray(AutoCloseable[]::new));
    }

    @Override
    public String toString() {
        return "message " + irqfd;
    }
}
