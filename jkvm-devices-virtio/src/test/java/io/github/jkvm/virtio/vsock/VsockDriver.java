package io.github.jkvm.virtio.vsock;

import io.github.jkvm.DeviceState;
import io.github.jkvm.testkit.virtio.Buffer;
import io.github.jkvm.testkit.virtio.Used;
import io.github.jkvm.testkit.virtio.VirtioDriver;
import io.github.jkvm.virtio.Guests;
import io.github.jkvm.virtio.queue.RingFormat;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** A guest's driver of a socket device, in as far as tests need one. */
final class VsockDriver {
    static final int CID = 3;
    static final int REQUEST = 1;
    static final int RESPONSE = 2;
    static final int RST = 3;
    static final int SHUTDOWN = 4;
    static final int RW = 5;
    static final int CREDIT_UPDATE = 6;
    static final int CREDIT_REQUEST = 7;

    private static final int RECEIVE = 0;
    private static final int TRANSMIT = 1;
    private static final int HEADER = 44;
    private static final int BUFFER = HEADER + 4096;

    /** A packet of the device. */
    record Packet(
            int operation,
            long hostPort,
            long guestPort,
            int type,
            int flags,
            int bufferSize,
            int forwarded,
            String text) {}

    final VirtioDriver guest;

    /** What the driver tells of its own buffer. */
    int bufferSize = 65536;

    int forwarded;
    private final Map<Integer, Buffer> given = new HashMap<>();
    private final Deque<Buffer> sendBuffers = new ArrayDeque<>();

    private VsockDriver(VirtioDriver guest) {
        this.guest = guest;
    }

    static VsockDriver start(VsockDevice device, RingFormat format) {
        return new VsockDriver(Guests.start(device, format));
    }

    /** Goes on with another device, as the driver of a guest does that is restored. */
    VsockDriver movedInto(VsockDevice device, DeviceState state) {
        var moved = new VsockDriver(Guests.restoreInto(guest, device, state));
        moved.given.putAll(given);
        return moved;
    }

    /** Gives the device buffers for packets. */
    void give(int count) {
        for (int i = 0; i < count; i++) {
            give(guest.buffers().writable(BUFFER));
        }
        guest.kick(RECEIVE);
    }

    private void give(Buffer buffer) {
        given.put(guest.queue(RECEIVE).add(buffer), buffer);
    }

    /** Returns the packets since the last time, and gives their buffers back to the device. */
    List<Packet> packets() {
        guest.run();
        List<Packet> packets = new ArrayList<>();
        Optional<Used> used = guest.queue(RECEIVE).takeUsed();
        while (used.isPresent()) {
            Buffer buffer = given.remove(used.get().id());
            packets.add(
                    parse(guest.memory().read(buffer.address(), (int) used.get().length())));
            give(buffer);
            used = guest.queue(RECEIVE).takeUsed();
        }
        if (!packets.isEmpty()) {
            guest.kick(RECEIVE);
        }
        return packets;
    }

    private static Packet parse(byte[] bytes) {
        ByteBuffer header = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        if (header.getLong() != 2 || header.getLong() != CID) {
            throw new AssertionError("the device's packet has wrong addresses");
        }
        long hostPort = Integer.toUnsignedLong(header.getInt());
        long guestPort = Integer.toUnsignedLong(header.getInt());
        int length = header.getInt();
        int type = header.getShort();
        int operation = header.getShort();
        int flags = header.getInt();
        int size = header.getInt();
        int taken = header.getInt();
        if (length != bytes.length - HEADER) {
            throw new AssertionError("the device says " + length + " bytes and wrote " + (bytes.length - HEADER));
        }
        return new Packet(
                operation,
                hostPort,
                guestPort,
                type,
                flags,
                size,
                taken,
                new String(bytes, HEADER, length, StandardCharsets.ISO_8859_1));
    }

    /** Waits for a packet of one kind; others before it are dropped. */
    Packet await(int operation) {
        var found = new ArrayList<Packet>();
        guest.loop().runUntil(() -> {
            for (Packet packet : packets()) {
                if (packet.operation() == operation) {
                    found.add(packet);
                }
            }
            return !found.isEmpty();
        });
        return found.getFirst();
    }

    static byte[] header(
            long source,
            long destination,
            long hostPort,
            long guestPort,
            int type,
            int operation,
            int flags,
            int length,
            int size,
            int taken) {
        return ByteBuffer.allocate(HEADER)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(source)
                .putLong(destination)
                .putInt((int) guestPort)
                .putInt((int) hostPort)
                .putInt(length)
                .putShort((short) type)
                .putShort((short) operation)
                .putInt(flags)
                .putInt(size)
                .putInt(taken)
                .array();
    }

    void send(int operation, long hostPort, long guestPort) {
        send(operation, hostPort, guestPort, 0, "");
    }

    void send(int operation, long hostPort, long guestPort, int flags, String text) {
        byte[] payload = text.getBytes(StandardCharsets.ISO_8859_1);
        byte[] header = header(CID, 2, hostPort, guestPort, 1, operation, flags, payload.length, bufferSize, forwarded);
        sendRaw(header, payload);
    }

    /** Sends bytes as they are, in one buffer or in two. */
    void sendRaw(byte[]... parts) {
        List<Buffer> chain = new ArrayList<>();
        for (byte[] part : parts) {
            if (part.length > 0) {
                chain.add(fill(part));
            }
        }
        guest.request(TRANSMIT, chain.toArray(Buffer[]::new));
        sendBuffers.addAll(chain);
    }

    private Buffer fill(byte[] part) {
        Buffer free = sendBuffers.stream()
                .filter(buffer -> buffer.length() == part.length)
                .findFirst()
                .orElse(null);
        if (free == null) {
            return guest.buffers().readable(part);
        }
        sendBuffers.remove(free);
        guest.memory().write(free.address(), part);
        return free;
    }
}
