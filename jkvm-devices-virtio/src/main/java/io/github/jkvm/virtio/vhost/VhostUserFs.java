package io.github.jkvm.virtio.vhost;

import io.github.jkvm.DeviceState;
import io.github.jkvm.virtio.ConfigSpace;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.EnumSet;

/** A file system (virtio 1.2, 5.11) that another process serves, such as {@code virtiofsd}. It can't be saved: the back end has open files. */
public final class VhostUserFs extends VhostUserDevice {
    private static final int DEVICE_ID = 26;
    private static final int QUEUE_SIZE = 128;

    /* struct virtio_fs_config: a tag and the number of request queues. */
    private static final int TAG_SIZE = 36;
    private static final int CONFIG_SIZE = TAG_SIZE + Integer.BYTES;

    /**
     * Creates a device.
     *
     * @param name a name, unique in its machine
     * @param socket where the back end listens
     * @param tag what the guest mounts it by, 1 to 36 bytes in UTF-8
     * @throws IllegalArgumentException if the tag is empty or too long
     */
    public VhostUserFs(String name, Path socket, String tag) {
        this(name, at(socket), tag);
    }

    VhostUserFs(String name, BackEndAddress address, String tag) {
        // One queue for requests that may not wait, and one for all others.
        super(
                name,
                DEVICE_ID,
                config(name, tag),
                address,
                EnumSet.of(ProtocolFeature.MULTIPLE_QUEUES, ProtocolFeature.REPLY_ACK),
                0,
                QUEUE_SIZE,
                QUEUE_SIZE);
    }

    private static ConfigSpace config(String name, String tag) {
        byte[] bytes = tag.getBytes(StandardCharsets.UTF_8);
        if (bytes.length == 0 || bytes.length > TAG_SIZE) {
            throw new IllegalArgumentException(
                    "tag '" + tag + "' of " + name + " has " + bytes.length + " bytes; it must have 1 to " + TAG_SIZE);
        }
        return new ConfigSpace(CONFIG_SIZE)
                .setBytes(0, Arrays.copyOf(bytes, TAG_SIZE))
                .setInt(TAG_SIZE, 1);
    }

    /**
     * Refuses.
     *
     * @throws UnsupportedOperationException always
     */
    @Override
    protected void save(DeviceState state) {
        throw new UnsupportedOperationException("file system " + name()
                + " can't be saved: its back end has open files of the guest; unmount it and leave the device out");
    }
}
