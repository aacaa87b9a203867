package io.github.jkvm.virtio;

import io.github.jkvm.Bus;
import io.github.jkvm.Doorbell;
import io.github.jkvm.EventLoop;
import io.github.jkvm.HostFile;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** The doorbell of a queue, and what hears it: the device's loop, or another process, for which a device names an event. */
record QueueBell(Doorbell doorbell, EventLoop.@Nullable Registration registration) implements AutoCloseable {
    /** Places a doorbell. What the bus throws is thrown, and nothing is left behind. */
    static QueueBell place(Bus bus, DeviceCore core, int queue, Doorbell.Match match) {
        Optional<HostFile> event = core.notificationEvent(queue);
        if (event.isPresent()) {
            return new QueueBell(bus.doorbell(match, event.get()), null);
        }
        Doorbell doorbell = bus.doorbell(match);
        try {
            return new QueueBell(doorbell, core.loop().onRing(doorbell, () -> core.notifyQueue(queue)));
        } catch (IllegalStateException closed) {
            doorbell.close();
            throw closed;
        }
    }

    @Override
    public void close() {
        if (registration != null) {
            registration.close();
        }
        doorbell.close();
    }
}
