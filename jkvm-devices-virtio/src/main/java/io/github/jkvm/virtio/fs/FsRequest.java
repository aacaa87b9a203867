package io.github.jkvm.virtio.fs;

import io.github.jkvm.virtio.DeviceQueue;
import io.github.jkvm.virtio.queue.DescriptorChain;
import org.jspecify.annotations.Nullable;

/** A chain on its way: from a queue to a worker and back. In the hands of one thread at a time. */
final class FsRequest {
    private final DescriptorChain chain = new DescriptorChain();
    private @Nullable DeviceQueue queue;
    private long written;

    DescriptorChain chain() {
        return chain;
    }

    @Nullable
    DeviceQueue queue() {
        return queue;
    }

    void cameFrom(DeviceQueue of) {
        queue = of;
        written = 0;
    }

    /** How many bytes of the chain were written. */
    long written() {
        return written;
    }

    void setWritten(long bytes) {
        written = bytes;
    }
}
