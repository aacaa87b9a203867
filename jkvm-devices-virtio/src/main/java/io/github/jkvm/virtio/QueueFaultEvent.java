package io.github.jkvm.virtio;

import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/** Tells a flight recording that a driver broke the rules of a queue. Costs nothing when no recording wants it. */
@Name("io.github.jkvm.virtio.QueueFault")
@Label("Virtio Queue Fault")
@Description("A driver did what it may not do; the queue is stopped and the device asks for a reset")
@Category({"jkvm", "Virtio"})
@StackTrace(false)
final class QueueFaultEvent extends Event {
    @Label("Device")
    final String device;

    @Label("Queue")
    final int queue;

    @Label("Reason")
    final String reason;

    @Label("Detail")
    final String detail;

    QueueFaultEvent(String device, int queue, String reason, String detail) {
        this.device = device;
        this.queue = queue;
        this.reason = reason;
        this.detail = detail;
    }
}
