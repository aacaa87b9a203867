package io.github.jkvm.virtio.balloon;

import io.github.jkvm.virtio.Feature;

/** What a {@link BalloonDevice} can offer (virtio 1.2, 5.5.3). */
public enum BalloonFeature {
    /** The guest asks before it uses pages of the balloon again ({@code VIRTIO_BALLOON_F_MUST_TELL_HOST}). */
    MUST_TELL_HOST(0),

    /** The guest tells how it uses its memory ({@code VIRTIO_BALLOON_F_STATS_VQ}). */
    STATISTICS(1),

    /** The guest may take pages back before its programs run out of memory ({@code VIRTIO_BALLOON_F_DEFLATE_ON_OOM}). */
    DEFLATE_ON_OUT_OF_MEMORY(2),

    /** The guest tells what it fills free pages with ({@code VIRTIO_BALLOON_F_PAGE_POISON}). One that does so can't report pages without it. */
    PAGE_POISON(4),

    /** The guest reports pages that it does not use, which are given back to the host ({@code VIRTIO_BALLOON_F_PAGE_REPORTING}). */
    REPORTING(5);

    private final int bit;

    BalloonFeature(int bit) {
        this.bit = bit;
    }

    /**
     * Returns the number of the feature's bit.
     *
     * @return the number
     */
    public int bit() {
        return bit;
    }

    long mask() {
        return Feature.mask(bit);
    }
}
