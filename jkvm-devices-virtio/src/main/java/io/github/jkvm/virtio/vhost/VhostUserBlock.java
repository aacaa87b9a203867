package io.github.jkvm.virtio.vhost;

import io.github.jkvm.virtio.ConfigSpace;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.EnumSet;

/**
 * A block device (virtio 1.2, 5.2) that another process serves, such as {@code qemu-storage-daemon}, which also says how large the disk is and may change that. The
 * driver can switch the disk's cache if the back end lets it (5.2.6.2).
 */
public final class VhostUserBlock extends VhostUserDevice {
    private static final int DEVICE_ID = 2;
    private static final int QUEUE_SIZE = 256;

    /** {@code struct virtio_blk_config} up to the fields for secure erase, which no driver is offered. */
    private static final int CONFIG_SIZE = 60;

    private static final int WRITEBACK_FIELD = 32;
    private static final int QUEUES_FIELD = 34;

    /** VIRTIO_BLK_F_CONFIG_WCE. */
    private static final int SWITCHES_CACHE = 11;

    /** The features that came before those for secure erase. */
    private static final long UNDERSTOOD = 0xFFFF;

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

    VhostUserBlock(String name, BackEndAddress address, int queues) {
        super(
                name,
                DEVICE_ID,
                new ConfigSpace(CONFIG_SIZE).writable(WRITEBACK_FIELD, Byte.BYTES),
                address,
                EnumSet.allOf(ProtocolFeature.class),
                UNDERSTOOD,
                sizes(name, queues));
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
        byte[] told = backEnd.config(CONFIG_SIZE);
        told[QUEUES_FIELD] = (byte) queues;
        told[QUEUES_FIELD + 1] = 0;
        if (isActive() && hasFeature(SWITCHES_CACHE)) {
            // What the driver has chosen stays chosen, also with another back end.
            told[WRITEBACK_FIELD] = (byte) config().get(WRITEBACK_FIELD, Byte.BYTES);
        }
        config().setBytes(0, told);
    }

    @Override
    void handedOver(VhostConnection backEnd) throws IOException {
        if (hasFeature(SWITCHES_CACHE)) {
            tellCache(backEnd);
        }
    }

    @Override
    boolean outlivesBackEnds() {
        return true;
    }

    private void tellCache(VhostConnection backEnd) throws IOException {
        boolean writesBack = config().get(WRITEBACK_FIELD, Byte.BYTES) != 0;
        backEnd.setConfig(WRITEBACK_FIELD, new byte[] {(byte) (writesBack ? 1 : 0)});
    }

    @Override
    protected void configWritten(int offset, int length) {
        if (hasFeature(SWITCHES_CACHE)) {
            tell(this::tellCache);
        }
    }
}
