package io.github.jkvm.virtio.net;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.testkit.virtio.Buffer;
import io.github.jkvm.virtio.queue.RingFormat;
import java.util.Arrays;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Commands of virtio 1.2, 5.1.6.5. */
class ControlQueueTest {
    private static final String OWN = "52:54:00:00:00:01";
    private static final String OTHER = "52:54:00:00:00:07";
    private static final String GROUP = "01:00:5e:00:00:01";
    private static final String ALL = "ff:ff:ff:ff:ff:ff";
    private static final String PEER = "52:54:00:00:00:02";

    private static final int ERROR = 1;

    private final FakeBackend backend = new FakeBackend();
    private final NetDevice device =
            NetDevice.builder("net0", backend).mac(MacAddress.of(OWN)).build();
    private NetGuest guest;

    @BeforeEach
    void start() {
        guest = NetGuest.start(device, RingFormat.SPLIT);
        guest.post(60, 2000);
    }

    private boolean gets(String target) {
        return gets(NetGuest.frame(target, PEER, 60));
    }

    private boolean gets(byte[] frame) {
        backend.give(frame);
        backend.events.readable(0);
        return guest.receive().isPresent();
    }

    private static byte[] tables(String[] unicast, String[] multicast) {
        byte[] data = new byte[8 + 6 * (unicast.length + multicast.length)];
        int at = 0;
        for (String[] table : new String[][] {unicast, multicast}) {
            data[at] = (byte) table.length;
            at += 4;
            for (String each : table) {
                System.arraycopy(MacAddress.of(each).toBytes(), 0, data, at, 6);
                at += 6;
            }
        }
        return data;
    }

    @Test
    void getsAllFramesUntilPromiscuousModeIsOff() {
        assertThat(gets(OTHER)).isTrue();
        assertThat(gets(GROUP)).isTrue();
        assertThat(guest.command(0, 0, (byte) 0)).isZero();
        assertThat(gets(OTHER)).isFalse();
        assertThat(gets(GROUP)).isFalse();
        assertThat(gets(OWN)).isTrue();
        assertThat(gets(ALL)).isTrue();
        assertThat(device.counters()).containsEntry("receiveFiltered", 2L);
    }

    @Test
    void getsWhatItsTablesName() {
        guest.command(0, 0, (byte) 0);
        assertThat(guest.command(1, 0, tables(new String[] {OTHER}, new String[] {GROUP})))
                .isZero();
        assertThat(gets(OTHER)).isTrue();
        assertThat(gets(GROUP)).isTrue();
        assertThat(gets("01:00:5e:00:00:02")).isFalse();
        assertThat(guest.command(1, 0, tables(new String[0], new String[0]))).isZero();
        assertThat(gets(OTHER)).isFalse();
    }

    @Test
    void letsAllOfAKindThroughWhenTheirTableIsTooLong() {
        guest.command(0, 0, (byte) 0);
        String[] many = new String[65];
        Arrays.setAll(many, i -> String.format("01:00:5e:01:00:%02x", i));
        assertThat(guest.command(1, 0, tables(new String[0], many))).isZero();
        assertThat(gets(GROUP)).isTrue();
        assertThat(gets(OTHER)).isFalse();
    }

    @Test
    void switchesKindsOfFramesOnAndOff() {
        guest.command(0, 0, (byte) 0);
        assertThat(guest.command(0, 1, (byte) 1)).isZero();
        assertThat(gets(GROUP)).isTrue();
        assertThat(guest.command(0, 2, (byte) 1)).isZero();
        assertThat(gets(OTHER)).isTrue();
        assertThat(guest.command(0, 3, (byte) 1)).isZero();
        assertThat(gets(GROUP)).isFalse();
        assertThat(guest.command(0, 4, (byte) 1)).isZero();
        assertThat(gets(OWN)).isFalse();
        assertThat(guest.command(0, 5, (byte) 1)).isZero();
        assertThat(gets(ALL)).isFalse();
    }

