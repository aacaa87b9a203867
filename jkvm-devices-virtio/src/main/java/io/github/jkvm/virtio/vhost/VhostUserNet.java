package io.github.jkvm.virtio.vhost;

import io.github.jkvm.virtio.ConfigSpace;
import java.nio.file.Path;

/** A network device (virtio 1.2, 5.1) with one pair of queues that another process serves. */
public final class VhostUserNet extends VhostUserDevice {
    private static final int DEVICE_ID = 1;
    private static final int QUEUE_SIZE = 256;
    private static final int MAC_SIZE = 6;

    /* The part of struct virtio_net_config that belongs to the features. */
    private static final int CONFIG_SIZE = 6;

    private static final int MAC_FEATURE = 5;

    /**
     * Checksum and segmentation offloads (0, 1, 7 to 14) and merged buffers (15). What needs the control queue or fields of the configuration space is not
     * for a back end of this kind.
     */
    private static final long UNDERSTOOD = 0xFF83;

    /**
     * Creates a device.
     *
     * @param name a name, unique in its machine
     * @param socket where the back end listens
     * @param mac the guest's address, 6 bytes
     * @throws IllegalArgumentException if it has another length
     */
    public VhostUserNet(String name, Path socket, byte[] mac) {
        this(name, at(socket), mac);
    }

    VhostUserNet(String name, Connector connector, byte[] mac) {
        super(name, DEVICE_ID, config(name, mac), connector, UNDERSTOOD, QUEUE_SIZE, QUEUE_SIZE);
    }

    private static ConfigSpace config(String name, byte[] mac) {
        if (mac.length != MAC_SIZE) {
            throw new IllegalArgumentException(
                    "address of " + name + " has " + mac.length + " bytes; it must have " + MAC_SIZE);
        }
        return new ConfigSpace(CONFIG_SIZE).setBytes(0, mac);
    }

    /** Also the address, which this side tells. */
    @Override
    protected long features() {
        return super.features() | 1L << MAC_FEATURE;
    }
}
