package io.github.jkvm.virtio.net;

import io.github.jkvm.virtio.Feature;
import java.util.EnumSet;
import java.util.Set;
import java.util.function.IntPredicate;

/**
 * The work on frames that guest and device have agreed to leave to each other: features chosen by the driver, and those of them that it has not switched
 * off since ({@code VIRTIO_NET_CTRL_GUEST_OFFLOADS}, virtio 1.2, 5.1.6.5.6). Asked for each frame, so it answers from two masks.
 */
final class AgreedOffloads {
    private static final long MAY_LEAVE_CHECKSUM = Feature.mask(NetFeature.CSUM);
    private static final long MAY_SEND_TCP_V4 = Feature.mask(NetFeature.HOST_TSO4);
    private static final long MAY_SEND_TCP_V6 = Feature.mask(NetFeature.HOST_TSO6);
    private static final long MAY_SEND_ECN = Feature.mask(NetFeature.HOST_ECN);
    private static final long TAKES_TCP_V4 = Feature.mask(NetFeature.GUEST_TSO4);
    private static final long TAKES_TCP_V6 = Feature.mask(NetFeature.GUEST_TSO6);
    private static final long TAKES_ECN = Feature.mask(NetFeature.GUEST_ECN);

    /** What the guest may leave to the device: features of the offloads. */
    private long mayLeave;

    /** What the guest has agreed to have left to it. */
    private long agreed;

    /** What of that it has not switched off. */
    private long accepted;

    /** Takes over what the driver has chosen, and accepts all of it. */
    void agree(IntPredicate hasFeature) {
        clear();
        for (Offload offload : Offload.values()) {
            if (hasFeature.test(offload.sendFeature())) {
                mayLeave |= Feature.mask(offload.sendFeature());
            }
            if (hasFeature.test(offload.receiveFeature())) {
                agreed |= Feature.mask(offload.receiveFeature());
            }
        }
        accepted = agreed;
    }

    /** Forgets everything: nothing is left to anybody. */
    void clear() {
        mayLeave = 0;
        agreed = 0;
        accepted = 0;
    }

    /** Accepts only these features from now on; false if one of them was not agreed on, and then nothing changes. */
    boolean accept(long mask) {
        if ((mask & ~agreed) != 0) {
            return false;
        }
        accepted = mask;
        return true;
    }

    /** Returns the features that may be accepted. */
    long agreed() {
        return agreed;
    }

    /** Returns the features that are accepted. */
    long acceptedFeatures() {
        return accepted;
    }

    /** Returns the same as offloads. */
    Set<Offload> accepted() {
        Set<Offload> set = EnumSet.noneOf(Offload.class);
        for (Offload offload : Offload.values()) {
            if (guestAccepts(offload)) {
                set.add(offload);
            }
        }
        return set;
    }

    boolean guestAccepts(Offload offload) {
        return (accepted & Feature.mask(offload.receiveFeature())) != 0;
    }

    /** Tells whether the guest takes frames longer than a packet of the network. */
    boolean guestAcceptsLongFrames() {
        return (accepted & (TAKES_TCP_V4 | TAKES_TCP_V6)) != 0;
    }

    /** Tells whether the guest has agreed to what a frame it sends leaves to the device. */
    boolean guestMaySend(OffloadHeader header) {
        long needed = header.needsChecksum() ? MAY_LEAVE_CHECKSUM : 0;
        int type = header.gsoType();
        if ((type & OffloadHeader.ECN) != 0) {
            needed |= MAY_SEND_ECN;
        }
        switch (type & ~OffloadHeader.ECN) {
            case OffloadHeader.NOT_CUT -> needed &= ~MAY_SEND_ECN;
            case OffloadHeader.TCP_V4 -> needed |= MAY_SEND_TCP_V4;
            case OffloadHeader.TCP_V6 -> needed |= MAY_SEND_TCP_V6;
            default -> {
                return false;
            }
        }
        return (needed & ~mayLeave) == 0;
    }

    /** Tells whether the guest takes a frame that is still to be cut. */
    boolean guestMayReceiveUncut(OffloadHeader header) {
        int type = header.gsoType();
        long needed = (type & OffloadHeader.ECN) == 0 ? 0 : TAKES_ECN;
        needed |= (type & ~OffloadHeader.ECN) == OffloadHeader.TCP_V4 ? TAKES_TCP_V4 : TAKES_TCP_V6;
        return (needed & ~accepted) == 0;
    }
}
