package io.github.jkvm.virtio.vsock;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.virtio.queue.RingFormat;
import io.github.jkvm.virtio.vsock.VsockDriver.Packet;
import java.io.IOException;
import java.net.BindException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;

final class VsockDevicePropertyTest {
    private static final int PORT = 5000;
    private static final int BUFFER = 4096;

    /** What one connection has carried, and the guest's account of its room. */
    private static final class Peer {
        private final int port;
        private final VsockChannel channel;
        private final StringBuilder fromGuest = new StringBuilder();
        private final StringBuilder seenByHost = new StringBuilder();
        private final StringBuilder fromHost = new StringBuilder();
        private final StringBuilder seenByGuest = new StringBuilder();
        private int hostForwarded;

        Peer(int port, VsockChannel channel) {
            this.port = port;
            this.channel = channel;
        }
    }

    @Property(tries = 60)
    void everyConnectionCarriesItsOwnBytesInOrder(
            @ForAll RingFormat format, @ForAll @IntRange(min = 1, max = 20) int count, @ForAll long seed)
            throws Exception {
        var random = new Random(seed);
        VsockDevice device = VsockDevice.builder("vsock0", VsockDriver.CID)
                .bufferSize(BUFFER)
                .build();
        VsockDriver driver = VsockDriver.start(device, format);
        driver.give(8);
        VsockListener listener = device.listen(PORT);
        List<Peer> peers = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            driver.send(VsockDriver.REQUEST, PORT, i);
            peers.add(new Peer(i, listener.accept(Duration.ofSeconds(20))));
        }
        note(driver, peers);
        for (int step = 0; step < 100; step++) {
            Peer peer = peers.get(random.nextInt(count));
            switch (random.nextInt(3)) {
                case 0 -> guestSends(random, driver, peer);
                case 1 -> hostReads(peer, random.nextInt(3000) + 1);
                default -> hostWrites(random, peer);
            }
            note(driver, peers);
        }
        for (Peer peer : peers) {
            hostReads(peer, 2 * BUFFER);
            assertThat(peer.seenByHost.toString()).isEqualTo(peer.fromGuest.toString());
        }
        for (int i = 0; i < 50; i++) {
            note(driver, peers);
        }
        for (Peer peer : peers) {
            assertThat(peer.seenByGuest.toString()).isEqualTo(peer.fromHost.toString());
            peer.channel.close();
        }
        assertThat(device.counters()).containsEntry("badPackets", 0L);
    }

    private static void guestSends(Random random, VsockDriver driver, Peer peer) {
        int room = BUFFER - (peer.fromGuest.length() - peer.hostForwarded);
        if (room > 0) {
            String text = text(random, 1 + random.nextInt(room));
            peer.fromGuest.append(text);
            driver.forwarded = peer.seenByGuest.length();
            driver.send(VsockDriver.RW, PORT, peer.port, 0, text);
        }
    }

    private static void hostReads(Peer peer, int most) throws IOException {
        int waiting = peer.fromGuest.length() - peer.seenByHost.length();
        ByteBuffer bytes = ByteBuffer.allocate(Math.min(most, waiting));
        while (bytes.hasRemaining()) {
            peer.channel.read(bytes);
        }
        peer.seenByHost.append(new String(bytes.array(), StandardCharsets.US_ASCII));
    }

    private static void hostWrites(Random random, Peer peer) throws IOException {
        int room = BUFFER - (peer.fromHost.length() - peer.seenByGuest.length());
        if (room > 0) {
            String text = text(random, 1 + random.nextInt(room));
            peer.fromHost.append(text);
            peer.channel.write(ByteBuffer.wrap(text.getBytes(StandardCharsets.US_ASCII)));
        }
    }

    private static void note(VsockDriver driver, List<Peer> peers) {
        for (Packet packet : driver.packets()) {
            Peer peer = peers.get((int) packet.guestPort());
            peer.seenByGuest.append(packet.text());
            peer.hostForwarded = packet.forwarded();
        }
    }

    private static String text(Random random, int length) {
        var text = new StringBuilder();
        for (int i = 0; i < length; i++) {
            text.append((char) ('a' + random.nextInt(26)));
        }
        return text.toString();
    }

    @Property(tries = 400)
    void noDriverMakesItThrowHangOrKeepMoreThanItMay(@ForAll RingFormat format, @ForAll long seed) throws Exception {
        var random = new Random(seed);
        VsockDevice device = VsockDevice.builder("vsock0", VsockDriver.CID)
                .bufferSize(BUFFER)
                .maxConnections(4)
                .build();
        VsockDriver driver = VsockDriver.start(device, format);
        VsockListener listener = device.listen(PORT);
        Set<VsockChannel> open = new HashSet<>();
        for (int step = 0; step < 80; step++) {
            driver.guest.buffers().clear();
            switch (random.nextInt(8)) {
                case 0 -> scribble(random, driver);
                case 1 -> accept(listener, open);
                case 2 -> closeOne(open);
                case 3 -> driver.guest.queue(0).add(driver.guest.buffers().writable(random.nextInt(200)));
                default -> packet(random, driver);
            }
            driver.guest.kick(0);
            driver.guest.kick(1);
            assertThat(device.budget().used()).isBetween(0, 4);
            if (driver.guest.needsReset()
                    || driver.guest.queue(0).freeDescriptors() < 2
                    || driver.guest.queue(1).freeDescriptors() < 3) {
                driver.guest.start(driver.guest.offered());
            }
        }
        driver.guest.start(driver.guest.offered());
        accept(listener, open);
        for (VsockChannel channel : open) {
            channel.close();
        }
        listener.close();
        driver.guest.run();
        assertThat(device.budget().used()).isZero();
    }

    private static void accept(VsockListener listener, Set<VsockChannel> open) throws IOException {
        try {
            while (true) {
                open.add(listener.accept(Duration.ZERO));
            }
        } catch (java.net.SocketTimeoutException none) {
            // All are accepted.
            return;
        }
    }

    private static void closeOne(Set<VsockChannel> open) throws IOException {
        for (VsockChannel channel : Set.copyOf(open)) {
            channel.close();
            open.remove(channel);
            return;
        }
    }

    private static void packet(Random random, VsockDriver driver) {
        var payload = new byte[random.nextInt(4) == 0 ? random.nextInt(5000) : random.nextInt(20)];
        byte[] header = VsockDriver.header(
                random.nextInt(20) == 0 ? random.nextLong() : VsockDriver.CID,
                random.nextInt(20) == 0 ? random.nextLong() : 2,
                random.nextInt(10) == 0 ? random.nextInt() : PORT,
                random.nextInt(6),
                random.nextInt(20) == 0 ? random.nextInt(3) : 1,
                random.nextInt(3) == 0 ? VsockDriver.REQUEST : random.nextInt(9),
                random.nextInt(5),
                random.nextInt(10) == 0 ? random.nextInt() : payload.length,
                random.nextBoolean() ? random.nextInt() : 65536,
                random.nextBoolean() ? random.nextInt() : 0);
        int size = random.nextInt(20) == 0 ? random.nextInt(header.length) : header.length;
        if (size > 0) {
            driver.guest
                    .queue(1)
                    .add(
                            driver.guest.buffers().readable(java.util.Arrays.copyOf(header, size)),
                            driver.guest.buffers().readable(payload));
        }
    }

    private static void scribble(Random random, VsockDriver driver) {
        for (int i = 0; i < 10; i++) {
            long address = 0x1_0000L * (1 + random.nextInt(3)) + random.nextInt(0x4000);
            driver.guest.memory().writeByte(address, (byte) random.nextInt());
        }
    }

    @Property(tries = 200)
    void theTableFindsWhatIsInItAndNothingElse(@ForAll long seed) throws BindException {
        var random = new Random(seed);
        VsockDevice device = VsockDevice.builder("vsock0", VsockDriver.CID).build();
        var table = new ConnectionTable(16);
        List<Connection> in = new ArrayList<>();
        for (int step = 0; step < 200; step++) {
            if (in.size() < 16 && random.nextBoolean()) {
                var connection = new Connection(device, random.nextInt(3), step, BUFFER, Connection.State.ESTABLISHED);
                table.add(connection);
                in.add(connection);
            } else if (!in.isEmpty()) {
                Connection out = in.remove(random.nextInt(in.size()));
                assertThat(table.remove(out)).isTrue();
                assertThat(table.remove(out)).isFalse();
                assertThat(table.find(out.hostPort(), out.guestPort())).isNull();
            }
            assertThat(table.count()).isEqualTo(in.size());
            for (Connection each : in) {
                assertThat(table.find(each.hostPort(), each.guestPort())).isSameAs(each);
            }
        }
    }
}
