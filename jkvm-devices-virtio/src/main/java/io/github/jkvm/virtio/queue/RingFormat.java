package io.github.jkvm.virtio.queue;

import java.util.Set;

/** How the rings of a queue lie in memory: the same for all queues of a device. */
public enum RingFormat {
    /** A descriptor table, an available and a used ring (virtio 1.2, 2.7). */
    SPLIT,
    /** One ring that both sides write (virtio 1.2, 2.8). */
    PACKED;

    /**
     * Returns the format that driver and device agreed on.
     *
     * @param features what was negotiated
     * @return {@link #PACKED} with {@link QueueFeature#PACKED_RING}, {@link #SPLIT} without
     */
    public static RingFormat of(Set<QueueFeature> features) {
        return features.contains(QueueFeature.PACKED_RING) ? PACKED : SPLIT;
    }
}
