package io.github.jkvm.virtio.console;

import io.github.jkvm.DeviceState;
import io.github.jkvm.testkit.virtio.Buffer;
import io.github.jkvm.testkit.virtio.Used;
import io.github.jkvm.testkit.virtio.VirtioDriver;
import io.github.jkvm.virtio.Guests;
import io.github.jkvm.virtio.queue.RingFormat;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** A guest's driver of a console device, in as far as tests need one. */
final class ConsoleDriver {
    static final int CONTROL_RECEIVE = 2;
    static final int CONTROL_TRANSMIT = 3;

    /** What the device says about a port; as text, for comparison. */
    record Message(int port, int event, int value, String rest) {}

    final VirtioDriver guest;
    private final Map<Integer, Map<Integer, Buffer>> given = new HashMap<>();

    private ConsoleDriver(VirtioDriver guest) {
        this.guest = guest;
    }

    static ConsoleDriver start(ConsoleDevice device, RingFormat format) {
        return new ConsoleDriver(Guests.start(device, format));
    }

    static int receiveQueue(int port) {
        return port == 0 ? 0 : 2 * port + 2;
    }

    ConsoleDriver movedInto(ConsoleDevice device, DeviceState state) {
        var moved = new ConsoleDriver(Guests.restoreInto(guest, device, state));
        moved.given.putAll(given);
        return moved;
    }

    /** Gives the device buffers to write to. */
    void give(int queue, int count, int size) {
        for (int i = 0; i < count; i++) {
            Buffer buffer = guest.buffers().writable(size);
            int head = guest.queue(queue).add(buffer);
            given.computeIfAbsent(queue, q -> new HashMap<>()).put(head, buffer);
        }
        guest.kick(queue);
    }

    /** Returns what the device has written since the last time; one element a buffer. */
    List<byte[]> taken(int queue) {
        guest.run();
        List<byte[]> all = new ArrayList<>();
        Optional<Used> used = guest.queue(queue).takeUsed();
        while (used.isPresent()) {
            Buffer buffer = given.get(queue).remove(used.get().id());
            byte[] bytes =
                    guest.memory().read(buffer.address(), (int) used.get().length());
            all.add(bytes);
            used = guest.queue(queue).takeUsed();
        }
        return all;
    }

    String text(int port) {
        var text = new StringBuilder();
        for (byte[] each : taken(receiveQueue(port))) {
            text.append(new String(each, StandardCharsets.US_ASCII));
        }
        return text.toString();
    }

    /** Makes bytes available on a port; returns the chain. */
    int write(int port, String text) {
        int queue = receiveQueue(port) + 1;
        int head = guest.queue(queue).add(guest.buffers().readable(text.getBytes(StandardCharsets.US_ASCII)));
        guest.kick(queue);
        return head;
    }

    void send(int port, int event, int value) {
        sendBytes(ByteBuffer.allocate(8)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putInt(port)
                .putShort((short) event)
                .putShort((short) value)
                .array());
    }

    void sendBytes(byte[] message) {
        guest.request(CONTROL_TRANSMIT, guest.buffers().readable(message));
    }

    List<Message> messages() {
        List<Message> messages = new ArrayList<>();
        for (byte[] each : taken(CONTROL_RECEIVE)) {
            ByteBuffer bytes = ByteBuffer.wrap(each).order(ByteOrder.LITTLE_ENDIAN);
            int port = bytes.getInt();
            int event = bytes.getShort();
            int value = bytes.getShort();
            var rest = new byte[bytes.remaining()];
            bytes.get(rest);
            messages.add(new Message(port, event, value, new String(rest, StandardCharsets.ISO_8859_1)));
        }
        return messages;
    }

    /** Goes through what Linux does with a device of several ports, until the ports are open on its side. */
    void open(int... ports) {
        give(CONTROL_RECEIVE, 24, 64);
        send(-1, 0, 1);
        for (int port : ports) {
            send(port, 3, 1);
            send(port, 6, 1);
        }
        messages();
    }
}
