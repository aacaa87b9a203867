package io.github.jkvm.virtio.net;

import io.github.jkvm.testkit.virtio.Buffer;
import io.github.jkvm.testkit.virtio.Used;
import io.github.jkvm.testkit.virtio.VirtioDriver;
import io.github.jkvm.virtio.Guests;
import io.github.jkvm.virtio.queue.RingFormat;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** A guest with a network driver, for one pair of queues. */
final class NetGuest {
    static final int RECEIVE = 0;
    static final int TRANSMIT = 1;
    static final int CONTROL = 2;
    static final int HEADER = 12;

    final VirtioDriver driver;
    private final Map<Integer, Buffer> posted = new HashMap<>();
    private final List<Buffer> returned = new ArrayList<>();
    private final ArrayDeque<byte[]> received = new ArrayDeque<>();
    private final ArrayDeque<byte[]> receivedHeaders = new ArrayDeque<>();

    private NetGuest(VirtioDriver driver) {
        this.driver = driver;
    }

    static NetGuest start(NetDevice device, RingFormat format) {
        return new NetGuest(Guests.start(device, format));
    }

    static NetGuest start(NetDevice device, RingFormat format, int... features) {
        return new NetGuest(Guests.start(device, format, NetFeature.mask(features)));
    }

    static NetGuest over(VirtioDriver driver) {
        return new NetGuest(driver);
    }

    /** The state that the same guest goes on with over another device. */
    NetGuest on(VirtioDriver other) {
        var guest = new NetGuest(other);
        guest.posted.putAll(posted);
        return guest;
    }

    /** Gives the device buffers for frames. */
    void post(int count, int size) {
        for (int i = 0; i < count; i++) {
            Buffer buffer = driver.buffers().writable(size);
            posted.put(driver.queue(RECEIVE).add(buffer), buffer);
        }
        driver.kick(RECEIVE);
    }

    /** Gives the device as many buffers as the queue has room for; the memory of those used before is used again. */
    void refill(int size) {
        int free = driver.queue(RECEIVE).freeDescriptors();
        List<Buffer> spare = new ArrayList<>(returned);
        returned.clear();
        for (int i = 0; i < free; i++) {
            Buffer buffer = i < spare.size() ? spare.get(i) : driver.buffers().writable(size);
            posted.put(driver.queue(RECEIVE).add(buffer), buffer);
        }
        driver.kick(RECEIVE);
    }

    /** Sends a frame with a header; does not wait. Returns the chain. */
    int send(byte[] header, byte[] frame) {
        int head = driver.queue(TRANSMIT)
                .add(driver.buffers().readable(header), driver.buffers().readable(frame));
        driver.kick(TRANSMIT);
        return head;
    }

    int send(byte[] frame) {
        return send(new byte[HEADER], frame);
    }

    /** Takes back a chain that was sent. */
    Optional<Used> sent() {
        return driver.queue(TRANSMIT).takeUsed();
    }

    /** Returns the next frame received, merged from its buffers. */
    Optional<byte[]> receive() {
        takeReceived();
        receivedHeaders.poll();
        return Optional.ofNullable(received.poll());
    }

    /** Returns the header of the next frame. */
    byte[] nextHeader() {
        takeReceived();
        return receivedHeaders.element();
    }

    /** Returns all frames received. */
    List<byte[]> receiveAll() {
        List<byte[]> all = new ArrayList<>();
        for (Optional<byte[]> next = receive(); next.isPresent(); next = receive()) {
            all.add(next.get());
        }
        return all;
    }

    private void takeReceived() {
        driver.run();
        while (true) {
            Optional<byte[]> first = usedBuffer();
            if (first.isEmpty()) {
                return;
            }
            byte[] bytes = first.get();
            int buffers = (bytes[10] & 0xFF) | (bytes[11] & 0xFF) << 8;
            byte[] frame = Arrays.copyOfRange(bytes, HEADER, bytes.length);
            for (int i = 1; i < buffers; i++) {
                byte[] more = usedBuffer().orElseThrow(() -> new AssertionError("a buffer of the frame is missing"));
                int at = frame.length;
                frame = Arrays.copyOf(frame, at + more.length);
                System.arraycopy(more, 0, frame, at, more.length);
            }
            receivedHeaders.add(Arrays.copyOf(bytes, HEADER));
            received.add(frame);
        }
    }

    private Optional<byte[]> usedBuffer() {
        return driver.queue(RECEIVE).takeUsed().map(used -> {
            Buffer buffer = posted.remove(used.id());
            returned.add(buffer);
            return Arrays.copyOf(driver.buffers().bytes(buffer), (int) used.length());
        });
    }

    /** Gives a command and returns the answer. */
    int command(int type, int command, byte... data) {
        return commandOn(CONTROL, type, command, data);
    }

    int commandOn(int queue, int type, int command, byte... data) {
        Buffer answer = driver.buffers().writable(1);
        Buffer head = driver.buffers().readable((byte) type, (byte) command);
        if (data.length == 0) {
            driver.request(queue, head, answer);
        } else {
            driver.request(queue, head, driver.buffers().readable(data), answer);
        }
        return driver.buffers().bytes(answer)[0];
    }

    /** Makes a frame: addresses, a type that means nothing, and counted bytes. */
    static byte[] frame(String to, String from, int size) {
        byte[] frame = new byte[size];
        for (int i = 14; i < size; i++) {
            frame[i] = (byte) i;
        }
        System.arraycopy(MacAddress.of(to).toBytes(), 0, frame, 0, 6);
        System.arraycopy(MacAddress.of(from).toBytes(), 0, frame, 6, 6);
        frame[12] = (byte) 0x88;
        frame[13] = (byte) 0xB5;
        return frame;
    }

    static byte[] frame(int size) {
        return frame("52:54:00:00:00:01", "52:54:00:00:00:02", size);
    }
}
