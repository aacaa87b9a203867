package io.github.jkvm.virtio.net;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.virtio.Guests;
import io.github.jkvm.virtio.RateLimiter;
import io.github.jkvm.virtio.queue.RingFormat;
import java.util.EnumSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** A network device that is saved: what goes on in the new one, and in the old one. */
class NetDeviceStateTest {
    private static final MacAddress MAC = MacAddress.of("52:54:00:00:00:01");

    private final FakeBackend backend = new FakeBackend();

    private NetDeviceBuilder device() {
        return NetDevice.builder("net0", backend).mac(MAC);
    }

    @ParameterizedTest
    @EnumSource
    void goesOnWhereItsSavedStateLeftOff(RingFormat format) {
        NetDevice device = device().build();
        var guest = NetGuest.start(device, format);
        guest.post(20, 2000);
        assertThat(guest.command(1, 1, new byte[] {0x52, 0x54, 0, 0, 0, 9})).isZero();
        assertThat(guest.command(0, 0, (byte) 0)).isZero();
        byte[] early = NetGuest.frame("52:54:00:00:00:09", "52:54:00:00:00:02", 60);
        backend.give(early);
        backend.events.readable(0);
        var state = guest.driver.save();

        var other = new FakeBackend();
        NetDevice next =
                NetDevice.builder("net0", other).mac(MAC).keepSavedMac().build();
        var moved = guest.on(Guests.restoreInto(guest.driver, next, state));
        assertThat(next.macAddress()).isEqualTo(MacAddress.of("52:54:00:00:00:09"));
        assertThat(moved.receive()).hasValue(early);
        assertThat(other.starts).isEqualTo(1);
        assertThat(other.accepted).isEqualTo(EnumSet.allOf(Offload.class));
        assertThat(moved.driver.config(4, 2)).isEqualTo(0x0900);
        // Not promiscuous any more: only its own new address.
        other.give(NetGuest.frame("52:54:00:00:00:01", "52:54:00:00:00:02", 90));
        other.give(NetGuest.frame("52:54:00:00:00:09", "52:54:00:00:00:02", 91));
        other.events.readable(0);
        assertThat(moved.receiveAll())
                .hasSize(1)
                .first()
                .satisfies(frame -> assertThat(frame).hasSize(91));
        moved.send(NetGuest.frame(60));
        assertThat(other.sent).hasSize(1);
    }

    @ParameterizedTest
    @EnumSource
    void canBeSavedWithABadBufferBehindGoodOnes(RingFormat format) {
        NetDevice device = device().build();
        var guest = NetGuest.start(device, format);
        guest.post(2, 1526);
        guest.driver.queue(NetGuest.RECEIVE).add(guest.driver.buffers().writable(1));
        guest.driver.kick(NetGuest.RECEIVE);
        assertThat(guest.driver.save()).isNotNull();
        backend.give(NetGuest.frame(60));
        backend.give(NetGuest.frame(61));
        backend.events.readable(0);
        for (long length : new long[] {72, 73, 0}) {
            assertThat(guest.driver
                            .queue(NetGuest.RECEIVE)
                            .takeUsed()
                            .orElseThrow()
                            .length())
                    .isEqualTo(length);
        }
        assertThat(device.counters()).containsEntry("badReceiveChains", 1L);
    }

    @Test
    void asksTheGuestToAnnounceItselfAfterRestore() {
        NetDevice device = device().build();
        var guest = NetGuest.start(device, RingFormat.SPLIT);
        var state = guest.driver.save();
        NetDevice next = NetDevice.builder("net0", new FakeBackend()).mac(MAC).build();
        var moved = guest.on(Guests.restoreInto(guest.driver, next, state));
        // VIRTIO_NET_S_ANNOUNCE until the driver acknowledges (virtio 1.2, 5.1.6.5.4)
        assertThat(moved.driver.config(6, 2)).isEqualTo(3);
        assertThat(moved.command(3, 0)).isZero();
        assertThat(moved.driver.config(6, 2)).isEqualTo(1);
        next.announce();
        moved.driver.run();
        assertThat(moved.driver.config(6, 2)).isEqualTo(3);
    }

