package io.github.jkvm.virtio.vsock;

import static io.github.jkvm.virtio.vsock.VsockDriver.REQUEST;
import static io.github.jkvm.virtio.vsock.VsockDriver.RESPONSE;
import static io.github.jkvm.virtio.vsock.VsockDriver.RST;
import static io.github.jkvm.virtio.vsock.VsockDriver.RW;
import static io.github.jkvm.virtio.vsock.VsockDriver.SHUTDOWN;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.github.jkvm.virtio.queue.RingFormat;
import io.github.jkvm.virtio.vsock.VsockDriver.Packet;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
final class VsockUnixSocketsTest {
    @TempDir
    Path folder;

    private final VsockDevice device =
            VsockDevice.builder("vsock0", VsockDriver.CID).bufferSize(8192).build();
    private VsockDriver driver;
    private VsockUnixSockets sockets;

    @BeforeEach
    void open() throws IOException {
        driver = VsockDriver.start(device, RingFormat.SPLIT);
        driver.give(16);
        sockets = device.unixSockets(folder.resolve("v.sock"));
    }

    @AfterEach
    void close() {
        driver.guest.close();
    }

    private SocketChannel client(String command) throws IOException {
        SocketChannel client = SocketChannel.open(UnixDomainSocketAddress.of(sockets.path()));
        client.write(ByteBuffer.wrap(command.getBytes(StandardCharsets.US_ASCII)));
        return client;
    }

    private static String read(SocketChannel client, int length) throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate(length);
        while (bytes.hasRemaining() && client.read(bytes) >= 0) {
            // until there is no more
        }
        return new String(bytes.array(), 0, bytes.position(), StandardCharsets.US_ASCII);
    }

    @Test
    void connectsAHostProgramToTheGuest() throws Exception {
        try (SocketChannel client = client("CONNECT 52\nearly")) {
            Packet request = driver.await(REQUEST);
            assertThat(request.guestPort()).isEqualTo(52);
            driver.send(RESPONSE, request.hostPort(), 52);
            String ok = "OK " + request.hostPort() + "\n";
            assertThat(read(client, ok.length())).isEqualTo(ok);

            assertThat(driver.await(RW).text()).isEqualTo("early");
            driver.send(RW, request.hostPort(), 52, 0, "answer");
            assertThat(read(client, 6)).isEqualTo("answer");
            driver.send(SHUTDOWN, request.hostPort(), 52, 2, "");
            assertThat(read(client, 1)).isEmpty();
            client.write(ByteBuffer.wrap(new byte[] {'x'}));
            assertThat(driver.await(RW).text()).isEqualTo("x");
            client.shutdownOutput();
            // The end of one direction may be told before that of both.
            driver.guest
                    .loop()
                    .runUntil(() -> driver.packets().stream()
                            .anyMatch(packet -> packet.operation() == SHUTDOWN && packet.flags() == 3));
            driver.send(RST, request.hostPort(), 52);
            assertThat(device.budget().used()).isZero();
        }
    }

    @Test
    void connectsTheGuestToAHostProgram() throws Exception {
        try (ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
            server.bind(UnixDomainSocketAddress.of(folder.resolve("v.sock_1234")));
            driver.send(REQUEST, 1234, 9);
            try (SocketChannel accepted = server.accept()) {
                driver.await(RESPONSE);
                accepted.write(ByteBuffer.wrap("hello".getBytes(StandardCharsets.US_ASCII)));
                assertThat(driver.await(RW).text()).isEqualTo("hello");
                driver.send(RW, 1234, 9, 0, "guest");
                assertThat(read(accepted, 5)).isEqualTo("guest");
            }
            assertThat(driver.await(SHUTDOWN).flags()).isNotZero();
        }
    }

    @Test
    void carriesMoreThanTheBuffersHold() throws Exception {
        try (SocketChannel client = client("CONNECT 52\n")) {
            Packet request = driver.await(REQUEST);
            driver.send(RESPONSE, request.hostPort(), 52);
            read(client, ("OK " + request.hostPort() + "\n").length());
            String text = "0123456789abcdef".repeat(4096);
            Thread writer = Thread.ofPlatform().start(() -> {
                try {
                    client.write(ByteBuffer.wrap(text.getBytes(StandardCharsets.US_ASCII)));
                } catch (IOException e) {
                    throw new IllegalStateException(e);
                }
            });
            var seen = new StringBuilder();
            driver.guest.loop().runUntil(() -> {
                for (Packet packet : driver.packets()) {
                    seen.append(packet.text());
                }
                driver.forwarded = seen.length();
                driver.send(VsockDriver.CREDIT_UPDATE, request.hostPort(), 52);
                return seen.length() >= text.length();
            });
            writer.join();
            assertThat(seen.toString()).isEqualTo(text);
        }
    }

    @Test
    void refusesWhatDoesNotFollowTheConvention() throws Exception {
        for (String wrong : new String[] {
            "HELLO 1\n", "CONNECT\n", "CONNECT 4294967295\n", "CONNECT -1\n", "x".repeat(100), "CONNECT 99999999999\n"
        }) {
            try (SocketChannel client = client(wrong)) {
                assertThat(readOrReset(client)).isEmpty();
            }
        }
        assertThat(driver.packets()).isEmpty();
    }

    private static String readOrReset(SocketChannel client) {
        try {
            return read(client, 1);
        } catch (IOException reset) {
            // Closed with bytes in it that no one has read.
            return "";
        }
    }

    @Test
    void endsWhenTheGuestRefusesOrNoHostProgramListens() throws Exception {
        try (SocketChannel client = client("CONNECT 52\n")) {
            Packet request = driver.await(REQUEST);
            driver.send(RST, request.hostPort(), 52);
            assertThat(read(client, 1)).isEmpty();
        }
        driver.send(REQUEST, 77, 9);
        assertThat(driver.await(RST).hostPort()).isEqualTo(77);
        driver.guest.loop().runUntil(() -> device.budget().used() == 0);
    }

    @Test
    void removesTheSocketInTheEnd() throws Exception {
        assertThatIllegalStateException().isThrownBy(() -> device.unixSockets(folder.resolve("other")));
        try (SocketChannel client = client("CONNECT 52\n")) {
            driver.await(REQUEST);
            sockets.close();
            assertThat(readOrReset(client)).isEmpty();
        }
        assertThat(Files.exists(sockets.path())).isFalse();
        device.unixSockets(folder.resolve("other")).close();
    }
}
