package io.github.jkvm.virtio.net;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * What is left to do on a frame: {@code struct virtio_net_hdr} of 12 bytes (virtio 1.2, 5.1.6), little-endian, in native memory.
 */
public final class OffloadHeader {
    /** Size in bytes. */
    public static final int SIZE = 12;

    /** Flag {@code VIRTIO_NET_HDR_F_NEEDS_CSUM}: the checksum is not complete. */
    public static final int NEEDS_CHECKSUM = 1;

    /** Flag {@code VIRTIO_NET_HDR_F_DATA_VALID}: the checksum was checked and is right. */
    public static final int DATA_VALID = 2;

    /** {@code VIRTIO_NET_HDR_GSO_NONE}: the frame is not to be cut. */
    public static final int NOT_CUT = 0;

    /** {@code VIRTIO_NET_HDR_GSO_TCPV4}: TCP over IPv4, to be cut. */
    public static final int TCP_V4 = 1;

    /** {@code VIRTIO_NET_HDR_GSO_TCPV6}: TCP over IPv6, to be cut. */
    public static final int TCP_V6 = 4;

    /** {@code VIRTIO_NET_HDR_GSO_ECN}: added to the kind of a frame that tells of congestion. */
    public static final int ECN = 0x80;

    private static final ValueLayout.OfByte BYTE = ValueLayout.JAVA_BYTE;
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private static final long FLAGS = 0;
    private static final long GSO_TYPE = 1;
    private static final long HEADER_LENGTH = 2;
    private static final long GSO_SIZE = 4;
    private static final long CHECKSUM_START = 6;
    private static final long CHECKSUM_OFFSET = 8;
    private static final long BUFFERS = 10;

    private final MemorySegment bytes = Arena.ofAuto().allocate(SIZE);

    /** Creates a header of a frame on which nothing is left to do. */
    public OffloadHeader() {}

    /** Makes it the header of a frame on which nothing is left to do. */
    public void clear() {
        bytes.fill((byte) 0);
    }

    /**
     * Returns the bytes, for backends that pass them on.
     *
     * @return {@link #SIZE} bytes of native memory, the same ones at each call
     */
    public MemorySegment bytes() {
        return bytes;
    }

    /**
     * Returns the flags.
     *
     * @return a sum of {@link #NEEDS_CHECKSUM} and {@link #DATA_VALID}, and bits without a meaning
     */
    public int flags() {
        return bytes.get(BYTE, FLAGS) & 0xFF;
    }

    /**
     * Sets the flags.
     *
     * @param flags 0 to 255
     */
    public void setFlags(int flags) {
        bytes.set(BYTE, FLAGS, (byte) flags);
    }

    /**
     * Tells whether the checksum is not complete.
     *
     * @return true if {@link #NEEDS_CHECKSUM} is set
     */
    public boolean needsChecksum() {
        return (flags() & NEEDS_CHECKSUM) != 0;
    }

    /**
     * Returns how the frame is to be cut.
     *
     * @return {@link #NOT_CUT}, {@link #TCP_V4} or the like, with {@link #ECN} or without
     */
    public int gsoType() {
        return bytes.get(BYTE, GSO_TYPE) & 0xFF;
    }

    /**
     * Returns a hint at how long the headers are that each part gets.
     *
     * @return a length in bytes
     */
    public int headerLength() {
        return bytes.get(SHORT, HEADER_LENGTH) & 0xFFFF;
    }

    /**
     * Returns how much data each part gets, of a frame to be cut.
     *
     * @return a length in bytes
     */
    public int gsoSize() {
        return bytes.get(SHORT, GSO_SIZE) & 0xFFFF;
    }

    /**
     * Sets how the frame is to be cut.
     *
     * @param type {@link #NOT_CUT} and the like
     * @param headers length of the headers in bytes
     * @param size how much data each part gets, in bytes
     */
    public void setGso(int type, int headers, int size) {
        bytes.set(BYTE, GSO_TYPE, (byte) type);
        bytes.set(SHORT, HEADER_LENGTH, (short) headers);
        bytes.set(SHORT, GSO_SIZE, (short) size);
    }

    /**
     * Returns from where on the checksum is taken.
     *
     * @return a distance from the frame's first byte, in bytes
     */
    public int checksumStart() {
        return bytes.get(SHORT, CHECKSUM_START) & 0xFFFF;
    }

    /**
     * Returns where the checksum goes.
     *
     * @return a distance from {@link #checksumStart()}, in bytes
     */
    public int checksumOffset() {
        return bytes.get(SHORT, CHECKSUM_OFFSET) & 0xFFFF;
    }

    /**
     * Says that the checksum is not complete.
     *
     * @param start from where on it is taken, from the frame's first byte
     * @param offset where it goes, from {@code start}
     */
    public void setChecksum(int start, int offset) {
        setFlags(flags() | NEEDS_CHECKSUM);
        bytes.set(SHORT, CHECKSUM_START, (short) start);
        bytes.set(SHORT, CHECKSUM_OFFSET, (short) offset);
    }

    /** Says that there is no checksum to complete: the checksum fields mean nothing. */
    void clearChecksum() {
        setFlags(flags() & ~NEEDS_CHECKSUM);
        bytes.set(SHORT, CHECKSUM_START, (short) 0);
        bytes.set(SHORT, CHECKSUM_OFFSET, (short) 0);
    }

    /** Sets how many buffers of the guest the frame takes. */
    void setBuffers(int count) {
        bytes.set(SHORT, BUFFERS, (short) count);
    }

    /** Tells whether what it says fits a frame: nothing outside of it, and data for each part. The guest or a peer wrote it. */
    boolean fits(long frameSize) {
        if (needsChecksum() && checksumStart() + checksumOffset() + Short.BYTES > frameSize) {
            return false;
        }
        return switch (gsoType() & ~ECN) {
            case NOT_CUT -> gsoType() == NOT_CUT;
            case TCP_V4, TCP_V6 -> needsChecksum() && gsoSize() != 0 && headerLength() <= frameSize;
            default -> false;
        };
    }
}
