package io.github.jkvm.virtio.vhost;

import io.github.jkvm.kvm.ffi.OwnedFd;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;

/** The socket on which a back end makes requests (QEMU, docs/interop/vhost-user.rst, "Back-end communication"). */
final class BackEndChannel implements AutoCloseable {
    /** The only request that no further protocol feature is needed for: the configuration space has changed. */
    private static final int CONFIG_CHANGE = 2;

    private static final long DONE = 0;

    private final VhostWire wire;

    /** What became of a look at the channel. */
    enum Found {
        NOTHING,
        CONFIG_CHANGE
    }

    BackEndChannel(VhostWire wire) {
        this.wire = wire;
    }

    OwnedFd watched() {
        return wire.fd();
    }

    /**
     * Takes one request and answers it, if the back end wants that. The answer comes before anything is done: a back end that waits for it answers nothing else.
     *
     * @param deadline until when the request must be there as a whole
     * @throws IOException if it is none that the back end may make
     */
    Found take(long deadline) throws IOException {
        if (wire.isQuiet()) {
            return Found.NOTHING;
        }
        byte[] bytes = new byte[VhostHeader.BYTES];
        wire.receive(bytes, 0, deadline);
        VhostHeader header = VhostHeader.of(bytes);
        if (!header.isRequest() || header.request() != CONFIG_CHANGE || header.size() != 0) {
            throw new IOException("back end makes a request that was not agreed on: " + header);
        }
        if (header.needsReply()) {
            ByteBuffer done = ByteBuffer.allocate(Long.BYTES).order(ByteOrder.nativeOrder());
            done.putLong(DONE).flip();
            wire.send(VhostHeader.message(CONFIG_CHANGE, VhostHeader.REPLY, done), List.of(), deadline);
        }
        return Found.CONFIG_CHANGE;
    }

    @Override
    public void close() {
        wire.close();
    }
}
