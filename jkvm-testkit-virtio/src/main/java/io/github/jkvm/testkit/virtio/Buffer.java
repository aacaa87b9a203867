package io.github.jkvm.testkit.virtio;

/**
 * A range of guest memory that one descriptor of a chain describes (virtio 1.2, 2.7.5 and 2.8.13). Any values are possible, for hostile
 * drivers.
 *
 * @param address guest-physical address, unsigned
 * @param length length in bytes; the low 32 bits go to the descriptor
 * @param flags {@link #WRITE} for a buffer that the device writes, 0 for one that it reads, and what else a test wants
 */
public record Buffer(long address, long length, int flags) {
    /** {@code VIRTQ_DESC_F_NEXT}: another descriptor follows (virtio 1.2, 2.7.5 and 2.8.6). */
    public static final int NEXT = 1;

    /** {@code VIRTQ_DESC_F_WRITE}: the buffer is for the device to write (virtio 1.2, 2.7.5 and 2.8.3). */
    public static final int WRITE = 2;

    /** {@code VIRTQ_DESC_F_INDIRECT}: the buffer is a table of descriptors (virtio 1.2, 2.7.5.3 and 2.8.7). */
    public static final int INDIRECT = 4;

    /**
     * Returns a device-readable buffer.
     *
     * @param address guest-physical address
     * @param length length in bytes
     * @return the buffer
     */
    public static Buffer readable(long address, long length) {
        return new Buffer(address, length, 0);
    }

    /**
     * Returns a device-writable buffer.
     *
     * @param address guest-physical address
     * @param length length in bytes
     * @return the buffer
     */
    public static Buffer writable(long address, long length) {
        return new Buffer(address, length, WRITE);
    }

    /**
     * Tells who writes the buffer.
     *
     * @return true if the device does
     */
    public boolean isWritable() {
        return (flags & WRITE) != 0;
    }

    /** Returns address and length in hexadecimal, and who writes it. */
    @Override
    public String toString() {
        return (isWritable() ? "writable" : "readable") + " 0x" + Long.toHexString(address) + "+0x"
                + Long.toHexString(length) + ((flags & ~WRITE) != 0 ? " flags 0x" + Integer.toHexString(flags) : "");
    }
}
