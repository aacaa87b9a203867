package io.github.jkvm.virtio.net;

import io.github.jkvm.virtio.Feature;
import java.util.Set;

/** Feature bits of the network device (virtio 1.2, 5.1.3), and which needs which (5.1.3.1). */
final class NetFeature {
    static final int CSUM = 0;
    static final int GUEST_CSUM = 1;
    static final int CTRL_GUEST_OFFLOADS = 2;
    static final int MTU = 3;
    static final int MAC = 5;
    static final int GUEST_TSO4 = 7;
    static final int GUEST_TSO6 = 8;
    static final int GUEST_ECN = 9;
    static final int HOST_TSO4 = 11;
    static final int HOST_TSO6 = 12;
    static final int HOST_ECN = 13;
    static final int MRG_RXBUF = 15;
    static final int STATUS = 16;
    static final int CTRL_VQ = 17;
    static final int CTRL_RX = 18;
    static final int CTRL_VLAN = 19;
    static final int CTRL_RX_EXTRA = 20;
    static final int GUEST_ANNOUNCE = 21;
    static final int MQ = 22;
    static final int CTRL_MAC_ADDR = 23;

    /** What takes nothing of the backend. */
    private static final long ALWAYS =
            mask(MAC, STATUS, MRG_RXBUF, CTRL_VQ, CTRL_RX, CTRL_RX_EXTRA, CTRL_VLAN, CTRL_MAC_ADDR, GUEST_ANNOUNCE);

    private NetFeature() {}

    static long mask(int... bits) {
        long mask = 0;
        for (int bit : bits) {
            mask |= Feature.mask(bit);
        }
        return mask;
    }

    /**
     * Returns what a device offers.
     *
     * @param offloads what its backend lets guest and device leave to each other
     * @param knowsMtu whether it tells how long packets may be
     * @param hasPairs whether it has several pairs of queues
     */
    static long offered(Set<Offload> offloads, boolean knowsMtu, boolean hasPairs) {
        long features = ALWAYS;
        for (Offload offload : offloads) {
            features |= mask(offload.sendFeature(), offload.receiveFeature(), CTRL_GUEST_OFFLOADS);
        }
        return features | (knowsMtu ? mask(MTU) : 0) | (hasPairs ? mask(MQ) : 0);
    }

    /** Tells whether everything that a chosen feature needs was chosen too. */
    static boolean consistent(long chosen) {
        return needs(chosen, GUEST_TSO4, GUEST_CSUM)
                && needs(chosen, GUEST_TSO6, GUEST_CSUM)
                && needs(chosen, GUEST_ECN, GUEST_TSO4, GUEST_TSO6)
                && needs(chosen, HOST_TSO4, CSUM)
                && needs(chosen, HOST_TSO6, CSUM)
                && needs(chosen, HOST_ECN, HOST_TSO4, HOST_TSO6)
                && needs(chosen, CTRL_RX, CTRL_VQ)
                && needs(chosen, CTRL_RX_EXTRA, CTRL_VQ)
                && needs(chosen, CTRL_VLAN, CTRL_VQ)
                && needs(chosen, CTRL_GUEST_OFFLOADS, CTRL_VQ)
                && needs(chosen, GUEST_ANNOUNCE, CTRL_VQ)
                && needs(chosen, MQ, CTRL_VQ)
                && needs(chosen, CTRL_MAC_ADDR, CTRL_VQ);
    }

    private static boolean needs(long chosen, int feature, int... oneOf) {
        return (chosen & mask(feature)) == 0 || (chosen & mask(oneOf)) != 0;
    }
}
