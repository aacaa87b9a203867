package io.github.jkvm.virtio.vhost;

import io.github.jkvm.virtio.ConfigSpace;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;

/** A block device (virtio 1.2, 5.2) that another process serves, which also says how large the disk is. */
public final class VhostUserBlock extends VhostUserDevice {
    private static final int DEVICE_ID = 2;
    private static final int QUEUE_SIZE = 256;

    /** {@code struct virtio_blk_config} up to the fields for secure erase, which no driver is offered. */
    private static final int CONFIG_SIZE = 60;

    private static final int QUEUES_FIELD = 34;

    /** Bits 0 to 15, but for the writeback mode that a driver can switch (11): the device's configuration is read-only here. */
    private static final long UNDERSTOOD = 0xFFFF & ~(1L << 11);

    private final int queues;

    /**
     * Creates a device.
     *
     * @param name a name, unique in its machine
     * @param socket where the back end listens
     * @param queues number of request queues, 1 to 64
     * @throws IllegalArgumentException if it is out of range
     */
    public VhostUserBlock(String name, Path socket, int queues) {
        this(name, at(socket), queues);
    }

    VhostUserBlock(String name, Connector connector, int queues) {
        super(name, DEVICE_ID, new ConfigSpace(CONFIG_SIZE), connector, UNDERSTOOD, sizes(name, queues));
        this.queues = queues;
    }

    private static int[] sizes(String name, int queues) {
        if (queues < 1 || queues > 64) {
            throw new IllegalArgumentException("device " + name + " has " + queues + " queues; 1 to 64 are possible");
        }
        int[] sizes = new int[queues];
        Arrays.fill(sizes, QUEUE_SIZE);
        return sizes;
    }

    @Override
    void describe(VhostConnection backEnd) throws IOException {
        config().setBytes(0, backEnd.config(CONFIG_SIZE)).setShort(QUEUES_FIELD, queues);
    }
}
