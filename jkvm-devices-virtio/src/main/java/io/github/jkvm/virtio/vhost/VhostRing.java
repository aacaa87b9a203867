package io.github.jkvm.virtio.vhost;

import io.github.jkvm.EventLoop;
import io.github.jkvm.MessageInterrupt;
import io.github.jkvm.kvm.ffi.EventFd;
import io.github.jkvm.virtio.Counter;
import io.github.jkvm.virtio.DeviceQueue;
import org.jspecify.annotations.Nullable;

/**
 * The two events of a queue that a back end serves: the driver's doorbell signals one to the back end, and the back end signals the other to interrupt the
 * driver. They last as long as the device, so that the guest may notify at any time. Used on the device's loop.
 */
final class VhostRing implements AutoCloseable {
    private final EventFd kick;
    private final EventFd call;
    private EventLoop.@Nullable Registration calls;
    private MessageInterrupt.@Nullable Attachment direct;

    VhostRing(String name) {
        kick = EventFd.create("kick of " + name);
        try {
            call = EventFd.create("call of " + name);
        } catch (RuntimeException failure) {
            kick.close();
            throw failure;
        }
    }

    EventFd kick() {
        return kick;
    }

    EventFd call() {
        return call;
    }

    /** Passes the back end's signals on. Those that the transport takes by itself do not come by here. */
    void listen(EventLoop loop, DeviceQueue queue, Counter passedOn) {
        calls = loop.onReady(call.fd(), events -> passOn(queue, passedOn));
        direct = queue.interruptBy(call.fd());
    }

    /** Passes on what is signalled and not taken yet. */
    void passOn(DeviceQueue queue, Counter passedOn) {
        if (calls != null && call.take()) {
            passedOn.increment();
            queue.signal();
        }
    }

    boolean isInUse() {
        return calls != null;
    }

    /** Passes nothing on any more. */
    void rest() {
        MessageInterrupt.Attachment attachment = direct;
        if (attachment != null) {
            attachment.close();
            direct = null;
        }
        EventLoop.Registration registration = calls;
        if (registration != null) {
            calls = null;
            registration.close();
        }
    }

    @Override
    public void close() {
        rest();
        kick.close();
        call.close();
    }
}
