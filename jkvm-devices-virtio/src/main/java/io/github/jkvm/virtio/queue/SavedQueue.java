package io.github.jkvm.virtio.queue;

import io.github.jkvm.DeviceState;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.virtio.queue.QueueFault.Reason;
import java.util.EnumSet;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A queue with no chain in flight, as it is saved. With none in flight both rings stand at the same place, so one is kept.
 *
 * @param layout the layout; {@link QueueLayout#NONE} if the queue is not in use
 * @param features what was negotiated; means something only if it is in use
 * @param position where the rings stand, 0 to 65535; what it means depends on the format
 * @param unannounced completed ring entries that the driver was not interrupted for, 0 to 65536
 * @param fault what stopped the queue, or null
 */
record SavedQueue(
        QueueLayout layout,
        Set<QueueFeature> features,
        int position,
        int unannounced,
        @Nullable QueueFault fault) {
    private static final int UNUSED = 0;
    private static final int ACTIVE = 1;
    private static final int STOPPED = 2;

    static void write(DeviceState state, String name, SavedQueue queue) {
        QueueFault fault = queue.fault();
        if (fault != null) {
            state.putNumber(name + ".condition", STOPPED);
            state.putNumber(name + ".fault", fault.reason().ordinal());
            return;
        }
        if (queue.layout().size() == 0) {
            state.putNumber(name + ".condition", UNUSED);
            return;
        }
        state.putNumber(name + ".condition", ACTIVE);
        state.putNumber(name + ".size", queue.layout().size());
        state.putNumber(name + ".descriptors", queue.layout().descriptors());
        state.putNumber(name + ".driver", queue.layout().driver());
        state.putNumber(name + ".device", queue.layout().device());
        for (QueueFeature feature : QueueFeature.values()) {
            state.putNumber(name + ".feature" + feature.bit(), queue.features().contains(feature) ? 1 : 0);
        }
        state.putNumber(name + ".position", queue.position());
        state.putNumber(name + ".unannounced", queue.unannounced());
    }

    static SavedQueue read(DeviceState state, String name, GuestMemory memory, int maxSize) {
        Set<QueueFeature> features = EnumSet.noneOf(QueueFeature.class);
        int condition = (int) state.number(name + ".condition", UNUSED, STOPPED);
        if (condition == STOPPED) {
            Reason[] reasons = Reason.values();
            Reason reason = reasons[(int) state.number(name + ".fault", 0, reasons.length - 1)];
            var fault = new QueueFault(reason, "the queue was stopped before it was saved");
            return new SavedQueue(QueueLayout.NONE, features, 0, 0, fault);
        }
        if (condition == UNUSED) {
            return new SavedQueue(QueueLayout.NONE, features, 0, 0, null);
        }
        var layout = new QueueLayout(
                (int) state.number(name + ".size", 1, maxSize),
                state.number(name + ".descriptors"),
                state.number(name + ".driver"),
                state.number(name + ".device"));
        for (QueueFeature feature : QueueFeature.values()) {
            if (state.number(name + ".feature" + feature.bit(), 0, 1) == 1) {
                features.add(feature);
            }
        }
        QueueFault wrong = layout.check(RingFormat.of(features), memory, maxSize);
        if (wrong != null) {
            throw new IllegalArgumentException(
                    "saved " + name + " does not fit this guest's memory: " + wrong.detail());
        }
        int position = (int) state.number(name + ".position", 0, 0xFFFF);
        if (RingFormat.of(features) == RingFormat.PACKED && !PackedRing.isPosition(layout, position)) {
            throw new IllegalArgumentException("state entry '" + name + ".position' is " + position
                    + ", which is no place in a ring of " + layout.size() + " descriptors");
        }
        return new SavedQueue(layout, features, position, (int) state.number(name + ".unannounced", 0, 0x1_0000), null);
    }
}
