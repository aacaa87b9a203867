package io.github.jkvm.virtio.net;

import io.github.jkvm.testkit.virtio.ManualEventLoop;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;

/** A backend in the hands of a test that plays its device. */
final class TestPorts implements NetBackend.Events {
    final NetBackend backend;
    final ManualEventLoop loop = new ManualEventLoop();
    final List<byte[]> received = new ArrayList<>();
    final List<OffloadHeader> headers = new ArrayList<>();
    int writable;
    boolean reads = true;

    private TestPorts(NetBackend backend) {
        this.backend = backend;
    }

    static TestPorts start(NetBackend backend, Offload... accepted) {
        var port = new TestPorts(backend);
        backend.start(port.loop, port);
        backend.guestAccepts(Set.of(accepted));
        // As a device does once its driver has given it buffers.
        port.readable(0);
        return port;
    }

    NetBackend.Sent send(byte[] bytes) {
        return send(new OffloadHeader(), bytes);
    }

    NetBackend.Sent send(OffloadHeader header, byte[] bytes) {
        var frame = new Frame();
        frame.header().bytes().copyFrom(header.bytes());
        // In two parts, as drivers do.
        int half = bytes.length / 3;
        frame.add(MemorySegment.ofArray(bytes), 0, half);
        frame.add(MemorySegment.ofArray(bytes), half, bytes.length - half);
        return backend.send(0, frame);
    }

    List<byte[]> receiveAll() {
        loop.run();
        List<byte[]> all = List.copyOf(received);
        received.clear();
        return all;
    }

    @Override
    public void readable(int pair) {
        while (reads) {
            byte[] bytes = new byte[Frame.MAX_SIZE];
            var room = new Frame();
            room.add(MemorySegment.ofArray(bytes), 0, 100);
            room.add(MemorySegment.ofArray(bytes), 100, bytes.length - 100);
            long size = backend.receive(pair, room);
            if (size == 0) {
                return;
            }
            received.add(Arrays.copyOf(bytes, (int) size));
            headers.add(room.header());
        }
    }

    @Override
    public void writable(int pair) {
        writable++;
    }

    @Override
    public void linkChanged(LinkState state) {}

    /** Somebody who does not care. */
    static final class Ignoring implements NetBackend.Events {
        @Override
        public void readable(int pair) {}

        @Override
        public void writable(int pair) {}

        @Override
        public void linkChanged(LinkState state) {}
    }
}
