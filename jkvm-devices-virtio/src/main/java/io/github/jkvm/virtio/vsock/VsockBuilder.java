package io.github.jkvm.virtio.vsock;

import java.time.Duration;
import java.util.Objects;

/** Sets up a {@link VsockDevice}. */
public final class VsockBuilder {
    /** Most connections of one device: as many as Firecracker allows. */
    public static final int MOST_CONNECTIONS = 1023;

    private static final int LEAST_BUFFER = 4 << 10;
    private static final int MOST_BUFFER = 16 << 20;

    private final String name;
    private final int guestCid;
    private int maxConnections = MOST_CONNECTIONS;
    private int bufferSize = 128 << 10;

    /** Eight seconds is what Linux waits for the other side (net/vmw_vsock/virtio_transport_common.c, VSOCK_CLOSE_TIMEOUT). */
    private Duration linger = Duration.ofSeconds(8);

    VsockBuilder(String name, int guestCid) {
        if (guestCid <= VsockDevice.HOST_CID) {
            throw new IllegalArgumentException("guest CID " + Integer.toUnsignedString(guestCid)
                    + " must be from 3 to 2147483647; those below have a meaning of their own");
        }
        this.name = Objects.requireNonNull(name, "name");
        this.guestCid = guestCid;
    }

    /**
     * Sets how many connections there may be at a time, those included that are over and whose channels the program has not closed.
     *
     * @param count how many, 1 to {@value #MOST_CONNECTIONS}, which is what it is if not set
     * @return this
     * @throws IllegalArgumentException if it is out of range
     */
    public VsockBuilder maxConnections(int count) {
        if (count < 1 || count > MOST_CONNECTIONS) {
            throw new IllegalArgumentException("maxConnections " + count + " must be from 1 to " + MOST_CONNECTIONS);
        }
        maxConnections = count;
        return this;
    }

    /**
     * Sets how many bytes of a connection wait in each direction, at most; 128 KiB if not set. So all connections take no more than twice this
     * times {@link #maxConnections}.
     *
     * @param bytes how many, 4 KiB to 16 MiB
     * @return this
     * @throws IllegalArgumentException if it is out of range
     */
    public VsockBuilder bufferSize(int bytes) {
        if (bytes < LEAST_BUFFER || bytes > MOST_BUFFER) {
            throw new IllegalArgumentException(
                    "bufferSize " + bytes + " must be from " + LEAST_BUFFER + " to " + MOST_BUFFER + " bytes");
        }
        bufferSize = bytes;
        return this;
    }

    /**
     * Sets how long a connection that the program has closed waits for the guest to take what was written and to close it as well, before it is
     * reset; 8 s if not set.
     *
     * @param time how long, more than zero
     * @return this
     * @throws IllegalArgumentException if it is zero or less
     */
    public VsockBuilder linger(Duration time) {
        if (time.isZero() || time.isNegative()) {
            throw new IllegalArgumentException("linger " + time + " must be more than zero");
        }
        linger = time;
        return this;
    }

    /**
     * Makes the device.
     *
     * @return a new device
     */
    public VsockDevice build() {
        return new VsockDevice(this);
    }

    String name() {
        return name;
    }

    int guestCid() {
        return guestCid;
    }

    int maxConnections() {
        return maxConnections;
    }

    int bufferSize() {
        return bufferSize;
    }

    Duration linger() {
        return linger;
    }
}