    @ParameterizedTest
    @EnumSource
    void keepsToTheRateOfTheNewDevice(RingFormat format) {
        var guest = NetGuest.start(device().transmitLimit(oneFrame()).build(), format);
        guest.send(NetGuest.frame(60));
        guest.send(NetGuest.frame(61));
        assertThat(backend.sent).hasSize(1);
        // Its second frame waits no more, where there is no limit.
        var faster = new FakeBackend();
        var moved = guest.on(Guests.restoreInto(
                guest.driver, NetDevice.builder("net0", faster).mac(MAC).build(), guest.driver.save()));
        moved.driver.run();
        moved.send(NetGuest.frame(62));
        assertThat(faster.sent).containsExactly(NetGuest.frame(61), NetGuest.frame(62));
        var slower = new FakeBackend();
        var again = moved.on(Guests.restoreInto(
                moved.driver,
                NetDevice.builder("net0", slower)
                        .mac(MAC)
                        .transmitLimit(oneFrame())
                        .build(),
                moved.driver.save()));
        again.send(NetGuest.frame(63));
        again.send(NetGuest.frame(64));
        assertThat(slower.sent).containsExactly(NetGuest.frame(63));
    }

    /** One frame, and no other while the test's clock stands still. */
    private static RateLimiter oneFrame() {
        return RateLimiter.builder().operationsPerSecond(1, 1).clock(() -> 0).build();
    }

    private static final String CLONE = "52:54:00:00:00:c1";

    private static final byte[] CLONE_BYTES = {0x52, 0x54, 0, 0, 0, (byte) 0xC1};

    private static byte[] from(String address, int size) {
        return NetGuest.frame("ff:ff:ff:ff:ff:ff", address, size);
    }

    @ParameterizedTest
    @EnumSource
    void aCloneIsSilentUntilItsGuestTakesAnAddressOfItsOwn(RingFormat format) {
        var guest = NetGuest.start(device().build(), format);
        guest.post(20, 2000);
        var state = guest.driver.save();
        var other = new FakeBackend();
        NetDevice clone =
                NetDevice.builder("net0", other).mac(MacAddress.of(CLONE)).build();
        var moved = guest.on(Guests.restoreInto(guest.driver, clone, state));
        assertThat(clone.macAddress()).isEqualTo(MacAddress.of(CLONE));
        assertThat(moved.driver.config(0, 4)).isEqualTo(0x0000_5452);
        assertThat(moved.driver.config(4, 2)).isEqualTo(0xC100);
        // Not asked to announce the address that it has to leave.
        assertThat(moved.driver.config(6, 2)).isEqualTo(1);
        moved.send(from(MAC.toString(), 60));
        other.give(NetGuest.frame(MAC.toString(), "52:54:00:00:00:02", 70));
        other.give(NetGuest.frame(CLONE, "52:54:00:00:00:02", 71));
        other.events.readable(0);
        assertThat(other.sent).isEmpty();
        assertThat(moved.receiveAll())
                .hasSize(1)
                .first()
                .satisfies(frame -> assertThat(frame).hasSize(71));
        assertThat(clone.counters()).containsEntry("sendDropped", 1L);

        // VIRTIO_NET_CTRL_MAC_ADDR_SET (virtio 1.2, 5.1.6.5.2): not the old one, then the new one.
        assertThat(moved.command(1, 1, MAC.toBytes())).isNotZero();
        assertThat(moved.command(1, 1, CLONE_BYTES)).isZero();
        assertThat(moved.driver.config(6, 2)).isEqualTo(3);
        moved.send(from(CLONE, 61));
        moved.send(from(MAC.toString(), 62));
        assertThat(other.sent).containsExactly(from(CLONE, 61));
    }

