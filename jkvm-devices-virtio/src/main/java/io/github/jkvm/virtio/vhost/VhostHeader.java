package io.github.jkvm.virtio.vhost;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * What every message begins with: 4 bytes each of request, flags and size of the payload, in the host's order (QEMU, docs/interop/vhost-user.rst, "Header").
 *
 * @param request the number of the request
 * @param flags the flags, with the version
 * @param size size of the payload in bytes, as the sender says: any number
 */
record VhostHeader(int request, int flags, int size) {
    static final int BYTES = 3 * Integer.BYTES;

    static final int REPLY = 1 << 2;
    static final int NEED_REPLY = 1 << 3;

    private static final int VERSION = 1;
    private static final int VERSION_MASK = 3;

    static VhostHeader of(byte[] bytes) {
        ByteBuffer fields = ByteBuffer.wrap(bytes).order(ByteOrder.nativeOrder());
        return new VhostHeader(fields.getInt(), fields.getInt(), fields.getInt());
    }

    /** Returns a message as it is sent. */
    static byte[] message(int request, int flags, ByteBuffer payload) {
        byte[] message = new byte[BYTES + payload.remaining()];
        ByteBuffer fields = ByteBuffer.wrap(message).order(ByteOrder.nativeOrder());
        fields.putInt(request).putInt(VERSION | flags).putInt(payload.remaining());
        fields.put(payload);
        return message;
    }

    boolean isReplyTo(VhostRequest asked) {
        return request == asked.number() && (flags & (VERSION_MASK | REPLY)) == (VERSION | REPLY);
    }

    /** Whether it is a request of the version that is spoken, and no reply to something. */
    boolean isRequest() {
        return (flags & (VERSION_MASK | REPLY)) == VERSION;
    }

    boolean needsReply() {
        return (flags & NEED_REPLY) != 0;
    }

    @Override
    public String toString() {
        return "message " + Integer.toUnsignedString(request) + " of " + Integer.toUnsignedString(size)
                + " bytes and flags 0x" + Integer.toHexString(flags);
    }
}
