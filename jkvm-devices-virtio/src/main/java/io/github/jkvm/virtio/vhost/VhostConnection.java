package io.github.jkvm.virtio.vhost;

import io.github.jkvm.kvm.ffi.OwnedFd;
import io.github.jkvm.kvm.ffi.UnixSocket;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Duration;
import java.util.List;

/**
 * A connection to a back end: requests and their answers. What the back end answers is checked, and waited for no longer than it may take. Once a method
 * has thrown, the connection is of no use any more.
 */
final class VhostConnection implements AutoCloseable {
    /** A bit of the device's features that tells of protocol features; no driver ever sees it. */
    static final int PROTOCOL_FEATURES = 30;

    /* Protocol features. */
    private static final int REPLY_ACK = 3;
    private static final int MULTIPLE_QUEUES = 0;
    private static final int CONFIG = 9;

    /** Request, flags and size of the payload, 4 bytes each. */
    private static final int HEADER = 12;

    private static final int VERSION = 1;
    private static final int VERSION_MASK = 3;
    private static final int REPLY = 1 << 2;
    private static final int NEED_REPLY = 1 << 3;

    /** Offset, size and flags before the bytes of a configuration space. */
    private static final int CONFIG_HEADER = 12;

    private final UnixSocket socket;
    private final Duration patience;
    private long features;
    private long protocol;

    private VhostConnection(UnixSocket socket, Duration patience) {
        this.socket = socket;
        this.patience = patience;
    }

    /** Finds out what the back end can do, and becomes its owner. Closes the socket if that fails. */
    static VhostConnection open(UnixSocket socket, Duration patience) throws IOException {
        var connection = new VhostConnection(socket, patience);
        try {
            connection.features = connection.askNumber(VhostRequest.GET_FEATURES);
            if (connection.hasProtocolFeatures()) {
                long known = 1L << REPLY_ACK | 1L << MULTIPLE_QUEUES | 1L << CONFIG;
                long chosen = connection.askNumber(VhostRequest.GET_PROTOCOL_FEATURES) & known;
                connection.send(VhostRequest.SET_PROTOCOL_FEATURES, 0, number(chosen), List.of());
                connection.protocol = chosen;
            }
            connection.tell(VhostRequest.SET_OWNER, payload(0));
            return connection;
        } catch (IOException | RuntimeException failure) {
            socket.close();
            throw failure;
        }
    }

    private static ByteBuffer payload(int size) {
        return ByteBuffer.allocate(size).order(ByteOrder.nativeOrder());
    }

    private static ByteBuffer number(long value) {
        return payload(Long.BYTES).putLong(value).flip();
    }

    /** The payload of most messages on one ring. */
    private static ByteBuffer state(int ring, int value) {
        return payload(2 * Integer.BYTES).putInt(ring).putInt(value).flip();
    }

    long features() {
        return features;
    }

    boolean hasProtocolFeatures() {
        return (features & 1L << PROTOCOL_FEATURES) != 0;
    }

    private boolean has(int protocolFeature) {
        return (protocol & 1L << protocolFeature) != 0;
    }

    /** Returns how many queues the back end has at most; more than any device has if it does not tell. */
    long queues() throws IOException {
        return has(MULTIPLE_QUEUES) ? askNumber(VhostRequest.GET_QUEUE_NUM) : Long.MAX_VALUE;
    }

    /** Reads the first bytes of the configuration space. */
    byte[] config(int size) throws IOException {
        if (!has(CONFIG)) {
            throw new IOException(this + " does not tell its configuration (protocol feature CONFIG)");
        }
        ByteBuffer request =
                payload(CONFIG_HEADER + size).putInt(0).putInt(size).putInt(0);
        ByteBuffer answer = ask(VhostRequest.GET_CONFIG, request.rewind(), CONFIG_HEADER + size);
        byte[] bytes = new byte[size];
        answer.position(CONFIG_HEADER).get(bytes);
        return bytes;
    }

    void setFeatures(long chosen) throws IOException {
        tell(VhostRequest.SET_FEATURES, number(chosen));
    }

    void setMemory(SharedMemory memory) throws IOException {
        ByteBuffer table = payload(2 * Integer.BYTES + memory.parts().size() * SharedMemory.Part.BYTES);
        table.putInt(memory.parts().size()).putInt(0);
        memory.parts().forEach(part -> part.writeTo(table));
        tell(VhostRequest.SET_MEM_TABLE, table.flip(), memory.files());
    }

