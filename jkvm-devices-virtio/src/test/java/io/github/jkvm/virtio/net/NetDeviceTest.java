package io.github.jkvm.virtio.net;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.testkit.virtio.Buffer;
import io.github.jkvm.testkit.virtio.ManualEventLoop;
import io.github.jkvm.virtio.Feature;
import io.github.jkvm.virtio.Guests;
import io.github.jkvm.virtio.RateLimiter;
import io.github.jkvm.virtio.queue.RingFormat;
import java.time.Duration;
import java.util.EnumSet;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class NetDeviceTest {
    private static final MacAddress MAC = MacAddress.of("52:54:00:00:00:01");

    private final FakeBackend backend = new FakeBackend();

    private NetDeviceBuilder device() {
        return NetDevice.builder("net0", backend).mac(MAC);
    }

    @ParameterizedTest
    @EnumSource
    void sendsFramesInOrderAndGivesTheirChainsBack(RingFormat format) {
        NetDevice device = device().build();
        var guest = NetGuest.start(device, format);
        for (int size = 14; size < 24; size++) {
            int head = guest.send(NetGuest.frame(size));
            assertThat(guest.sent().orElseThrow().id()).isEqualTo(head);
        }
        assertThat(backend.sent).hasSize(10);
        for (int i = 0; i < 10; i++) {
            assertThat(backend.sent.get(i)).isEqualTo(NetGuest.frame(14 + i));
        }
        assertThat(device.counters()).containsEntry("sentFrames", 10L).containsEntry("sentBytes", 185L);
    }

    @ParameterizedTest
    @EnumSource
    void putsFramesIntoBuffersAndSaysHowManyEachTakes(RingFormat format) {
        NetDevice device = device().build();
        var guest = NetGuest.start(device, format);
        guest.post(60, 1526);
        byte[] small = NetGuest.frame(60);
        byte[] large = NetGuest.frame(9000);
        backend.give(small);
        backend.give(large);
        backend.events.readable(0);
        assertThat(guest.nextHeader()[10]).isEqualTo((byte) 1);
        assertThat(guest.receive()).hasValue(small);
        assertThat(guest.nextHeader()[10]).isEqualTo((byte) 6);
        assertThat(guest.receive()).hasValue(large);
        assertThat(device.counters()).containsEntry("receivedFrames", 2L).containsEntry("receivedBytes", 9060L);
    }

    @ParameterizedTest
    @EnumSource
    void receivesIntoOneBufferEachWithoutMerging(RingFormat format) {
        NetDevice device = device().build();
        var guest = NetGuest.start(device, format, NetFeature.MAC);
        guest.post(4, 1526);
        byte[] fits = NetGuest.frame(1514);
        backend.give(NetGuest.frame(1515));
        backend.give(fits);
        backend.events.readable(0);
        // "VIRTIO_NET_F_MRG_RXBUF not negotiated: num_buffers is 1" (virtio 1.2, 5.1.6.4.1)
        assertThat(guest.nextHeader()[10]).isEqualTo((byte) 1);
        assertThat(guest.receive()).hasValue(fits);
        assertThat(guest.receive()).isEmpty();
        assertThat(device.counters()).containsEntry("receiveDropped", 1L);
    }

    @ParameterizedTest
    @EnumSource
    void keepsFrameUntilTheGuestHasGivenEnoughBuffers(RingFormat format) {
        NetDevice device = device().build();
        var guest = NetGuest.start(device, format);
        byte[] frame = NetGuest.frame(5000);
        guest.post(2, 1000);
        backend.give(frame);
        backend.events.readable(0);
        assertThat(guest.receive()).isEmpty();
        guest.post(4, 1000);
        assertThat(guest.receive()).hasValue(frame);
    }

    @ParameterizedTest
    @EnumSource
    void dropsFrameThatTheGuestHasNoBuffersForInTime(RingFormat format) {
        NetDevice device = device().build();
        var guest = NetGuest.start(device, format);
        byte[] next = NetGuest.frame(100);
        guest.post(2, 1000);
        backend.give(NetGuest.frame(5000));
        backend.give(next);
        backend.events.readable(0);
        guest.driver.loop().advance(Duration.ofSeconds(1));
        assertThat(guest.receive()).hasValue(next);
        assertThat(device.counters()).containsEntry("receiveDropped", 1L);
    }

    @ParameterizedTest
    @EnumSource
    void sendsTheRestWhenTheBackendHasRoomAgain(RingFormat format) {
        NetDevice device = device().build();
        var guest = NetGuest.start(device, format);
        backend.room = 1;
        guest.send(NetGuest.frame(60));
        guest.send(NetGuest.frame(61));
        guest.send(NetGuest.frame(62));
        assertThat(backend.sent).hasSize(1);
        backend.room = 3;
        backend.events.writable(0);
        assertThat(backend.sent).containsExactly(NetGuest.frame(60), NetGuest.frame(61), NetGuest.frame(62));
        assertThat(device.counters()).containsEntry("sentFrames", 3L).containsEntry("sendWaits", 1L);
    }

    @ParameterizedTest
    @EnumSource
    void holdsFramesBackToTheRateLimits(RingFormat format) {
        var clock = new ManualEventLoop[1];
        RateLimiter send = RateLimiter.builder()
                .operationsPerSecond(10, 2)
                .clock(() -> clock[0] == null ? 0 : clock[0].nanoTime())
                .build();
        RateLimiter receive = RateLimiter.builder()
                .bytesPerSecond(1000, 100)
                .clock(() -> clock[0] == null ? 0 : clock[0].nanoTime())
                .build();
        NetDevice device = device().transmitLimit(send).receiveLimit(receive).build();
        var guest = NetGuest.start(device, format);
        clock[0] = guest.driver.loop();
        for (int i = 0; i < 4; i++) {
            guest.send(NetGuest.frame(60));
        }
        assertThat(backend.sent).hasSize(2);
        guest.driver.loop().advance(Duration.ofMillis(100));
        assertThat(backend.sent).hasSize(3);
        guest.driver.loop().advance(Duration.ofMillis(100));
        assertThat(backend.sent).hasSize(4);

        guest.post(60, 1526);
        for (int i = 0; i < 3; i++) {
            backend.give(NetGuest.frame(100));
        }
        backend.events.readable(0);
        // One at once, one on credit, and the next after both are paid for.
        assertThat(guest.receiveAll()).hasSize(2);
        guest.driver.loop().advance(Duration.ofMillis(99));
        assertThat(guest.receiveAll()).isEmpty();
        guest.driver.loop().advance(Duration.ofMillis(2));
        assertThat(guest.receiveAll()).hasSize(1);
    }

    @Test
    void offersWhatItsBackendCanDo() {
        backend.offloads = EnumSet.of(Offload.CHECKSUM);
        var guest = Guests.attach(device().build());
        assertThat(guest.offered() & Feature.mask(NetFeature.CSUM)).isNotZero();
        assertThat(guest.offered() & Feature.mask(NetFeature.GUEST_CSUM)).isNotZero();
        assertThat(guest.offered() & Feature.mask(NetFeature.HOST_TSO4)).isZero();
        assertThat(guest.offered() & Feature.mask(NetFeature.MQ)).isZero();
        assertThat(guest.offered() & Feature.mask(NetFeature.MTU)).isZero();
    }

    @Test
    void refusesFeaturesWithoutThoseTheyNeed() {
        // virtio 1.2, 5.1.3.1: "VIRTIO_NET_F_HOST_TSO4 Requires VIRTIO_NET_F_CSUM"
        var guest = Guests.attach(device().build());
        guest.negotiate(NetFeature.mask(NetFeature.HOST_TSO4, Feature.VERSION_1));
        assertThat(guest.status() & 8).isZero();
        guest.negotiate(NetFeature.mask(NetFeature.HOST_TSO4, NetFeature.CSUM, Feature.VERSION_1));
        assertThat(guest.status() & 8).isNotZero();
    }

    @Test
    void showsAddressLinkPairsAndMtu() {
        backend.maxPairs = 4;
        var guest = Guests.attach(device().mtu(9000).queuePairs(4).build());
        assertThat(guest.config(0, 4)).isEqualTo(0x0000_5452L);
        assertThat(guest.config(4, 2)).isEqualTo(0x0100L);
        assertThat(guest.config(6, 2)).isEqualTo(1);
        assertThat(guest.config(8, 2)).isEqualTo(4);
        assertThat(guest.config(10, 2)).isEqualTo(9000);
    }

    @Test
    void tellsTheGuestWhenTheCableIsPulled() {
        NetDevice device = device().build();
        var guest = NetGuest.start(device, RingFormat.SPLIT);
        int before = guest.driver.interrupts();
        device.setLink(LinkState.DOWN);
        guest.driver.run();
        assertThat(guest.driver.config(6, 2)).isZero();
        assertThat(guest.driver.interrupts()).isEqualTo(before + 1);
        guest.send(NetGuest.frame(60));
        assertThat(backend.sent).isEmpty();
        assertThat(guest.sent()).isPresent();
        device.setLink(LinkState.UP);
        guest.driver.run();
        assertThat(guest.driver.config(6, 2)).isEqualTo(1);
        guest.send(NetGuest.frame(60));
        assertThat(backend.sent).hasSize(1);
    }

    @Test
    void showsTheLinkOfItsBackend() {
        backend.link = LinkState.DOWN;
        var guest = NetGuest.start(device().build(), RingFormat.SPLIT);
        assertThat(guest.driver.config(6, 2)).isZero();
        backend.link = LinkState.UP;
        backend.events.linkChanged(LinkState.UP);
        assertThat(guest.driver.config(6, 2)).isEqualTo(1);
    }

    @ParameterizedTest
    @EnumSource
    void completesChecksumsForGuestThatDoesNot(RingFormat format) {
        NetDevice device = device().build();
        var guest = NetGuest.start(device, format, NetFeature.MRG_RXBUF);
        guest.post(60, 200);
        byte[] frame = NetGuest.frame(201);
        frame[40] = 0x12;
        frame[41] = 0x34;
        var header = new OffloadHeader();
        header.setChecksum(33, 7);
        backend.give(header, frame.clone());
        backend.events.readable(0);
        // "The device MUST set flags to zero" without VIRTIO_NET_F_GUEST_CSUM (virtio 1.2, 5.1.6.4.1)
        assertThat(guest.nextHeader()[0]).isZero();
        byte[] got = guest.receive().orElseThrow();
        int sum = 0;
        for (int i = 33; i < 201; i++) {
            int value = frame[i] & 0xFF;
            sum += (i - 33) % 2 == 0 ? value << 8 : value;
        }
        while (sum > 0xFFFF) {
            sum = (sum & 0xFFFF) + (sum >>> 16);
        }
        assertThat((got[40] & 0xFF) << 8 | (got[41] & 0xFF)).isEqualTo(~sum & 0xFFFF);
        assertThat(device.counters()).containsEntry("checksumsCompleted", 1L);
    }

    @Test
    void passesChecksumAndSizeOnToGuestThatAgrees() {
        var guest = NetGuest.start(device().build(), RingFormat.SPLIT);
        guest.post(60, 2000);
        var header = new OffloadHeader();
        header.setChecksum(34, 16);
        header.setGso(OffloadHeader.TCP_V4, 54, 1448);
        byte[] frame = NetGuest.frame(60_000);
        backend.give(header, frame);
        backend.events.readable(0);
        assertThat(guest.nextHeader()).startsWith(1, 1, 54, 0, 0xA8, 5, 34, 0, 16, 0);
        assertThat(guest.receive()).hasValue(frame);
    }

    @Test
    void dropsLongFrameForGuestThatDoesNotCut() {
        NetDevice device = device().build();
        var guest = NetGuest.start(device, RingFormat.SPLIT, NetFeature.MRG_RXBUF, NetFeature.GUEST_CSUM);
        guest.post(60, 2000);
        var header = new OffloadHeader();
        header.setChecksum(34, 16);
        header.setGso(OffloadHeader.TCP_V4, 54, 1448);
        backend.give(header, NetGuest.frame(6000));
        backend.events.readable(0);
        assertThat(guest.receiveAll()).isEmpty();
        assertThat(device.counters()).containsEntry("receiveDropped", 1L);
    }

    @Test
    void dropsFrameLongerThanTheMtuItHasTold() {
        NetDevice device = device().mtu(1000).build();
        var guest = NetGuest.start(device, RingFormat.SPLIT);
        guest.post(60, 2000);
        backend.give(NetGuest.frame(1019));
        backend.give(NetGuest.frame(1014));
        backend.events.readable(0);
        assertThat(guest.receiveAll()).containsExactly(NetGuest.frame(1014));
    }

    @ParameterizedTest
    @EnumSource
    void refusesToSendWhatIsNoFrameOrWasNotAgreedOn(RingFormat format) {
        NetDevice device = device().build();
        var guest = NetGuest.start(device, format, NetFeature.MRG_RXBUF);
        byte[] needsChecksum = {1, 0, 0, 0, 0, 0, 34, 0, 16, 0, 0, 0};
        byte[] cut = {1, 1, 54, 0, (byte) 0xA8, 5, 34, 0, 16, 0, 0, 0};
        guest.send(new byte[13]);
        guest.send(needsChecksum, NetGuest.frame(100));
        guest.send(cut, NetGuest.frame(3000));
        guest.send(NetGuest.frame(Frame.MAX_SIZE + 1));
        guest.driver
                .queue(NetGuest.TRANSMIT)
                .add(
                        guest.driver.buffers().readable(new byte[100]),
                        guest.driver.buffers().writable(10));
        guest.driver.kick(NetGuest.TRANSMIT);
        assertThat(backend.sent).isEmpty();
        assertThat(device.counters()).containsEntry("badSendChains", 5L);
        guest.send(NetGuest.frame(Frame.MAX_SIZE));
        assertThat(backend.sent).hasSize(1);
        assertThat(guest.driver.needsReset()).isFalse();
    }

    @Test
    void passesOnWhatTheGuestLeavesToDo() {
        var guest = NetGuest.start(device().build(), RingFormat.SPLIT);
        // Flags that are not for the driver to set are ignored, and so is the number of buffers.
        byte[] header = {(byte) 0xFF, 1, 54, 0, (byte) 0xA8, 5, 34, 0, 16, 0, 7, 7};
        guest.send(header, NetGuest.frame(3000));
        assertThat(backend.sentHeaders.getFirst()).containsExactly(1, 1, 54, 0, 0xA8, 5, 34, 0, 16, 0, 0, 0);
    }

    @Test
    void refusesChecksumOutsideOfTheFrame() {
        NetDevice device = device().build();
        var guest = NetGuest.start(device, RingFormat.SPLIT);
        byte[] outside = {1, 0, 0, 0, 0, 0, 90, 0, 9, 0, 0, 0};
        guest.send(outside, NetGuest.frame(100));
        assertThat(backend.sent).isEmpty();
        byte[] last = {1, 0, 0, 0, 0, 0, 90, 0, 8, 0, 0, 0};
        guest.send(last, NetGuest.frame(100));
        assertThat(backend.sent).hasSize(1);
    }

    @ParameterizedTest
    @EnumSource
    void givesBadReceiveBuffersBackUnused(RingFormat format) {
        NetDevice device = device().build();
        var guest = NetGuest.start(device, format);
        var bad =
                guest.driver.queue(NetGuest.RECEIVE).add(guest.driver.buffers().writable(11));
        var readable = guest.driver
                .queue(NetGuest.RECEIVE)
                .add(
                        guest.driver.buffers().readable(new byte[20]),
                        guest.driver.buffers().writable(2000));
        guest.driver.kick(NetGuest.RECEIVE);
        assertThat(guest.driver.await(NetGuest.RECEIVE, bad).length()).isZero();
        assertThat(guest.driver.await(NetGuest.RECEIVE, readable).length()).isZero();
        guest.post(60, 2000);
        backend.give(NetGuest.frame(60));
        backend.events.readable(0);
        assertThat(guest.receive()).hasValue(NetGuest.frame(60));
        assertThat(device.counters()).containsEntry("badReceiveChains", 2L);
    }

    @ParameterizedTest
    @EnumSource
    void resetStopsTheBackendAndForgetsWhatTheDriverChose(RingFormat format) {
        NetDevice device = device().build();
        var guest = NetGuest.start(device, format);
        guest.post(10, 2000);
        assertThat(guest.command(1, 1, new byte[] {0x52, 0x54, 0, 0, 0, 9})).isZero();
        assertThat(guest.driver.config(4, 2)).isEqualTo(0x0900);
        guest.driver.mmio().setRegister(0x070, 0);
        assertThat(backend.stops).isEqualTo(1);
        assertThat(guest.driver.config(4, 2)).isEqualTo(0x0100);
        guest.driver.start(guest.driver.offered());
        assertThat(backend.starts).isEqualTo(2);
        var again = NetGuest.over(guest.driver);
        again.post(60, 2000);
        backend.give(NetGuest.frame(70));
        backend.events.readable(0);
        assertThat(again.receive()).hasValue(NetGuest.frame(70));
        assertThat(again.send(NetGuest.frame(80))).isNotNegative();
        assertThat(backend.sent).hasSize(1);
    }

    @Test
    void sendsAgainOnAPairThatWasFullWhenItWasSwitchedOff() {
        backend.maxPairs = 2;
        NetDevice device = device().queuePairs(2).build();
        var guest = NetGuest.start(device, RingFormat.SPLIT);
        assertThat(guest.commandOn(4, 4, 0, (byte) 2, (byte) 0)).isZero();
        backend.room = 0;
        guest.driver
                .queue(3)
                .add(
                        guest.driver.buffers().readable(new byte[12]),
                        guest.driver.buffers().readable(NetGuest.frame(60)));
        guest.driver.kick(3);
        assertThat(guest.commandOn(4, 4, 0, (byte) 1, (byte) 0)).isZero();
        backend.room = 1;
        assertThat(guest.commandOn(4, 4, 0, (byte) 2, (byte) 0)).isZero();
        assertThat(backend.sent).hasSize(1);
    }

    @Test
    void closesItsBackendWithItself() {
        var guest = NetGuest.start(device().build(), RingFormat.SPLIT);
        guest.driver.close();
        assertThat(backend.stops).isEqualTo(1);
        assertThat(backend.closes).isEqualTo(1);
    }

    @Test
    void refusesSettingsOutOfRange() {
        var builder = device();
        assertThatThrownBy(() -> builder.mtu(67)).hasMessageContaining("68 to 65535");
        assertThatThrownBy(() -> builder.queuePairs(2)).hasMessageContaining("from 1 to 1");
        assertThatThrownBy(() -> builder.queueSize(3)).hasMessageContaining("power of two");
        assertThatThrownBy(() -> builder.mac(MacAddress.of("01:00:00:00:00:00")))
                .hasMessageContaining("many stations");
        assertThatThrownBy(() -> MacAddress.of("52:54:00")).hasMessageContaining("52:54:00:12:34:56");
    }

    @Test
    void usesQueuePairsAsTheDriverSays() {
        backend.maxPairs = 2;
        NetDevice device = device().queuePairs(2).build();
        var guest = NetGuest.start(device, RingFormat.SPLIT);
        assertThat(backend.pairs).isEqualTo(1);
        Buffer header = guest.driver.buffers().readable(new byte[12]);
        Buffer frame = guest.driver.buffers().readable(NetGuest.frame(60));
        int head = guest.driver.queue(3).add(header, frame);
        guest.driver.kick(3);
        // "the device MUST NOT ... read from transmit queues other than specified" (5.1.6.5.5)
        assertThat(backend.sent).isEmpty();
        assertThat(guest.commandOn(4, 4, 0, (byte) 2, (byte) 0)).isZero();
        assertThat(backend.pairs).isEqualTo(2);
        assertThat(guest.driver.await(3, head)).isNotNull();
        assertThat(backend.sent).hasSize(1);
        assertThat(guest.commandOn(4, 4, 0, (byte) 3, (byte) 0)).isEqualTo(1);
        assertThat(guest.commandOn(4, 4, 0, (byte) 0, (byte) 0)).isEqualTo(1);
    }

    @Test
    void findsTheControlQueueBehindOnePairWithoutMultiqueue() {
        // virtio 1.2, 5.1.2: "controlq ... N=1 if VIRTIO_NET_F_MQ is not negotiated"
        backend.maxPairs = 2;
        NetDevice device = device().queuePairs(2).build();
        var guest = NetGuest.start(device, RingFormat.SPLIT, NetFeature.CTRL_VQ, NetFeature.CTRL_RX);
        assertThat(guest.commandOn(2, 0, 0, (byte) 0)).isZero();
    }

    @Test
    void acceptsNothingButOffloadsThatWereAgreedOn() {
        var guest = NetGuest.start(device().build(), RingFormat.SPLIT);
        assertThat(backend.accepted).isEqualTo(EnumSet.allOf(Offload.class));
        assertThat(guest.command(5, 0, (byte) 2, (byte) 0, (byte) 0, (byte) 0, (byte) 0, (byte) 0, (byte) 0, (byte) 0))
                .isZero();
        assertThat(backend.accepted).isEqualTo(Set.of(Offload.CHECKSUM));
        assertThat(guest.command(5, 0, (byte) 4, (byte) 0, (byte) 0, (byte) 0, (byte) 0, (byte) 0, (byte) 0, (byte) 0))
                .isEqualTo(1);
    }
}
