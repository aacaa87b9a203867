package io.github.jkvm.virtio.block;

import io.github.jkvm.testkit.virtio.Buffer;
import io.github.jkvm.testkit.virtio.GuestBuffers;
import io.github.jkvm.testkit.virtio.Used;
import io.github.jkvm.testkit.virtio.VirtioDriver;
import io.github.jkvm.virtio.Guests;
import io.github.jkvm.virtio.VirtioDevice;
import io.github.jkvm.virtio.queue.RingFormat;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;

/** Makes requests of a block device as a guest's driver does. */
final class BlockDriver {
    static final int IN = 0;
    static final int OUT = 1;
    static final int FLUSH = 4;
    static final int GET_ID = 8;
    static final int DISCARD = 11;
    static final int WRITE_ZEROES = 13;

    static final int OK = 0;
    static final int IOERR = 1;
    static final int UNSUPP = 2;

    /** A status that no device writes. */
    private static final byte NO_STATUS = 0x55;

    private final VirtioDriver guest;

    BlockDriver(VirtioDriver guest) {
        this.guest = guest;
    }

    static BlockDriver start(VirtioDevice device, RingFormat format) {
        return new BlockDriver(Guests.start(device, format));
    }

    /** A request under way. */
    record Sent(int queue, int head, Buffer data, Buffer status) {}

    VirtioDriver guest() {
        return guest;
    }

    GuestBuffers buffers() {
        return guest.buffers();
    }

    Buffer header(int type, long sector) {
        return buffers().readable(bytes(type, sector));
    }

    static byte[] bytes(int type, long sector) {
        return ByteBuffer.allocate(16)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putInt(type)
                .putInt(0)
                .putLong(sector)
                .array();
    }

    /** Ranges of a discard or write-zeroes request: sector, number of sectors, flags, and so on. */
    static byte[] ranges(long... numbers) {
        ByteBuffer bytes = ByteBuffer.allocate(numbers.length / 3 * 16).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < numbers.length; i += 3) {
            bytes.putLong(numbers[i]).putInt((int) numbers[i + 1]).putInt((int) numbers[i + 2]);
        }
        return bytes.array();
    }

    Buffer status() {
        Buffer status = buffers().writable(1);
        guest.memory().writeByte(status.address(), NO_STATUS);
        return status;
    }

    int value(Buffer status) {
        return buffers().bytes(status)[0];
    }

    Sent send(int queue, int type, long sector, Buffer... data) {
        List<Buffer> chain = new ArrayList<>();
        chain.add(header(type, sector));
        chain.addAll(List.of(data));
        Buffer status = status();
        chain.add(status);
        int head = guest.queue(queue).add(chain.toArray(Buffer[]::new));
        guest.kick(queue);
        return new Sent(queue, head, data.length == 0 ? status : data[0], status);
    }

    /** Waits for a request, and returns its status. */
    int await(Sent sent) {
        guest.await(sent.queue(), sent.head());
        return value(sent.status());
    }

    /** Makes a request on the first queue and returns its status. */
    int request(int type, long sector, Buffer... data) {
        return await(send(0, type, sector, data));
    }

    /** Makes a request of buffers cut at will. */
    Used raw(Buffer... chain) {
        return guest.request(0, chain);
    }

    int write(long sector, byte... data) {
        return request(OUT, sector, buffers().readable(data));
    }

    byte[] read(long sector, int length) {
        Buffer data = buffers().writable(length);
        int status = request(IN, sector, data);
        if (status != OK) {
            throw new AssertionError(
                    "reading " + length + " bytes at sector " + sector + " ended with status " + status);
        }
        return buffers().bytes(data);
    }

    int flush() {
        return request(FLUSH, 0);
    }
}
