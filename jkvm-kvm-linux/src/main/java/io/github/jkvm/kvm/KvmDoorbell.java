package io.github.jkvm.kvm;

import io.github.jkvm.Doorbell;
import io.github.jkvm.EventLoop;
import io.github.jkvm.kvm.ffi.EventFd;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** An ioeventfd. {@link VmDoorbells} attaches it to the VM and detaches it. */
final class KvmDoorbell implements Doorbell {
    private final Match match;
    private final EventFd event;
    private final Consumer<KvmDoorbell> detach;

    private final Object lock = new Object();
    private boolean closed;
    private EpollEventLoop.@Nullable Watch registration;

    /**
     * Creates a doorbell.
     *
     * @param match which writes ring
     * @param event what they signal, closed by this object
     * @param detach takes it off the VM
     */
    KvmDoorbell(Match match, EventFd event, Consumer<KvmDoorbell> detach) {
        this.match = match;
        this.event = event;
        this.detach = detach;
    }

    @Override
    public Match match() {
        return match;
    }

    EventFd event() {
        return event;
    }

    @Override
    public boolean poll() {
        return event.take();
    }

    /** Has a loop run code for each ring; see {@link EventLoop#onRing}. */
    EventLoop.Registration register(EpollEventLoop loop, Runnable action) {
        synchronized (lock) {
            if (closed) {
                throw new IllegalStateException(this + " is closed");
            }
            if (registration != null) {
                throw new IllegalStateException(
                        this + " is registered with an event loop already; close that registration first");
            }
            registration = loop.onSignal(event, action, this::forgetRegistration);
            return registration;
        }
    }

    private void forgetRegistration() {
        synchronized (lock) {
            registration = null;
        }
    }

    @Override
    public void close() {
        synchronized (lock) {
            if (closed) {
                return;
            }
            closed = true;
            if (registration != null) {
                // Before the descriptor is closed: the loop must not wait on a number that may be another file's. Code
                // under way is
                // not waited for, since the caller may hold a lock that it wants.
                registration.end();
            }
        }
        try {
            detach.accept(this);
        } finally {
            event.close();
        }
    }

    /** Returns where it is, such as {@code doorbell at port 0x510, 2 bytes, value 0x1}. */
    @Override
    public String toString() {
        return describe(match);
    }

    static String describe(Match match) {
        String length = match.length() == 0 ? "any length" : match.length() + " bytes";
        String value = match.value() == null ? "" : ", value 0x" + Long.toHexString(match.value());
        String space = match.space() == Space.PORT ? "port" : "MMIO";
        return "doorbell at " + space + " 0x" + Long.toHexString(match.address()) + ", " + length + value;
    }
}
