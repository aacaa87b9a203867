package io.github.jkvm.kvm;

import io.github.jkvm.MessageInterrupt;
import io.github.jkvm.kvm.ffi.OwnedFd;
import java.util.function.Consumer;

/** An irqfd whose number belongs to it alone. */
final class MessageIrqFd implements MessageInterrupt {
    private final IrqFd irqfd;
    private final InterruptRoutes routes;
    private final Consumer<? super MessageIrqFd> onClose;
    private boolean closed;

    private MessageIrqFd(IrqFd irqfd, InterruptRoutes routes, Consumer<? super MessageIrqFd> onClose) {
        this.irqfd = irqfd;
        this.routes = routes;
        this.onClose = onClose;
    }

    static MessageIrqFd create(OwnedFd vm, InterruptRoutes routes, Consumer<? super MessageIrqFd> onClose) {
        int gsi = routes.take();
        try {
            return new MessageIrqFd(IrqFd.edge(vm, gsi, detached -> {}), routes, onClose);
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
    public void close() {
        synchronized (this) {
            if (closed) {
                return;
            }
            closed = true;
        }
        onClose.accept(this);
        try {
            irqfd.close();
        } finally {
            routes.giveBack(gsi());
        }
    }

    @Override
    public String toString() {
        return "message " + irqfd;
    }
}
