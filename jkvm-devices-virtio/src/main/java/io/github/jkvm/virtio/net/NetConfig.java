package io.github.jkvm.virtio.net;

import io.github.jkvm.virtio.ConfigSpace;

/** What the driver can read of a network device: its configuration space (virtio 1.2, 5.1.4). */
final class NetConfig {
    /** Size in bytes: up to the MTU, which is the last field of which the device offers the feature. */
    static final int SIZE = 12;

    private static final int MAC_AT = 0;
    private static final int STATUS_AT = 6;
    private static final int PAIRS_AT = 8;
    private static final int MTU_AT = 10;

    /** {@code VIRTIO_NET_S_LINK_UP}. */
    private static final int LINK_UP = 1;

    /** {@code VIRTIO_NET_S_ANNOUNCE}: the driver is to tell the network where it is. */
    private static final int ANNOUNCE = 2;

    private final ConfigSpace space;

    NetConfig(ConfigSpace space, int pairs, int mtu) {
        this.space = space;
        space.setShort(PAIRS_AT, pairs);
        space.setShort(MTU_AT, mtu);
    }

    void setMac(long address) {
        space.setBytes(MAC_AT, new MacAddress(address).toBytes());
    }

    /** Shows link and announcement; true if that is something new. */
    boolean setStatus(LinkState link, boolean announcing) {
        int bits = (link == LinkState.UP ? LINK_UP : 0) | (announcing ? ANNOUNCE : 0);
        if (bits == space.get(STATUS_AT, Short.BYTES)) {
            return false;
        }
        space.setShort(STATUS_AT, bits);
        return true;
    }
}
