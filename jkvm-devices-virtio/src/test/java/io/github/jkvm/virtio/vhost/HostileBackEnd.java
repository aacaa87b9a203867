package io.github.jkvm.virtio.vhost;

import io.github.jkvm.kvm.ffi.EventFd;
import io.github.jkvm.kvm.ffi.OwnedFd;
import io.github.jkvm.kvm.ffi.UnixSocket;
import io.github.jkvm.testkit.virtio.Choices;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * A back end that serves nothing and answers as it must most of the time, and now and then does not: on the front end's own thread, at once, so that a seed
 * repeats what it does. Its first connection is an honest one as far as to tell what it can do.
 */
final class HostileBackEnd implements VhostUserDevice.BackEndAddress, AutoCloseable {
    private static final Duration PATIENCE = Duration.ofMillis(5);
    private static final int MOST_FILES = 8;
    private static final int REPLY = 5;
    private static final int NEED_REPLY = 9;

    private final Choices choices;
    private final EventFd spare = EventFd.create("file that no one asked for");
    private final Map<Integer, Integer> bases = new HashMap<>();
    private final Map<Integer, OwnedFd> calls = new HashMap<>();
    private final List<OwnedFd> kicks = new ArrayList<>();
    private UnixSocket end;
    private OwnedFd channel;
    private boolean honest = true;

    HostileBackEnd(Choices choices) {
        this.choices = choices;
    }

    @Override
    public Duration patience() {
        return PATIENCE;
    }

    @Override
    public VhostWire connect() throws IOException {
        closeConnection();
        if (!honest && choices.oneIn(8)) {
            throw new IOException("no one listens");
        }
        List<UnixSocket> ends = UnixSocket.pair("hostile back end");
        end = ends.get(1);
        VhostWire wire = VhostWire.over(ends.get(0));
        UnixSocket mine = end;
        return new VhostWire() {
            @Override
            public void send(byte[] bytes, List<OwnedFd> files, long deadline) throws IOException {
                wire.send(bytes, files, deadline);
                if (mine == end && !mine.fd().isClosed()) {
                    answer();
                }
            }

            @Override
            public List<OwnedFd> receive(byte[] bytes, int mostFiles, long deadline) throws IOException {
                return wire.receive(bytes, mostFiles, deadline);
            }

            @Override
            public boolean isQuiet() {
                return wire.isQuiet();
            }

            @Override
            public OwnedFd fd() {
                return wire.fd();
            }

            @Override
            public void close() {
                wire.close();
            }
        };
    }

    private static long soon() {
        return System.nanoTime() + Duration.ofSeconds(5).toNanos();
    }

    /** Reads the request that has just been sent, and answers it. */
    private void answer() throws IOException {
        byte[] header = new byte[12];
        List<OwnedFd> files = end.receive(header, MOST_FILES, soon());
        ByteBuffer fields = ByteBuffer.wrap(header).order(ByteOrder.nativeOrder());
        int request = fields.getInt();
        int flags = fields.getInt();
        byte[] payload = new byte[fields.getInt()];
        end.receive(payload, 0, soon());
        ByteBuffer body = ByteBuffer.wrap(payload).order(ByteOrder.nativeOrder());
        honest &= request != 2;
        List<OwnedFd> sent = List.of();
        byte[] reply = switch (request) {
            case 1 -> number(TestBackEnd.ALL_FEATURES);
            case 15 -> number(1L | 1L << 3 | 1L << 5 | 1L << 9 | 1L << 12 | 1L << 13);
            case 17 -> number(16);
            case 24 -> payload;
            case 11 -> {
                int ring = body.getInt();
                yield number(Integer.toUnsignedLong(ring) | (long) bases.getOrDefault(ring, 0) << Integer.SIZE);
            }
            case 31 -> {
                sent = List.of(spare.fd());
                yield payload;
            }
            default -> (flags & 8) != 0 ? new byte[8] : null;
        };
        keep(request, body, files);
        if (reply != null) {
            if (honest || !choices.oneIn(24)) {
                send(end, message(request, REPLY, reply.length, reply), sent);
            } else {
                spoil(request, reply, sent);
            }
        }
    }

    private void keep(int request, ByteBuffer body, List<OwnedFd> files) {
        List<OwnedFd> unneeded = new ArrayList<>(files);
        switch (request) {
            case 10 -> bases.put(body.getInt(), body.getInt() & 0xFFFF);
            case 12 -> kicks.add(unneeded.removeFirst());
            case 13 -> {
                OwnedFd before = calls.put((int) body.getLong() & 0xFF, unneeded.removeFirst());
                if (before != null) {
                    before.close();
                }
            }
            case 21 -> channel = unneeded.removeFirst();
            default -> {
                // Not one that is needed later.
            }
        }
        unneeded.forEach(OwnedFd::close);
    }

