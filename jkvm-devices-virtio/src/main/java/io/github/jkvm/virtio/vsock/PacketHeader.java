package io.github.jkvm.virtio.vsock;

import io.github.jkvm.virtio.queue.ChainReader;
import io.github.jkvm.virtio.queue.ChainWriter;

/** {@code struct virtio_vsock_hdr} (virtio 1.2, 5.10.6), read from guest memory once, or to be written to it. */
final class PacketHeader {
    /** Size in bytes. */
    static final int BYTES = 44;

    /** Greatest number of bytes behind a header: what Linux sends at most (include/linux/virtio_vsock.h, VIRTIO_VSOCK_MAX_PKT_BUF_SIZE). */
    static final int MAX_PAYLOAD = 64 << 10;

    static final int TYPE_STREAM = 1;

    static final int OP_REQUEST = 1;
    static final int OP_RESPONSE = 2;
    static final int OP_RST = 3;
    static final int OP_SHUTDOWN = 4;
    static final int OP_RW = 5;
    static final int OP_CREDIT_UPDATE = 6;
    static final int OP_CREDIT_REQUEST = 7;

    /** In {@link #OP_SHUTDOWN}: the sender receives no more. */
    static final int SHUTDOWN_RECEIVE = 1;

    /** In {@link #OP_SHUTDOWN}: the sender sends no more. */
    static final int SHUTDOWN_SEND = 2;

    static final int SHUTDOWN_BOTH = SHUTDOWN_RECEIVE | SHUTDOWN_SEND;

    long sourceCid;
    long destinationCid;
    int sourcePort;
    int destinationPort;

    /** Bytes that follow, as the sender says. Unsigned. */
    int length;

    int type;
    int operation;
    int flags;
    int bufferSize;
    int forwarded;

    /** Reads a header; false if there is none. */
    boolean read(ChainReader reader) {
        if (!reader.has(BYTES)) {
            return false;
        }
        sourceCid = reader.nextLong();
        destinationCid = reader.nextLong();
        sourcePort = reader.nextInt();
        destinationPort = reader.nextInt();
        length = reader.nextInt();
        type = reader.nextShort() & 0xFFFF;
        operation = reader.nextShort() & 0xFFFF;
        flags = reader.nextInt();
        bufferSize = reader.nextInt();
        forwarded = reader.nextInt();
        return true;
    }

    /** Writes a header; there must be room. */
    void write(ChainWriter writer) {
        writer.putLong(sourceCid);
        writer.putLong(destinationCid);
        writer.putInt(sourcePort);
        writer.putInt(destinationPort);
        writer.putInt(length);
        writer.putShort((short) type);
        writer.putShort((short) operation);
        writer.putInt(flags);
        writer.putInt(bufferSize);
        writer.putInt(forwarded);
    }
}
