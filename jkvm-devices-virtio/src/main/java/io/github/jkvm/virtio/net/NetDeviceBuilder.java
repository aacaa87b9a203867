package io.github.jkvm.virtio.net;

import io.github.jkvm.virtio.RateLimiter;
import java.util.Objects;

/** Says what a {@link NetDevice} is like. */
public final class NetDeviceBuilder {
    static final int CONTROL_QUEUE_SIZE = 64;
    private static final int MIN_MTU = 68;
    private static final int MAX_MTU = 65_535;
    private static final int MAX_QUEUE_SIZE = 1024;
    private static final int MAX_PAIRS = 64;

    final String name;
    final NetBackend backend;
    MacAddress mac = MacAddress.random();
    RestoredMac restoredMac = RestoredMac.OWN;
    int mtu;
    int queuePairs = 1;
    int queueSize = 256;
    RateLimiter receiveLimit = RateLimiter.unlimited();
    RateLimiter transmitLimit = RateLimiter.unlimited();

    /** Which address a device has once it is restored. */
    enum RestoredMac {
        OWN,
        SAVED
    }

    NetDeviceBuilder(String name, NetBackend backend) {
        this.name = Objects.requireNonNull(name, "name");
        this.backend = Objects.requireNonNull(backend, "backend");
    }

    /**
     * Sets the address; a random one if left out. The guest may take another. A device that is restored has this address too, and not the snapshot's, and the
     * guest is to take it over: see {@link NetDevice}.
     *
     * @param address an address of one station
     * @return this
     * @throws IllegalArgumentException if it is multicast
     */
    public NetDeviceBuilder mac(MacAddress address) {
        if (address.isGroup()) {
            throw new IllegalArgumentException(
                    "MAC address " + address + " stands for many stations; the first byte must be even");
        }
        mac = address;
        return this;
    }

    /**
     * Has a device that is restored keep the address that its guest had, in place of one of its own: for a machine that goes on once, and not beside the
     * one that was saved or beside another clone, which would have the same address.
     *
     * @return this
     */
    public NetDeviceBuilder keepSavedMac() {
        restoredMac = RestoredMac.SAVED;
        return this;
    }

    /**
     * Tells the guest how long packets may be; if left out, the guest takes what is usual, 1500.
     *
     * @param bytes greatest length of a packet without the Ethernet header in bytes, 68 to 65535
     * @return this
     * @throws IllegalArgumentException if it is out of range
     */
    public NetDeviceBuilder mtu(int bytes) {
        if (bytes < MIN_MTU || bytes > MAX_MTU) {
            throw new IllegalArgumentException("MTU " + bytes + " must be from " + MIN_MTU + " to " + MAX_MTU);
        }
        mtu = bytes;
        return this;
    }

    /**
     * Lets the guest use several pairs of queues, about one for each of its processors.
     *
     * @param count 1, as if left out, to what the backend has and 64
     * @return this
     * @throws IllegalArgumentException if it is out of range
     */
    public NetDeviceBuilder queuePairs(int count) {
        int most = Math.min(backend.maxQueuePairs(), MAX_PAIRS);
        if (count < 1 || count > most) {
            throw new IllegalArgumentException(
                    count + " queue pairs: this backend takes from 1 to " + most + "; open it with more");
        }
        queuePairs = count;
        return this;
    }

    /**
     * Sets how many descriptors a queue may have; 256 if left out.
     *
     * @param descriptors a power of two from 2 to 1024
     * @return this
     * @throws IllegalArgumentException if it is none of these
     */
    public NetDeviceBuilder queueSize(int descriptors) {
        if (descriptors < 2 || descriptors > MAX_QUEUE_SIZE || Integer.bitCount(descriptors) != 1) {
            throw new IllegalArgumentException(
                    "queue size " + descriptors + " must be a power of two from 2 to " + MAX_QUEUE_SIZE);
        }
        queueSize = descriptors;
        return this;
    }

    /**
     * Limits what the guest gets; the device takes no more frames from the backend then.
     *
     * @param limiter the limit, for this device alone; operations are frames
     * @return this
     */
    public NetDeviceBuilder receiveLimit(RateLimiter limiter) {
        receiveLimit = Objects.requireNonNull(limiter, "limiter");
        return this;
    }

    /**
     * Limits what the guest sends; frames wait in its queue then.
     *
     * @param limiter the limit, for this device alone; operations are frames
     * @return this
     */
    public NetDeviceBuilder transmitLimit(RateLimiter limiter) {
        transmitLimit = Objects.requireNonNull(limiter, "limiter");
        return this;
    }

    /**
     * Makes the device.
     *
     * @return a new device, to be attached by a transport
     */
    public NetDevice build() {
        return new NetDevice(this);
    }
}
