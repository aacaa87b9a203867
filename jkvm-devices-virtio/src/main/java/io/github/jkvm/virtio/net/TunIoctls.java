package io.github.jkvm.virtio.net;

import io.github.jkvm.kvm.ffi.Ioctl;

/** Requests and flags of {@code /dev/net/tun} (Linux, include/uapi/linux/if_tun.h; the structure: include/uapi/linux/if.h). */
final class TunIoctls {
    /** {@code struct ifreq}: a name, and flags behind it. */
    static final int IFREQ_SIZE = 40;

    static final int IFREQ_FLAGS = 16;

    /** Longest name of an interface in bytes, without its end. */
    static final int MAX_NAME = 15;

    static final Ioctl TUNSETIFF = Ioctl.iow("TUNSETIFF", 'T', 202, Integer.BYTES);
    static final Ioctl TUNSETOFFLOAD = Ioctl.iow("TUNSETOFFLOAD", 'T', 208, Integer.BYTES);
    static final Ioctl TUNSETVNETHDRSZ = Ioctl.iow("TUNSETVNETHDRSZ", 'T', 216, Integer.BYTES);
    static final Ioctl TUNSETQUEUE = Ioctl.iow("TUNSETQUEUE", 'T', 217, Integer.BYTES);

    static final int IFF_TAP = 0x0002;
    static final int IFF_MULTI_QUEUE = 0x0100;
    static final int IFF_ATTACH_QUEUE = 0x0200;
    static final int IFF_DETACH_QUEUE = 0x0400;
    static final int IFF_NO_PI = 0x1000;
    static final int IFF_VNET_HDR = 0x4000;

    private static final int TUN_F_CSUM = 0x01;
    private static final int TUN_F_TSO4 = 0x02;
    private static final int TUN_F_TSO6 = 0x04;
    private static final int TUN_F_TSO_ECN = 0x08;

    private TunIoctls() {}

    static int flag(Offload offload) {
        return switch (offload) {
            case CHECKSUM -> TUN_F_CSUM;
            case TSO4 -> TUN_F_TSO4;
            case TSO6 -> TUN_F_TSO6;
            case TSO_ECN -> TUN_F_TSO_ECN;
        };
    }
}