    /** Gives an answer that is wrong in one way. */
    private void spoil(int request, byte[] reply, List<OwnedFd> files) {
        byte[] good = message(request, REPLY, reply.length, reply);
        switch (choices.below(14)) {
            case 0 -> send(end, message((int) choices.number(), REPLY, reply.length, reply), files);
            case 1 -> send(end, message(request, (int) choices.number(), reply.length, reply), files);
            case 2 -> send(end, message(request, REPLY, (int) choices.number(), reply), files);
            case 3 -> send(end, message(request, REPLY, reply.length, choices.bytes(64)), files);
            case 4 -> send(end, cut(good, choices.below(good.length + 1)), files);
            case 5 -> {
                send(end, cut(good, choices.below(good.length + 1)), files);
                end.close();
            }
            case 6 -> {
                // No answer: the front end stops waiting.
            }
            case 7 -> end.close();
            case 8 -> send(end, good, List.of(spare.fd(), spare.fd()));
            case 9 -> send(end, good, files.isEmpty() ? List.of(spare.fd()) : List.of());
            case 10 -> {
                send(end, good, files);
                send(end, good, files);
            }
            case 11 -> send(end, choices.bytes(64), List.of());
            case 12 -> {
                byte[] other = reply.clone();
                other[choices.below(other.length)] = (byte) choices.below(256);
                send(end, message(request, REPLY, other.length, other), files);
            }
            default -> {
                byte[] any = new byte[reply.length];
                ByteBuffer.wrap(any).order(ByteOrder.nativeOrder()).putLong(choices.number());
                send(end, message(request, REPLY, any.length, any), files);
            }
        }
    }

    /** Does something that it was not asked for. */
    void disturb() {
        if (honest || end == null || end.fd().isClosed()) {
            return;
        }
        switch (choices.below(7)) {
            case 0 -> end.close();
            case 1 -> send(end, choices.bytes(64), List.of());
            case 2 -> calls.values().forEach(call -> EventFd.borrow(call).signal());
            case 3 -> sendRequest(message(2, choices.oneIn(2) ? 1 : NEED_REPLY, 0, new byte[0]), List.of());
            case 4 -> {
                for (int i = choices.below(40); i >= 0; i--) {
                    sendRequest(message(2, 1, 0, new byte[0]), List.of());
                }
            }
            case 5 -> {
                byte[] payload = choices.bytes(40);
                int size = choices.oneIn(2) ? payload.length : (int) choices.number();
                int request = choices.oneIn(4) ? (int) choices.number() : choices.below(8);
                List<OwnedFd> files = choices.oneIn(2) ? List.of() : List.of(spare.fd());
                sendRequest(message(request, choices.oneIn(4) ? (int) choices.number() : 1, size, payload), files);
            }
            default -> {
                sendRequest(choices.bytes(16), List.of());
                if (choices.oneIn(2) && channel != null) {
                    channel.close();
                    channel = null;
                }
            }
        }
    }

    private void sendRequest(byte[] message, List<OwnedFd> files) {
        if (channel != null && message.length > 0) {
            send(UnixSocket.over(channel), message, files);
        }
    }

    private static void send(UnixSocket socket, byte[] message, List<OwnedFd> files) {
        try {
            if (message.length > 0 && !socket.fd().isClosed()) {
                socket.send(message, files, System.nanoTime());
            }
        } catch (IOException gone) {
            // The front end has left, or reads nothing any more.
        }
    }

    private static byte[] cut(byte[] message, int length) {
        byte[] shorter = new byte[length];
        System.arraycopy(message, 0, shorter, 0, length);
        return shorter;
    }

    private static byte[] message(int request, int flags, int size, byte[] payload) {
        return ByteBuffer.allocate(12 + payload.length)
                .order(ByteOrder.nativeOrder())
                .putInt(request)
                .putInt(flags)
                .putInt(size)
                .put(payload)
                .array();
    }

    private static byte[] number(long value) {
        return ByteBuffer.allocate(8)
                .order(ByteOrder.nativeOrder())
                .putLong(value)
                .array();
    }

    private void closeConnection() {
        if (end != null) {
            end.close();
        }
        if (channel != null) {
            channel.close();
            channel = null;
        }
        calls.values().forEach(OwnedFd::close);
        calls.clear();
        kicks.forEach(OwnedFd::close);
        kicks.clear();
        bases.clear();
    }

    @Override
    public void close() {
        closeConnection();
        spare.close();
    }

    /** Returns how many files this process has open. */
    static int openFiles() {
        try (var files = Files.list(Path.of("/proc/self/fd"))) {
            return (int) files.count();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
