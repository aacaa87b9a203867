package io.github.jkvm.virtio.net;

/**
 * Work on a frame that one side leaves to the other. The {@link OffloadHeader} of a frame tells what is left to do.
 */
public enum Offload {
    /** The checksum of TCP or UDP is not complete. */
    CHECKSUM(NetFeature.CSUM, NetFeature.GUEST_CSUM),
    /** A frame with TCP over IPv4 is longer than the network takes and is still to be cut. Needs {@link #CHECKSUM}. */
    TSO4(NetFeature.HOST_TSO4, NetFeature.GUEST_TSO4),
    /** The same with IPv6. Needs {@link #CHECKSUM}. */
    TSO6(NetFeature.HOST_TSO6, NetFeature.GUEST_TSO6),
    /** A frame to be cut tells of congestion. Needs {@link #TSO4} or {@link #TSO6}. */
    TSO_ECN(NetFeature.HOST_ECN, NetFeature.GUEST_ECN);

    private final int sendFeature;
    private final int receiveFeature;

    Offload(int sendFeature, int receiveFeature) {
        this.sendFeature = sendFeature;
        this.receiveFeature = receiveFeature;
    }

    /** Returns the feature bit that lets the guest leave it to the device. */
    int sendFeature() {
        return sendFeature;
    }

    /** Returns the feature bit that lets the device leave it to the guest. */
    int receiveFeature() {
        return receiveFeature;
    }
}