    @Test
    void getsTheVlansItAskedFor() {
        guest.command(0, 0, (byte) 0);
        byte[] tagged = NetGuest.frame(OWN, PEER, 60);
        tagged[12] = (byte) 0x81;
        tagged[13] = 0;
        tagged[14] = 0x20;
        tagged[15] = 42;
        assertThat(gets(tagged)).isFalse();
        assertThat(guest.command(2, 0, (byte) 42, (byte) 0)).isZero();
        assertThat(gets(tagged)).isTrue();
        assertThat(guest.command(2, 1, (byte) 42, (byte) 0)).isZero();
        assertThat(gets(tagged)).isFalse();
        assertThat(guest.command(2, 0, (byte) 0, (byte) 0x10)).isEqualTo(ERROR);
    }

    @Test
    void refusesAddressOfManyStations() {
        assertThat(guest.command(1, 1, (byte) 1, (byte) 0, (byte) 0, (byte) 0, (byte) 0, (byte) 0))
                .isEqualTo(ERROR);
        assertThat(guest.driver.config(0, 1)).isEqualTo(0x52);
    }

    @Test
    void refusesCommandsThatAreUnknownOrNotWhole() {
        assertThat(guest.command(99, 0)).isEqualTo(ERROR);
        assertThat(guest.command(0, 6, (byte) 1)).isEqualTo(ERROR);
        assertThat(guest.command(0, 0)).isEqualTo(ERROR);
        assertThat(guest.command(1, 0, (byte) 1, (byte) 0, (byte) 0, (byte) 0)).isEqualTo(ERROR);
        assertThat(guest.command(1, 0, (byte) -1, (byte) -1, (byte) -1, (byte) -1))
                .isEqualTo(ERROR);
        assertThat(guest.command(1, 1, (byte) 1)).isEqualTo(ERROR);
        assertThat(guest.command(1, 2)).isEqualTo(ERROR);
        assertThat(guest.command(2, 0, (byte) 1)).isEqualTo(ERROR);
        assertThat(guest.command(2, 2, (byte) 1, (byte) 0)).isEqualTo(ERROR);
        assertThat(guest.command(3, 1)).isEqualTo(ERROR);
        assertThat(guest.command(4, 0, (byte) 1, (byte) 0)).isEqualTo(ERROR);
        assertThat(guest.command(5, 0, (byte) 0)).isEqualTo(ERROR);
        assertThat(device.counters()).containsEntry("controlErrors", 12L);
        assertThat(guest.driver.needsReset()).isFalse();
    }

    @Test
    void givesChainsWithoutCommandOrRoomForAnAnswerBack() {
        Buffer answer = guest.driver.buffers().writable(4);
        assertThat(guest.driver.request(NetGuest.CONTROL, answer).length()).isEqualTo(1);
        assertThat(guest.driver.buffers().bytes(answer)[0]).isEqualTo((byte) ERROR);
        Buffer command = guest.driver.buffers().readable((byte) 0, (byte) 0, (byte) 0);
        assertThat(guest.driver.request(NetGuest.CONTROL, command).length()).isZero();
        // It was carried out all the same.
        assertThat(gets(OTHER)).isFalse();
    }

    @Test
    void refusesCommandsThatWereNotAgreedOn() {
        var plain = NetGuest.start(
                NetDevice.builder("net1", new FakeBackend()).build(), RingFormat.SPLIT, NetFeature.CTRL_VQ);
        assertThat(plain.command(0, 0, (byte) 0)).isEqualTo(ERROR);
        assertThat(plain.command(0, 2, (byte) 0)).isEqualTo(ERROR);
        assertThat(plain.command(1, 0, tables(new String[0], new String[0]))).isEqualTo(ERROR);
        assertThat(plain.command(1, 1, new byte[6])).isEqualTo(ERROR);
        assertThat(plain.command(2, 0, (byte) 1, (byte) 0)).isEqualTo(ERROR);
        assertThat(plain.command(3, 0)).isEqualTo(ERROR);
        assertThat(plain.command(5, 0, new byte[8])).isEqualTo(ERROR);
    }
}
