package io.github.jkvm.virtio.vsock;

import static io.github.jkvm.virtio.vsock.VsockDriver.CREDIT_REQUEST;
import static io.github.jkvm.virtio.vsock.VsockDriver.CREDIT_UPDATE;
import static io.github.jkvm.virtio.vsock.VsockDriver.REQUEST;
import static io.github.jkvm.virtio.vsock.VsockDriver.RESPONSE;
import static io.github.jkvm.virtio.vsock.VsockDriver.RST;
import static io.github.jkvm.virtio.vsock.VsockDriver.RW;
import static io.github.jkvm.virtio.vsock.VsockDriver.SHUTDOWN;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.tuple;

import io.github.jkvm.DeviceState;
import io.github.jkvm.testkit.virtio.Buffer;
import io.github.jkvm.testkit.virtio.Used;
import io.github.jkvm.virtio.queue.RingFormat;
import io.github.jkvm.virtio.vsock.VsockDriver.Packet;
import java.io.IOException;
import java.net.BindException;
import java.net.ConnectException;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.ClosedChannelException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.EnumSource;

@ParameterizedClass
@EnumSource(RingFormat.class)
final class VsockDeviceTest {
    private static final Duration PATIENCE = Duration.ofSeconds(20);
    private static final int PORT = 5000;
    private static final int GUEST_PORT = 700;

    @Parameter
    RingFormat format;

    private static VsockDevice device() {
        return VsockDevice.builder("vsock0", VsockDriver.CID).bufferSize(8192).build();
    }

    private static <T> FutureTask<T> async(Callable<T> code) {
        var task = new FutureTask<>(code);
        Thread.ofPlatform().daemon().start(task);
        return task;
    }

    private static <T> T get(FutureTask<T> task, VsockDriver driver) throws Exception {
        driver.guest.loop().runUntil(task::isDone);
        return task.get();
    }

