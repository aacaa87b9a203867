package io.github.jkvm.virtio.net;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.Doorbell;
import io.github.jkvm.EventLoop;
import io.github.jkvm.EventSource;
import io.github.jkvm.HypervisorException;
import io.github.jkvm.testkit.virtio.ManualEventLoop;
import io.github.jkvm.virtio.net.NetBackend.Sent;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class StreamBackendTest implements NetBackend.Events {
    private static final int READY = EventSource.READABLE | EventSource.WRITABLE;

    @TempDir
    Path folder;

    private final ManualEventLoop loop = new ManualEventLoop();
    private final WatchedLoop watched = new WatchedLoop(loop);
    private final List<byte[]> received = new ArrayList<>();
    private final List<LinkState> links = new ArrayList<>();
    private UnixDomainSocketAddress address;
    private ServerSocketChannel server;
    private @Nullable StreamBackend backend;
    private int writable;

    /** A loop whose sources the test makes ready. */
    private record WatchedLoop(ManualEventLoop loop, List<IntConsumer> actions) implements EventLoop {
        WatchedLoop(ManualEventLoop loop) {
            this(loop, new ArrayList<>());
        }

        void ready(int events) {
            List.copyOf(actions).forEach(action -> action.accept(events));
            loop.run();
        }

        @Override
        public Registration onRing(Doorbell doorbell, Runnable action) {
            return loop.onRing(doorbell, action);
        }

        @Override
        public Registration onReady(EventSource source, IntConsumer action) {
            actions.add(action);
            return () -> actions.remove(action);
        }

        @Override
        public Registration schedule(Duration delay, Runnable action) {
            return loop.schedule(delay, action);
        }

        @Override
        public void execute(Runnable action) {
            loop.execute(action);
        }

        @Override
        public boolean inLoop() {
            return loop.inLoop();
        }

        @Override
        public void close() {
            loop.close();
        }
    }

    @BeforeEach
    void listen() throws IOException {
        address = UnixDomainSocketAddress.of(folder.resolve("socket"));
        server = ServerSocketChannel.open(StandardProtocolFamily.UNIX).bind(address);
    }

    @AfterEach
    void close() throws IOException {
        StreamBackend now = backend;
        if (now != null) {
            now.stop();
            now.close();
        }
        server.close();
    }

    private SocketChannel start() throws IOException {
        var opened = StreamBackend.connect(address);
        backend = opened;
        SocketChannel peer = server.accept();
        opened.start(watched, this);
        return peer;
    }

    @Override
    public void readable(int pair) {
        byte[] bytes = new byte[Frame.MAX_SIZE];
        var room = new Frame();
        room.add(MemorySegment.ofArray(bytes), 0, bytes.length);
        while (true) {
            StreamBackend now = backend;
            long size = now == null ? 0 : now.receive(0, room);
            if (size == 0) {
                return;
            }
            received.add(Arrays.copyOf(bytes, (int) size));
        }
    }

    @Override
    public void writable(int pair) {
        writable++;
    }

    @Override
    public void linkChanged(LinkState state) {
        links.add(state);
    }

    private static void write(SocketChannel to, byte[] frame) throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate(4 + frame.length)
                .putInt(frame.length)
                .put(frame)
                .flip();
        while (bytes.hasRemaining()) {
            to.write(bytes);
        }
    }

    private static byte[] read(SocketChannel from) throws IOException {
        byte[] frame = new byte[readFully(from, 4).getInt()];
        readFully(from, frame.length).get(frame);
        return frame;
    }

    private static ByteBuffer readFully(SocketChannel from, int count) throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate(count);
        while (bytes.hasRemaining()) {
            if (from.read(bytes) < 0) {
                throw new AssertionError("the stream has ended");
            }
        }
        return bytes.flip();
    }

    private static Frame frame(byte[] bytes, Arena arena) {
        MemorySegment copy = arena.allocateFrom(ValueLayout.JAVA_BYTE, bytes);
        var frame = new Frame();
        frame.add(copy, 0, 10);
        frame.add(copy, 10, bytes.length - 10);
        return frame;
    }

    @Test
    void speaksInFramesPrecededByTheirLength() throws IOException {
        try (SocketChannel peer = start();
                Arena arena = Arena.ofConfined()) {
            byte[] there = NetGuest.frame(1500);
            assertThat(backend.send(0, frame(there, arena))).isEqualTo(Sent.TAKEN);
            assertThat(read(peer)).isEqualTo(there);
            byte[] back = NetGuest.frame(65_534);
            write(peer, NetGuest.frame(60));
            write(peer, back);
            watched.ready(READY);
            assertThat(received).containsExactly(NetGuest.frame(60), back);
        }
    }

    @Test
    void sendsFromMemoryOfTheHeapToo() throws IOException {
        try (SocketChannel peer = start()) {
            byte[] bytes = NetGuest.frame(1500);
            var frame = new Frame();
            frame.add(MemorySegment.ofArray(bytes), 0, bytes.length);
            assertThat(backend.send(0, frame)).isEqualTo(Sent.TAKEN);
            assertThat(read(peer)).isEqualTo(bytes);
        }
    }

    @Test
    void sendsTheRestOfAFrameWhenThePeerHasRead() throws IOException {
        try (SocketChannel peer = start();
                Arena arena = Arena.ofConfined()) {
            List<byte[]> sent = new ArrayList<>();
            byte[] bytes = NetGuest.frame(60_001);
            Frame frame = frame(bytes, arena);
            while (backend.send(0, frame) == Sent.TAKEN) {
                sent.add(bytes);
            }
            assertThat(sent).isNotEmpty();
            watched.ready(EventSource.WRITABLE);
            assertThat(writable).isZero();
            int read = 0;
            for (; writable == 0; read++) {
                assertThat(read(peer)).isEqualTo(bytes);
                watched.ready(EventSource.WRITABLE);
            }
            assertThat(backend.send(0, frame)).isEqualTo(Sent.TAKEN);
            for (; read <= sent.size(); read++) {
                assertThat(read(peer)).isEqualTo(bytes);
                watched.ready(EventSource.WRITABLE);
            }
        }
    }

    @Test
    void linkGoesDownWhenThePeerIsGone() throws IOException {
        SocketChannel peer = start();
        assertThat(backend.link()).isEqualTo(LinkState.UP);
        write(peer, NetGuest.frame(60));
        peer.close();
        watched.ready(READY | EventSource.HANG_UP);
        // What had come before is there.
        assertThat(received).hasSize(1);
        assertThat(links).containsExactly(LinkState.DOWN);
        try (Arena arena = Arena.ofConfined()) {
            assertThat(backend.send(0, frame(NetGuest.frame(60), arena))).isEqualTo(Sent.DROPPED);
        }
        assertThat(loop.timers()).isZero();
    }

    @Test
    void sendingToAPeerThatIsGoneRaisesNoSignal() throws IOException {
        start().close();
        try (Arena arena = Arena.ofConfined()) {
            assertThat(backend.send(0, frame(NetGuest.frame(60), arena))).isEqualTo(Sent.DROPPED);
        }
        assertThat(links).containsExactly(LinkState.DOWN);
    }

    @Test
    void endsAConnectionThatMakesNoSense() throws IOException {
        try (SocketChannel peer = start()) {
            peer.write(ByteBuffer.allocate(4).putInt(Integer.MAX_VALUE).flip());
            watched.ready(READY);
            assertThat(links).containsExactly(LinkState.DOWN);
            assertThat(peer.read(ByteBuffer.allocate(1))).isEqualTo(-1);
        }
    }

    @Test
    void connectsAgainAfterAPauseIfAskedTo() throws IOException {
        var opened = StreamBackend.connectAgain(address, Duration.ofSeconds(1));
        backend = opened;
        SocketChannel first = server.accept();
        opened.start(watched, this);
        first.close();
        watched.ready(READY | EventSource.HANG_UP);
        assertThat(links).containsExactly(LinkState.DOWN);
        loop.advance(Duration.ofMillis(999));
        assertThat(links).hasSize(1);
        loop.advance(Duration.ofMillis(1));
        assertThat(links).containsExactly(LinkState.DOWN, LinkState.UP);
        try (SocketChannel second = server.accept()) {
            write(second, NetGuest.frame(60));
            watched.ready(READY);
            assertThat(received).containsExactly(NetGuest.frame(60));
        }
    }

    @Test
    void waitsForAPeerThatIsNotThereYet() throws IOException {
        server.close();
        Files.delete(folder.resolve("socket"));
        var opened = StreamBackend.connectAgain(address, Duration.ofSeconds(1));
        backend = opened;
        assertThat(opened.link()).isEqualTo(LinkState.DOWN);
        opened.start(watched, this);
        loop.advance(Duration.ofSeconds(3));
        assertThat(links).isEmpty();
        server = ServerSocketChannel.open(StandardProtocolFamily.UNIX).bind(address);
        loop.advance(Duration.ofSeconds(1));
        assertThat(links).containsExactly(LinkState.UP);
    }

    @Test
    void connectsOverTcp() throws IOException {
        try (var listener =
                ServerSocketChannel.open().bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0))) {
            var opened = StreamBackend.connect(listener.getLocalAddress());
            backend = opened;
            try (SocketChannel peer = listener.accept()) {
                opened.start(watched, this);
                watched.ready(EventSource.WRITABLE);
                assertThat(opened.link()).isEqualTo(LinkState.UP);
                write(peer, NetGuest.frame(60));
                // The bytes have come when the peer's own read of the answer returns.
                try (Arena arena = Arena.ofConfined()) {
                    opened.send(0, frame(NetGuest.frame(61), arena));
                }
                assertThat(read(peer)).hasSize(61);
                while (received.isEmpty()) {
                    watched.ready(READY);
                }
                assertThat(received).containsExactly(NetGuest.frame(60));
            }
        }
    }

    @Test
    void saysWhatToDoWhenNobodyIsThere() throws IOException {
        server.close();
        assertThatThrownBy(() -> StreamBackend.connect(address))
                .isInstanceOf(HypervisorException.class)
                .hasMessageContaining("ECONNREFUSED")
                .hasMessageContaining("start the program");
        var missing = UnixDomainSocketAddress.of(folder.resolve("missing"));
        assertThatThrownBy(() -> StreamBackend.connect(missing)).hasMessageContaining("passt --socket");
        var tooLong = UnixDomainSocketAddress.of("/" + "x".repeat(108));
        assertThatThrownBy(() -> StreamBackend.connect(tooLong))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("1 to 107");
        var unresolved = InetSocketAddress.createUnresolved("nowhere.invalid", 1);
        assertThatThrownBy(() -> StreamBackend.connect(unresolved)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> StreamBackend.connectAgain(address, Duration.ZERO))
                .hasMessageContaining("more than zero");
    }

    @Test
    void refusesNamesThatNoInterfaceHas() {
        assertThatThrownBy(() -> TapBackend.open("")).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> TapBackend.open("sixteen-bytes-is")).hasMessageContaining("1 to 15 bytes");
        assertThatThrownBy(() -> TapBackend.open("a/b")).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> TapBackend.open("tap0", 65)).hasMessageContaining("1 to 64");
    }
}