    void startRing(int ring, SharedMemory.RingPlace place, int position, OwnedFd kick, OwnedFd call)
            throws IOException {
        tell(VhostRequest.SET_VRING_NUM, state(ring, place.size()));
        tell(VhostRequest.SET_VRING_BASE, state(ring, position));
        ByteBuffer address = payload(2 * Integer.BYTES + 4 * Long.BYTES);
        address.putInt(ring).putInt(0);
        address.putLong(place.descriptors())
                .putLong(place.used())
                .putLong(place.available())
                .putLong(0);
        tell(VhostRequest.SET_VRING_ADDR, address.flip());
        tell(VhostRequest.SET_VRING_CALL, number(ring), List.of(call));
        tell(VhostRequest.SET_VRING_KICK, number(ring), List.of(kick));
        if (hasProtocolFeatures()) {
            tell(VhostRequest.SET_VRING_ENABLE, state(ring, 1));
        }
    }

    /** Stops a ring, of which the back end touches nothing any more on return. Returns where it stands. */
    int stopRing(int ring) throws IOException {
        ByteBuffer answer = ask(VhostRequest.GET_VRING_BASE, state(ring, 0), 2 * Integer.BYTES);
        int index = answer.getInt();
        if (index != ring) {
            throw new IOException(this + " answers for ring " + index + " where ring " + ring + " is asked for");
        }
        // For a packed ring the upper half tells where its used part stands: the same place, as none is in flight.
        return answer.getInt() & 0xFFFF;
    }

    private void tell(VhostRequest request, ByteBuffer payload) throws IOException {
        tell(request, payload, List.of());
    }

    /** Makes a request that has no answer but whether it is done, if the back end tells that. */
    private void tell(VhostRequest request, ByteBuffer payload, List<OwnedFd> files) throws IOException {
        if (!has(REPLY_ACK)) {
            send(request, 0, payload, files);
            return;
        }
        send(request, NEED_REPLY, payload, files);
        long result = receive(request, Long.BYTES).getLong();
        if (result != 0) {
            throw new IOException(this + " refuses " + request + " with " + result);
        }
    }

    private long askNumber(VhostRequest request) throws IOException {
        return ask(request, payload(0), Long.BYTES).getLong();
    }

    private ByteBuffer ask(VhostRequest request, ByteBuffer payload, int answerSize) throws IOException {
        send(request, 0, payload, List.of());
        return receive(request, answerSize);
    }

    private void send(VhostRequest request, int flags, ByteBuffer payload, List<OwnedFd> files) throws IOException {
        byte[] message = new byte[HEADER + payload.remaining()];
        ByteBuffer fields = ByteBuffer.wrap(message).order(ByteOrder.nativeOrder());
        fields.putInt(request.number()).putInt(VERSION | flags).putInt(payload.remaining());
        fields.put(payload);
        socket.send(message, files, deadline());
    }

    private ByteBuffer receive(VhostRequest request, int size) throws IOException {
        byte[] header = new byte[HEADER];
        long deadline = deadline();
        socket.receive(header, 0, deadline);
        ByteBuffer fields = ByteBuffer.wrap(header).order(ByteOrder.nativeOrder());
        int answered = fields.getInt();
        int flags = fields.getInt();
        int length = fields.getInt();
        if (answered != request.number() || (flags & (VERSION_MASK | REPLY)) != (VERSION | REPLY) || length != size) {
            throw new IOException(this + " answers " + request + " (" + request.number() + ", " + size
                    + " bytes) with message " + answered + " of " + Integer.toUnsignedString(length)
                    + " bytes and flags 0x" + Integer.toHexString(flags));
        }
        byte[] payload = new byte[size];
        socket.receive(payload, 0, deadline);
        return ByteBuffer.wrap(payload).order(ByteOrder.nativeOrder());
    }

    private long deadline() {
        return System.nanoTime() + patience.toNanos();
    }

    /** Returns what is to be watched for the back end's end. */
    OwnedFd watched() {
        return socket.fd();
    }

    /** Whether the back end is there, and says nothing that it was not asked for. */
    boolean isQuiet() {
        return socket.isQuiet();
    }

    @Override
    public void close() {
        socket.close();
    }

    @Override
    public String toString() {
        return "back end at " + socket.fd();
    }
}