    private static String read(VsockChannel channel, int length) throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate(length);
        channel.setTimeout(PATIENCE);
        while (bytes.hasRemaining() && channel.read(bytes) >= 0) {
            // until there is no more
        }
        return new String(bytes.array(), 0, bytes.position(), StandardCharsets.ISO_8859_1);
    }

    private static ByteBuffer bytes(String text) {
        return ByteBuffer.wrap(text.getBytes(StandardCharsets.ISO_8859_1));
    }

    /** A connection that the guest has made. */
    private static VsockChannel accepted(VsockDevice device, VsockDriver driver) throws IOException {
        VsockListener listener = device.listen(PORT);
        driver.send(REQUEST, PORT, GUEST_PORT);
        assertThat(driver.packets()).singleElement().matches(packet -> packet.operation() == RESPONSE);
        return listener.accept(PATIENCE);
    }

    /** A connection that the program has made. */
    private static VsockChannel connected(VsockDevice device, VsockDriver driver) throws Exception {
        FutureTask<VsockChannel> connecting = async(() -> device.connect(22, PATIENCE));
        driver.send(RESPONSE, driver.await(REQUEST).hostPort(), 22);
        return get(connecting, driver);
    }

    @Test
    void tellsTheGuestItsAddress() {
        VsockDevice device = device();
        VsockDriver driver = VsockDriver.start(device, format);
        // Virtio 1.2, 5.10.1: id 19; 5.10.3: VIRTIO_VSOCK_F_STREAM is bit 0; 5.10.4: le64 guest_cid.
        assertThat(device.deviceId()).isEqualTo(19);
        assertThat(driver.guest.offered() & 7).isEqualTo(1);
        assertThat(driver.guest.config(0, 8)).isEqualTo(3);
        assertThatIllegalArgumentException().isThrownBy(() -> VsockDevice.builder("v", 2));
    }

    @Test
    void takesAConnectionOfTheGuest() throws Exception {
        VsockDevice device = device();
        VsockDriver driver = VsockDriver.start(device, format);
        driver.give(8);
        VsockChannel channel = accepted(device, driver);
        assertThat(channel.hostPort()).isEqualTo(PORT);
        assertThat(channel.guestPort()).isEqualTo(GUEST_PORT);

        driver.send(RW, PORT, GUEST_PORT, 0, "hello");
        assertThat(read(channel, 5)).isEqualTo("hello");
        channel.write(bytes("welcome"));
        Packet answer = driver.await(RW);
        assertThat(answer.text()).isEqualTo("welcome");
        assertThat(answer.bufferSize()).isEqualTo(8192);
        assertThat(answer.forwarded()).isEqualTo(5);
        assertThat(device.counters())
                .containsEntry("connections", 1L)
                .containsEntry("bytesFromGuest", 5L)
                .containsEntry("bytesToGuest", 7L);
    }

    @Test
    void connectsToTheGuest() throws Exception {
        VsockDevice device = device();
        VsockDriver driver = VsockDriver.start(device, format);
        driver.give(8);
        FutureTask<VsockChannel> connecting = async(() -> device.connect(22, PATIENCE));
        Packet request = driver.await(REQUEST);
        assertThat(request.guestPort()).isEqualTo(22);
        assertThat(request.type()).isEqualTo(1);
        driver.send(RESPONSE, request.hostPort(), 22);
        VsockChannel channel = get(connecting, driver);
        driver.send(RW, request.hostPort(), 22, 0, "SSH");
        assertThat(read(channel, 3)).isEqualTo("SSH");
    }

    @Test
    void connectsToAGuestWhoseDriverIsNotReadyYet() throws Exception {
        VsockDevice device = device();
        assertThatIllegalStateException().isThrownBy(() -> device.connect(22, PATIENCE));
        VsockDriver driver = VsockDriver.start(device, format);
        driver.guest.mmio().setRegister(0x070, 0);
        FutureTask<VsockChannel> connecting = async(() -> device.connect(22, PATIENCE));
        driver.guest.loop().runUntil(() -> device.budget().used() == 1);
        driver.guest.run();
        driver.guest.start(driver.guest.offered());
        driver.give(2);
        Packet request = driver.await(REQUEST);
        driver.send(RESPONSE, request.hostPort(), 22);
        assertThat(get(connecting, driver).guestPort()).isEqualTo(22);
    }

    @Test
    void failsToConnectWhereNothingListens() {
        VsockDevice device = device();
        VsockDriver driver = VsockDriver.start(device, format);
        driver.give(8);
        FutureTask<VsockChannel> connecting = async(() -> device.connect(22, PATIENCE));
        Packet request = driver.await(REQUEST);
        driver.send(RST, request.hostPort(), 22);
        assertThatExceptionOfType(ExecutionException.class)
                .isThrownBy(() -> get(connecting, driver))
                .withCauseInstanceOf(ConnectException.class)
                .withMessageContaining("no connection to port 22 of the guest: connection refused");
        assertThat(device.budget().used()).isZero();
    }

    @Test
    void givesUpAConnectionThatTheGuestDoesNotAnswer() {
        VsockDevice device = device();
        VsockDriver driver = VsockDriver.start(device, format);
        driver.give(8);
        FutureTask<VsockChannel> connecting = async(() -> device.connect(22, Duration.ofMillis(50)));
        Packet request = driver.await(REQUEST);
        assertThatExceptionOfType(ExecutionException.class)
                .isThrownBy(() -> get(connecting, driver))
                .withCauseInstanceOf(SocketTimeoutException.class);
        assertThat(driver.await(RST).hostPort()).isEqualTo(request.hostPort());
        driver.send(RESPONSE, request.hostPort(), 22);
        assertThat(driver.await(RST).hostPort()).isEqualTo(request.hostPort());
        assertThat(device.budget().used()).isZero();
    }

    @Test
    void refusesAConnectionToAPortWithoutAListener() {
        VsockDevice device = device();
        VsockDriver driver = VsockDriver.start(device, format);
        driver.give(8);
        driver.send(REQUEST, PORT, GUEST_PORT);
        // Virtio 1.2, 5.10.6.5: a REQUEST that can't be served is answered with RST.
        assertThat(driver.packets()).containsExactly(new Packet(RST, PORT, GUEST_PORT, 1, 0, 0, 0, ""));
        assertThat(device.counters()).containsEntry("refused", 1L);
    }

    @Test
    void answersStrayPacketsWithAResetButNotAReset() {
        VsockDriver driver = VsockDriver.start(device(), format);
        driver.give(8);
        driver.send(RW, PORT, GUEST_PORT, 0, "stray");
        driver.send(RST, PORT, GUEST_PORT);
        driver.send(CREDIT_UPDATE, PORT, 1);
        assertThat(driver.packets()).extracting(Packet::operation).containsExactly(RST, RST);
    }

    @Test
    void refusesOtherTypesOfSockets() {
        VsockDriver driver = VsockDriver.start(device(), format);
        driver.give(8);
        // Virtio 1.2, 5.10.6.4.1: the device replies VIRTIO_VSOCK_OP_RST to packets of an unknown type.
        driver.sendRaw(VsockDriver.header(3, 2, PORT, 1, 2, REQUEST, 0, 0, 0, 0));
        assertThat(driver.packets()).containsExactly(new Packet(RST, PORT, 1, 2, 0, 0, 0, ""));
    }

    @Test
    void dropsPacketsOfOtherAddresses() {
        VsockDevice device = device();
        VsockDriver driver = VsockDriver.start(device, format);
        driver.give(8);
        driver.sendRaw(VsockDriver.header(4, 2, PORT, 1, 1, REQUEST, 0, 0, 0, 0));
        driver.sendRaw(VsockDriver.header(3, 1, PORT, 1, 1, REQUEST, 0, 0, 0, 0));
        driver.sendRaw(new byte[43]);
        assertThat(driver.packets()).isEmpty();
        assertThat(device.counters()).containsEntry("badPackets", 3L);
    }

    @Test
    void resetsAConnectionWhosePacketsAreLongerThanTheirBuffers() throws Exception {
        VsockDevice device = device();
        VsockDriver driver = VsockDriver.start(device, format);
        driver.give(8);
        VsockChannel channel = accepted(device, driver);
        driver.sendRaw(VsockDriver.header(3, 2, PORT, GUEST_PORT, 1, RW, 0, 10, 65536, 0), new byte[9]);
        assertThat(driver.packets()).extracting(Packet::operation).containsExactly(RST);
        assertThat(read(channel, 1)).isEmpty();
    }

    @Test
    void takesALengthForUnsigned() throws Exception {
        VsockDevice device = device();
        VsockDriver driver = VsockDriver.start(device, format);
        driver.give(8);
        accepted(device, driver);
        driver.sendRaw(VsockDriver.header(3, 2, PORT, GUEST_PORT, 1, RW, 0, -1, 65536, 0), new byte[9]);
        assertThat(driver.packets()).extracting(Packet::operation).containsExactly(RST);
        assertThat(device.counters()).containsEntry("badPackets", 1L);
    }

    @Test
    void tellsTheGuestOfRoomAsTheProgramReads() throws Exception {
        VsockDevice device = device();
        VsockDriver driver = VsockDriver.start(device, format);
        driver.give(8);
        VsockChannel channel = accepted(device, driver);
        driver.send(RW, PORT, GUEST_PORT, 0, "x".repeat(8192));
        assertThat(driver.packets()).isEmpty();
        assertThat(read(channel, 2047)).hasSize(2047);
        assertThat(driver.packets()).isEmpty();
        assertThat(read(channel, 1)).hasSize(1);
        assertThat(driver.packets()).containsExactly(new Packet(CREDIT_UPDATE, PORT, GUEST_PORT, 1, 0, 8192, 2048, ""));
        driver.send(CREDIT_REQUEST, PORT, GUEST_PORT);
        assertThat(driver.packets()).extracting(Packet::operation).containsExactly(CREDIT_UPDATE);
    }

    @Test
    void resetsAConnectionThatSendsMoreThanThereIsRoomFor() throws Exception {
        VsockDevice device = device();
        VsockDriver driver = VsockDriver.start(device, format);
        driver.give(8);
        VsockChannel channel = accepted(device, driver);
        driver.send(RW, PORT, GUEST_PORT, 0, "x".repeat(8192));
        driver.send(RW, PORT, GUEST_PORT, 0, "y");
        assertThat(driver.packets()).extracting(Packet::operation).containsExactly(RST);
        assertThat(read(channel, 10_000)).isEqualTo("x".repeat(8192));
    }

    @Test
    void sendsNoMoreThanTheGuestHasRoomFor() throws Exception {
        VsockDevice device = device();
        VsockDriver driver = VsockDriver.start(device, format);
        driver.give(8);
        driver.bufferSize = 10;
        VsockChannel channel = accepted(device, driver);
        channel.write(bytes("0123456789abcdef"));
        List<Packet> packets = driver.packets();
        assertThat(packets).extracting(Packet::operation).containsExactly(RW, CREDIT_REQUEST);
        assertThat(packets.getFirst().text()).isEqualTo("0123456789");
        assertThat(driver.packets()).isEmpty();
        driver.forwarded = 10;
        driver.send(CREDIT_UPDATE, PORT, GUEST_PORT);
        assertThat(driver.packets()).extracting(Packet::text).containsExactly("abcdef");
    }

    @Test
    void believesNoGuestThatHasTakenMoreThanItWasSent() throws Exception {
        VsockDevice device = device();
        VsockDriver driver = VsockDriver.start(device, format);
        driver.give(8);
        VsockChannel channel = accepted(device, driver);
        driver.forwarded = 1000;
        driver.send(CREDIT_UPDATE, PORT, GUEST_PORT);
        channel.write(bytes("x"));
        assertThat(driver.packets()).extracting(Packet::operation).containsExactly(CREDIT_REQUEST);
    }

    @Test
    void holdsTheProgramBackWhileTheGuestDoesNotTakeAnything() throws Exception {
        VsockDevice device = device();
        VsockDriver driver = VsockDriver.start(device, format);
        driver.give(8);
        driver.bufferSize = 0;
        VsockChannel channel = accepted(device, driver);
        channel.setTimeout(Duration.ofMillis(20));
        ByteBuffer much = ByteBuffer.allocate(9000);
        assertThatExceptionOfType(SocketTimeoutException.class).isThrownBy(() -> channel.write(much));
        assertThat(much.position()).isEqualTo(8192);
        ByteBuffer none = ByteBuffer.allocate(1);
        assertThatExceptionOfType(SocketTimeoutException.class).isThrownBy(() -> channel.read(none));
    }

    @Test
    void keepsADirectionWhenTheOtherOneIsEnded() throws Exception {
        VsockDevice device = device();
        VsockDriver driver = VsockDriver.start(device, format);
        driver.give(8);
        VsockChannel channel = accepted(device, driver);
        channel.write(bytes("last"));
        channel.shutdownOutput();
        List<Packet> packets = driver.packets();
        assertThat(packets).extracting(Packet::operation).containsExactly(RW, SHUTDOWN);
        // Virtio 1.2, 5.10.6.5: bit 1 says that no more will be sent.
        assertThat(packets.getLast().flags()).isEqualTo(2);
        assertThatExceptionOfType(ClosedChannelException.class).isThrownBy(() -> channel.write(bytes("x")));
        driver.send(RW, PORT, GUEST_PORT, 0, "answer");
        driver.send(SHUTDOWN, PORT, GUEST_PORT, 2, "");
        assertThat(read(channel, 100)).isEqualTo("answer");
    }

    @Test
    void endsAConnectionThatTheGuestHasClosed() throws Exception {
        VsockDevice device = device();
        VsockDriver driver = VsockDriver.start(device, format);
        driver.give(8);
        VsockChannel channel = accepted(device, driver);
        driver.send(RW, PORT, GUEST_PORT, 0, "bye");
        driver.send(SHUTDOWN, PORT, GUEST_PORT, 3, "");
        assertThat(driver.packets()).extracting(Packet::operation).containsExactly(RST);
        assertThat(read(channel, 100)).isEqualTo("bye");
        assertThatExceptionOfType(IOException.class).isThrownBy(() -> channel.write(bytes("x")));
        channel.close();
        assertThat(device.budget().used()).isZero();
    }

    @Test
    void closesAConnectionInGoodOrder() throws Exception {
        VsockDevice device = device();
        VsockDriver driver = VsockDriver.start(device, format);
        driver.give(8);
        VsockChannel channel = accepted(device, driver);
        channel.write(bytes("last"));
        channel.close();
        List<Packet> packets = driver.packets();
        assertThat(packets.getFirst().text()).isEqualTo("last");
        assertThat(packets.getLast().operation()).isEqualTo(SHUTDOWN);
        assertThat(packets.getLast().flags()).isEqualTo(3);
        driver.send(RST, PORT, GUEST_PORT);
        assertThat(driver.packets()).isEmpty();
        assertThat(driver.guest.loop().timers()).isZero();
        assertThat(device.budget().used()).isZero();
        assertThatExceptionOfType(ClosedChannelException.class).isThrownBy(() -> read(channel, 1));
    }

    @Test
    void resetsAConnectionThatTheGuestDoesNotClose() throws Exception {
        VsockDevice device = VsockDevice.builder("vsock0", VsockDriver.CID)
                .linger(Duration.ofSeconds(3))
                .build();
        VsockDriver driver = VsockDriver.start(device, format);
        driver.give(8);
        driver.bufferSize = 0;
        VsockChannel channel = accepted(device, driver);
        channel.write(bytes("never taken"));
        channel.close();
        driver.guest.loop().advance(Duration.ofMillis(2900));
        assertThat(driver.packets()).extracting(Packet::operation).doesNotContain(RST);
        driver.guest.loop().advance(Duration.ofMillis(200));
        assertThat(driver.packets()).extracting(Packet::operation).containsExactly(RST);
        assertThat(device.budget().used()).isZero();
    }

    @Test
    void wakesAReaderWhoseChannelIsClosed() throws Exception {
        VsockDevice device = device();
        VsockDriver driver = VsockDriver.start(device, format);
        driver.give(8);
        VsockChannel channel = accepted(device, driver);
        FutureTask<Integer> reading = async(() -> channel.read(ByteBuffer.allocate(1)));
        channel.close();
        assertThatExceptionOfType(ExecutionException.class)
                .isThrownBy(() -> reading.get(20, TimeUnit.SECONDS))
                .withCauseInstanceOf(ClosedChannelException.class);
    }

    @Test
    void wakesAReaderThatIsInterruptedAtWhateverPointAndClosesItsChannel() throws Exception {
        VsockDevice device = device();
        VsockDriver driver = VsockDriver.start(device, format);
        driver.give(8);
        VsockListener listener = device.listen(PORT);
        for (int port = 1; port <= 200; port++) {
            driver.send(REQUEST, PORT, port);
            VsockChannel channel = listener.accept(PATIENCE);
            var task = new FutureTask<>(() -> channel.read(ByteBuffer.allocate(1)));
            Thread reader = Thread.ofPlatform().daemon().start(task);
            if (port % 2 == 0) {
                while (reader.getState() != Thread.State.WAITING) {
                    Thread.onSpinWait();
                }
            }
            reader.interrupt();
            // java.nio.channels.InterruptibleChannel: "the channel will be closed, the blocked thread will receive a
            // ClosedByInterruptException".
            assertThatExceptionOfType(ExecutionException.class)
                    .isThrownBy(() -> task.get(20, TimeUnit.SECONDS))
                    .withCauseInstanceOf(ClosedByInterruptException.class);
            assertThat(channel.isOpen()).isFalse();
            driver.send(RST, PORT, port);
            driver.guest.run();
        }
    }

    @Test
    void refusesMoreConnectionsThanItMayHave() throws Exception {
        VsockDevice device =
                VsockDevice.builder("vsock0", VsockDriver.CID).maxConnections(2).build();
        VsockDriver driver = VsockDriver.start(device, format);
        driver.give(8);
        VsockListener listener = device.listen(PORT);
        for (int i = 0; i < 3; i++) {
            driver.send(REQUEST, PORT, i);
        }
        assertThat(driver.packets()).extracting(Packet::operation).containsExactlyInAnyOrder(RESPONSE, RESPONSE, RST);
        assertThatExceptionOfType(SocketException.class)
                .isThrownBy(() -> device.connect(1, PATIENCE))
                .withMessageContaining("has 2 connections, which is its limit");
        listener.close();
        assertThat(driver.packets()).extracting(Packet::operation).containsExactly(SHUTDOWN, SHUTDOWN);
        driver.send(RST, PORT, 0);
        driver.send(RST, PORT, 1);
        assertThat(device.budget().used()).isZero();
        device.listen(PORT);
        assertThatExceptionOfType(BindException.class).isThrownBy(() -> device.listen(PORT));
    }

    @Test
    void keepsOnlySoManyResetsForAGuestThatGivesNoBuffers() {
        VsockDevice device = device();
        VsockDriver driver = VsockDriver.start(device, format);
        byte[] stray = VsockDriver.header(3, 2, PORT, 1, 1, RW, 0, 0, 0, 0);
        for (int i = 0; i < 2100; i++) {
            driver.sendRaw(stray);
        }
        assertThat(device.counters()).containsEntry("resetsDropped", 2100L - 2048);
        driver.give(8);
        assertThat(driver.packets()).hasSize(8);
    }

    @Test
    void replacesAConnectionThatTheGuestHasForgotten() throws Exception {
        VsockDevice device = device();
        VsockDriver driver = VsockDriver.start(device, format);
        driver.give(8);
        VsockChannel channel = accepted(device, driver);
        driver.send(REQUEST, PORT, GUEST_PORT);
        assertThat(driver.packets()).extracting(Packet::operation).containsExactly(RST);
        assertThat(read(channel, 1)).isEmpty();
    }

    @Test
    void endsConnectionsWhenTheDriverResetsTheDevice() throws Exception {
        VsockDevice device = device();
        VsockDriver driver = VsockDriver.start(device, format);
        driver.give(8);
        VsockChannel channel = accepted(device, driver);
        driver.guest.start(driver.guest.offered());
        assertThat(read(channel, 1)).isEmpty();
        channel.close();
        assertThat(device.budget().used()).isZero();
    }

    @Test
    void tellsARestoredGuestWithAnotherAddressToDropItsConnections() throws Exception {
        VsockDevice device = device();
        VsockDriver driver = VsockDriver.start(device, format);
        driver.give(8);
        accepted(device, driver);
        Buffer event = driver.guest.buffers().writable(4);
        driver.guest.memory().writeInt(event.address(), -1);
        int head = driver.guest.queue(2).add(event);
        driver.guest.kick(2);
        assertThat(driver.guest.queue(2).takeUsed()).isEmpty();

        VsockDevice other = VsockDevice.builder("vsock0", 9).build();
        VsockDriver moved = driver.movedInto(other, driver.guest.save());
        // By the address that it still has.
        assertThat(moved.packets())
                .extracting(Packet::operation, Packet::hostPort, Packet::guestPort)
                .containsExactly(tuple(RST, (long) PORT, (long) GUEST_PORT));
        // Virtio 1.2, 5.10.6.7: after a migration the device sends VIRTIO_VSOCK_EVENT_TRANSPORT_RESET, and the driver
        // reads its CID again.
        Used used = moved.guest.await(2, head);
        assertThat(used.length()).isEqualTo(4);
        assertThat(moved.guest.memory().readInt(event.address())).isZero();
        assertThat(moved.guest.config(0, 8)).isEqualTo(9);
        assertThat(driver.guest.needsReset()).isFalse();
    }

    /** An event that takes effect late would end connections that the guest has made since. */
    @Test
    void leavesTheEventToGuestsWithAnotherAddress() throws Exception {
        VsockDriver driver = VsockDriver.start(device(), format);
        driver.give(8);
        driver.guest.queue(2).add(driver.guest.buffers().writable(4));
        driver.guest.kick(2);
        VsockDevice other = device();
        VsockDriver moved = driver.movedInto(other, driver.guest.save());
        accepted(other, moved);
        assertThat(moved.guest.queue(2).takeUsed()).isEmpty();
    }

    @Test
    void tellsARestoredGuestTheEndOfWhatItFindsInItsReceiveQueue() throws Exception {
        VsockDevice device = device();
        VsockDriver driver = VsockDriver.start(device, format);
        driver.give(8);
        device.listen(PORT);
        driver.send(REQUEST, PORT, GUEST_PORT);
        // The answer is there when the guest is saved, and not read yet. The guest then takes the connection for made,
        // so that the end must come
        // behind the answer.
        driver.guest.run();
        VsockDriver moved = driver.movedInto(device(), driver.guest.save());
        assertThat(moved.packets())
                .extracting(Packet::operation, Packet::hostPort, Packet::guestPort)
                .containsExactly(
                        tuple(RESPONSE, (long) PORT, (long) GUEST_PORT), tuple(RST, (long) PORT, (long) GUEST_PORT));
    }

    @Test
    void tellsARestoredGuestTheEndsThatItHadNoBuffersFor() throws Exception {
        VsockDevice device = device();
        VsockDriver driver = VsockDriver.start(device, format);
        driver.send(REQUEST, 1, 10);
        driver.send(RW, 2, 20, 0, "to nobody");
        VsockDevice other = device();
        VsockDriver moved = driver.movedInto(other, driver.guest.save());
        moved.give(8);
        assertThat(moved.packets())
                .extracting(Packet::operation, Packet::hostPort, Packet::guestPort)
                .containsExactly(tuple(RST, 1L, 10L), tuple(RST, 2L, 20L));
    }

    @Test
    void connectsToARestoredGuestFromPortsThatItsConnectionsHaveNotHad() throws Exception {
        VsockDevice device = device();
        VsockDriver driver = VsockDriver.start(device, format);
        driver.give(8);
        long first = connected(device, driver).hostPort();
        VsockDevice other = device();
        VsockDriver moved = driver.movedInto(other, driver.guest.save());
        assertThat(connected(other, moved).hostPort()).isNotEqualTo(first);
    }

    @Test
    void refusesASavedStateWhoseConnectionsMakeNoSense() {
        VsockDriver driver = VsockDriver.start(device(), format);
        for (int length : new int[] {7, 9, 1 << 20}) {
            DeviceState state = driver.guest.save();
            state.putBytes("connections", new byte[length]);
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> driver.movedInto(device(), state))
                    .withMessageContaining("'connections' has " + length + " bytes");
        }
    }

    @Test
    void endsAllWhenItIsClosed() throws Exception {
        VsockDevice device = device();
        VsockDriver driver = VsockDriver.start(device, format);
        driver.give(8);
        VsockChannel channel = accepted(device, driver);
        VsockListener listener = device.listen(1);
        FutureTask<VsockChannel> accepting = async(listener::accept);
        driver.guest.close();
        assertThat(read(channel, 1)).isEmpty();
        assertThatExceptionOfType(ExecutionException.class)
                .isThrownBy(() -> accepting.get(20, TimeUnit.SECONDS))
                .withCauseInstanceOf(ClosedChannelException.class);
        assertThatExceptionOfType(SocketException.class).isThrownBy(() -> device.connect(1, PATIENCE));
        driver.guest.close();
    }
}
