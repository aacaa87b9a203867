package io.github.jkvm.virtio.block;

import io.github.jkvm.virtio.DeviceQueue;
import java.util.ArrayDeque;

/**
 * The requests that one queue can have under way: made when first needed, and used again. There are never more than the queue has entries, as it
 * gives out no more chains. Used on the loop.
 */
final class RequestSlots {
    private final BlockDevice device;
    private final DeviceQueue queue;
    private final ArrayDeque<BlockRequest> free = new ArrayDeque<>();

    /** There are completions of which the driver was not told. */
    private boolean completed;

    RequestSlots(BlockDevice device, DeviceQueue queue) {
        this.device = device;
        this.queue = queue;
    }

    DeviceQueue queue() {
        return queue;
    }

    /** Returns a request that is not in use. */
    BlockRequest take() {
        BlockRequest request = free.pollLast();
        return request != null ? request : new BlockRequest(device, queue);
    }

    void give(BlockRequest request) {
        free.addLast(request);
    }

    void setCompleted() {
        completed = true;
    }

    /** Tells the driver of what was completed since the last time. */
    void interrupt() {
        if (completed) {
            completed = false;
            queue.interrupt();
        }
    }
}
