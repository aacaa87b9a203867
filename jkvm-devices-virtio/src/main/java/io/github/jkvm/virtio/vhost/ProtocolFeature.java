package io.github.jkvm.virtio.vhost;

import java.util.Set;

/** What back ends may do beyond the first protocol, as far as it is used here (QEMU, docs/interop/vhost-user.rst, "Protocol features"). */
enum ProtocolFeature {
    /** Tells how many queues it has. */
    MULTIPLE_QUEUES(0),
    /** Says whether it has done what it was told. */
    REPLY_ACK(3),
    /** Makes requests itself. */
    BACKEND_REQUESTS(5),
    /** Has the configuration space. */
    CONFIG(9),
    /** Notes which chains it has taken in memory that outlives it. */
    INFLIGHT(12);

    private final int bit;

    ProtocolFeature(int bit) {
        this.bit = bit;
    }

    long mask() {
        return 1L << bit;
    }

    static long mask(Set<ProtocolFeature> features) {
        return features.stream().mapToLong(ProtocolFeature::mask).sum();
    }
}