    @Test
    void twoClonesHaveDifferentAddressesIfNobodySaysAnything() {
        var guest = NetGuest.start(device().build(), RingFormat.SPLIT);
        var state = guest.driver.save();
        NetDevice one = NetDevice.builder("net0", new FakeBackend()).build();
        NetDevice two = NetDevice.builder("net0", new FakeBackend()).build();
        Guests.restoreInto(guest.driver, one, state);
        Guests.restoreInto(guest.driver, two, state);
        assertThat(one.macAddress()).isNotEqualTo(two.macAddress()).isNotEqualTo(MAC);
        assertThat(two.macAddress()).isNotEqualTo(MAC);
    }

    /** Its guest still goes by the address of the first machine. */
    @Test
    void aCloneOfACloneThatHasNotLearntYetIsSilentToo() {
        var guest = NetGuest.start(device().build(), RingFormat.SPLIT);
        NetDevice clone = NetDevice.builder("net0", new FakeBackend()).build();
        var moved = guest.on(Guests.restoreInto(guest.driver, clone, guest.driver.save()));
        var backend = new FakeBackend();
        NetDevice second = NetDevice.builder("net0", backend).build();
        var again = moved.on(Guests.restoreInto(moved.driver, second, moved.driver.save()));
        again.send(from(MAC.toString(), 60));
        again.send(from(CLONE, 61));
        assertThat(backend.sent).containsExactly(from(CLONE, 61));
    }

    @Test
    void aDriverThatStartsAnewReadsTheNewAddressAndIsHeard() {
        var guest = NetGuest.start(device().build(), RingFormat.SPLIT);
        var backend = new FakeBackend();
        NetDevice clone =
                NetDevice.builder("net0", backend).mac(MacAddress.of(CLONE)).build();
        var moved = guest.on(Guests.restoreInto(guest.driver, clone, guest.driver.save()));
        moved.driver.reset();
        assertThat(moved.driver.config(4, 2)).isEqualTo(0xC100);
        assertThat(clone.comesFromFormerMac(new Frame())).isFalse();
    }

    @Test
    void refusesSavedStateThatIsOutOfRange() {
        NetDevice device = device().build();
        var guest = NetGuest.start(device, RingFormat.SPLIT);
        var state = guest.driver.save();
        state.putNumber("pairs", 2);
        NetDevice next = device().build();
        assertThatThrownBy(() -> Guests.restoreInto(guest.driver, next, state))
                .isInstanceOf(IllegalArgumentException.class);
        state.putNumber("pairs", 1);
        state.putNumber("guestOffloads", -1);
        NetDevice another = device().build();
        assertThatThrownBy(() -> Guests.restoreInto(guest.driver, another, state))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("guest offloads");
        var many = guest.driver.save();
        many.putNumber("guestMac", MacAddress.BROADCAST);
        NetDevice last = device().build();
        assertThatThrownBy(() -> Guests.restoreInto(guest.driver, last, many))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("stands for many stations");
    }

    @ParameterizedTest
    @EnumSource
    void goesOnItselfAfterItWasSaved(RingFormat format) {
        NetDevice device = device().build();
        var guest = NetGuest.start(device, format);
        guest.post(8, 1526);
        backend.room = 1;
        guest.send(NetGuest.frame(50));
        guest.send(NetGuest.frame(51));
        for (int round = 0; round < 3; round++) {
            assertThat(guest.driver.save()).isNotNull();
            guest.driver.run();
            // Nobody has notified the device.
            backend.give(NetGuest.frame(60 + round));
            backend.events.readable(0);
            assertThat(guest.receive()).hasValue(NetGuest.frame(60 + round));
        }
        backend.room = 3;
        backend.events.writable(0);
        guest.send(NetGuest.frame(52));
        assertThat(backend.sent).containsExactly(NetGuest.frame(50), NetGuest.frame(51), NetGuest.frame(52));
        assertThat(backend.starts).isEqualTo(1);
        assertThat(device.counters()).containsEntry("receiveDropped", 0L).containsEntry("sendDropped", 0L);
    }
}
