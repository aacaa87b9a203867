package io.github.jkvm.virtio.vhost;

import io.github.jkvm.kvm.ffi.OwnedFd;
import io.github.jkvm.kvm.ffi.UnixSocket;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A connection to a back end: requests and their answers. What the back end answers is checked, and waited for no longer than it may take: all requests between
 * one {@link #begin()} and the next share one limit. Once a method has thrown, the connection is of no use any more.
 */
final class VhostConnection implements AutoCloseable {
    /** A bit of the device's features that tells of protocol features; no driver ever sees it. */
    static final int PROTOCOL_FEATURES = 30;

    /** Offset, size and flags before the bytes of a configuration space. */
    private static final int CONFIG_HEADER = 12;

    /** The half of a reply on a ring's place that tells where its available part stands. */
    private static final int AVAILABLE_PART = 0xFFFF;

    private final VhostWire wire;
    private final Duration patience;
    private long deadline;
    private long features;
    private long protocol;
    private @Nullable BackEndChannel channel;

    private VhostConnection(VhostWire wire, Duration patience) {
        this.wire = wire;
        this.patience = patience;
        begin();
    }

    /** Finds out what the back end can do, chooses what is wanted of it, and becomes its owner. Closes the wire if that fails. */
    static VhostConnection open(VhostWire wire, Duration patience, Set<ProtocolFeature> wanted) throws IOException {
        var connection = new VhostConnection(wire, patience);
        try {
            connection.greet(wanted);
            return connection;
        } catch (IOException | RuntimeException failure) {
            connection.close();
            throw failure;
        }
    }

    private void greet(Set<ProtocolFeature> wanted) throws IOException {
        features = askNumber(VhostRequest.GET_FEATURES);
        if (hasProtocolFeatures()) {
            long chosen = askNumber(VhostRequest.GET_PROTOCOL_FEATURES) & ProtocolFeature.mask(wanted);
            send(VhostRequest.SET_PROTOCOL_FEATURES, 0, number(chosen), List.of());
            protocol = chosen;
        }
        tell(VhostRequest.SET_OWNER, payload(0));
        if (has(ProtocolFeature.BACKEND_REQUESTS)) {
            openChannel();
        }
    }

    private void openChannel() throws IOException {
        List<UnixSocket> ends = UnixSocket.pair("requests of " + this);
        channel = new BackEndChannel(VhostWire.over(ends.get(0)));
        try (UnixSocket theirs = ends.get(1)) {
            tell(VhostRequest.SET_BACKEND_REQUESTS_FD, payload(0), List.of(theirs.fd()));
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

    /** Begins something that the back end may take its time for, once. */
    void begin() {
        deadline = System.nanoTime() + patience.toNanos();
    }

    /** When what was begun must be over. */
    long deadline() {
        return deadline;
    }

    long features() {
        return features;
    }

    private boolean hasProtocolFeatures() {
        return (features & 1L << PROTOCOL_FEATURES) != 0;
    }

    boolean has(ProtocolFeature feature) {
        return (protocol & feature.mask()) != 0;
    }

    /** Returns how many queues the back end has at most; more than any device has if it does not tell. */
    long queues() throws IOException {
        return has(ProtocolFeature.MULTIPLE_QUEUES) ? askNumber(VhostRequest.GET_QUEUE_NUM) : Long.MAX_VALUE;
    }

    /** Reads the first bytes of the configuration space. */
    byte[] config(int size) throws IOException {
        if (!has(ProtocolFeature.CONFIG)) {
            throw new IOException(this + " does not tell its configuration (protocol feature CONFIG)");
        }
        ByteBuffer request =
                payload(CONFIG_HEADER + size).putInt(0).putInt(size).putInt(0);
        ByteBuffer answer = ask(VhostRequest.GET_CONFIG, request.rewind(), CONFIG_HEADER + size);
        byte[] bytes = new byte[size];
        answer.position(CONFIG_HEADER).get(bytes);
        return bytes;
    }

    /** Writes a field of the configuration space that the driver may write. */
    void setConfig(int offset, byte[] field) throws IOException {
        ByteBuffer request = payload(CONFIG_HEADER + field.length);
        request.putInt(offset).putInt(field.length).putInt(0).put(field);
        tell(VhostRequest.SET_CONFIG, request.flip());
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

    /** Has the back end make memory for its notes on chains in flight. */
    InflightArea newInflightArea(int queues, int queueSize) throws IOException {
        ByteBuffer request = payload(InflightArea.BYTES);
        InflightArea.describe(request, 0, 0, queues, queueSize);
        send(VhostRequest.GET_INFLIGHT_FD, 0, request.flip(), List.of());
        Reply reply = receive(VhostRequest.GET_INFLIGHT_FD, InflightArea.BYTES, 1);
        if (reply.files().isEmpty()) {
            throw new IOException(this + " answers GET_INFLIGHT_FD without a file");
        }
        return new InflightArea(
                reply.files().getFirst(),
                reply.payload().getLong(),
                reply.payload().getLong(),
                queues,
                queueSize);
    }

    void setInflightArea(InflightArea area) throws IOException {
        ByteBuffer request = payload(InflightArea.BYTES);
        area.describe(request);
        tell(VhostRequest.SET_INFLIGHT_FD, request.flip(), List.of(area.file()));
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
    }

    /** Has the back end serve a ring that is started, or only look at it. */
    void enableRing(int ring, RingUse use) throws IOException {
        if (hasProtocolFeatures()) {
            tell(VhostRequest.SET_VRING_ENABLE, state(ring, use == RingUse.ENABLED ? 1 : 0));
        }
    }

    /** What a back end does with a ring that is started ("Ring states"). */
    enum RingUse {
        ENABLED,
        DISABLED
    }

    /** Stops a ring, of which the back end takes nothing any more on return. Returns where it stands. */
    int stopRing(int ring) throws IOException {
        ByteBuffer answer = ask(VhostRequest.GET_VRING_BASE, state(ring, 0), 2 * Integer.BYTES);
        int index = answer.getInt();
        if (index != ring) {
            throw new IOException(this + " answers for ring " + Integer.toUnsignedString(index) + " where ring " + ring
                    + " is asked for");
        }
        // For a packed ring the upper half tells where its used part stands: the same place, as none is in flight.
        return answer.getInt() & AVAILABLE_PART;
    }

    private void tell(VhostRequest request, ByteBuffer payload) throws IOException {
        tell(request, payload, List.of());
    }

    /** Makes a request that has no answer but whether it is done, if the back end tells that. */
    private void tell(VhostRequest request, ByteBuffer payload, List<OwnedFd> files) throws IOException {
        if (!has(ProtocolFeature.REPLY_ACK)) {
            send(request, 0, payload, files);
            return;
        }
        send(request, VhostHeader.NEED_REPLY, payload, files);
        long result = receive(request, Long.BYTES, 0).payload().getLong();
        if (result != 0) {
            throw new IOException(this + " refuses " + request + " with " + result);
        }
    }

    private long askNumber(VhostRequest request) throws IOException {
        return ask(request, payload(0), Long.BYTES).getLong();
    }

    private ByteBuffer ask(VhostRequest request, ByteBuffer payload, int answerSize) throws IOException {
        send(request, 0, payload, List.of());
        return receive(request, answerSize, 0).payload();
    }

    private void send(VhostRequest request, int flags, ByteBuffer payload, List<OwnedFd> files) throws IOException {
        wire.send(VhostHeader.message(request.number(), flags, payload), files, deadline);
    }

    /** An answer. */
    private record Reply(ByteBuffer payload, List<OwnedFd> files) {}

    private Reply receive(VhostRequest request, int size, int mostFiles) throws IOException {
        byte[] bytes = new byte[VhostHeader.BYTES];
        List<OwnedFd> files = wire.receive(bytes, mostFiles, deadline);
        try {
            VhostHeader header = VhostHeader.of(bytes);
            if (!header.isReplyTo(request) || header.size() != size) {
                throw new IOException(this + " answers " + request + " (" + request.number() + ", " + size
                        + " bytes) with " + header);
            }
            byte[] payload = new byte[size];
            wire.receive(payload, 0, deadline);
            return new Reply(ByteBuffer.wrap(payload).order(ByteOrder.nativeOrder()), files);
        } catch (IOException | RuntimeException failure) {
            files.forEach(OwnedFd::close);
            throw failure;
        }
    }

    /** Returns what is to be watched for the back end's end. */
    OwnedFd watched() {
        return wire.fd();
    }

    /** Returns where the back end makes requests, if it does. */
    @Nullable
    BackEndChannel channel() {
        return channel;
    }

    /** Whether the back end is there, and says nothing that it was not asked for. */
    boolean isQuiet() {
        return wire.isQuiet();
    }

    @Override
    public void close() {
        wire.close();
        BackEndChannel now = channel;
        if (now != null) {
            now.close();
        }
    }

    @Override
    public String toString() {
        return "back end at " + wire.fd();
    }
}
