package io.github.jkvm.virtio.vhost;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.github.jkvm.HypervisorException;
import io.github.jkvm.virtio.Feature;
import io.github.jkvm.virtio.GuestDriver;
import io.github.jkvm.virtio.queue.RingFormat;
import io.github.jkvm.virtio.queue.TestDriver.Buffer;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The front end of the vhost-user protocol, against a back end of the test's. */
class VhostUserDeviceTest {
    private final Arena arena = Arena.ofAuto();
    private final TestBackEnd backEnd = new TestBackEnd();
    private final VhostUserBlock device = new VhostUserBlock("disk0", backEnd, 2);
    private final List<GuestDriver> guests = new ArrayList<>();

    @AfterEach
    void close() {
        guests.forEach(GuestDriver::close);
        backEnd.kill();
    }

    private GuestDriver attach(VhostUserDevice attached) throws Exception {
        GuestDriver guest = GuestDriver.attach(attached, SharedRegion.create(arena, GuestDriver.MEMORY_BYTES));
        guests.add(guest);
        return guest;
    }

    private GuestDriver start(RingFormat format) throws Exception {
        if (format == RingFormat.PACKED) {
            device.offerPackedRings();
        }
        GuestDriver guest = attach(device);
        guest.start(guest.offered());
        return guest;
    }

    private static void echo(GuestDriver guest, int queue, int value) {
        Buffer answer = guest.buffers().writable(2);
        guest.queue(queue).add(guest.buffers().readable((byte) value, (byte) 7), answer);
        guest.kick(queue);
        guest.loop().runUntil(() -> {
            guest.loop().checkSources();
            return guest.queue(queue).takeUsed().isPresent();
        });
        assertThat(guest.buffers().bytes(answer)).containsExactly(value, 7);
        guest.buffers().clear();
    }

    @ParameterizedTest
    @EnumSource
    void handsTheQueuesToTheBackEnd(RingFormat format) throws Exception {
        GuestDriver guest = start(format);
        for (int i = 0; i < 200; i++) {
            echo(guest, i % 2, i & 0x7F);
        }
        assertThat(guest.interrupts()).isPositive();
        assertThat(device.counters().get("calls")).isPositive();
        assertThat(guest.needsReset()).isFalse();
        // Memory of one region comes with one file; each ring has a kick and a call.
        assertThat(backEnd.log).contains("5/40/1", "12/8/1", "13/8/1", "18/8/0");
    }

    @Test
    void showsTheBackEndsConfiguration() throws Exception {
        backEnd.config[0] = 0x34;
        backEnd.config[1] = 0x12;
        GuestDriver guest = attach(device);
        assertThat(guest.config(0, 8)).isEqualTo(0x1234);
        assertThat(guest.config(34, 2)).as("queues").isEqualTo(2);
    }

    @Test
    void offersWhatBothSidesKnow() throws Exception {
        backEnd.features = 1L << 30 | 1L << 32 | 1L << 29 | 1L << 40 | 1L << 6 | 1L << 11 | 1L << 20;
        device.offerPackedRings();
        assertThat(attach(device).offered())
                .isEqualTo(1L << 6 | Feature.mask(Feature.EVENT_INDEX) | Feature.mask(Feature.VERSION_1));
    }

    @Test
    void worksWithABackEndOfTheFirstProtocol() throws Exception {
        backEnd.features = 1L << 32;
        var fs = new VhostUserFs("fs0", backEnd, "share");
        GuestDriver guest = attach(fs);
        guest.start(guest.offered());
        assertThat(guest.config(0, 8)).isEqualTo(0x65_7261_6873L);
        assertThat(guest.config(36, 4)).isEqualTo(1);
        echo(guest, 1, 5);
        assertThat(backEnd.log).noneMatch(request -> request.startsWith("18/") || request.startsWith("16/"));
    }

    @Test
    void tellsTheAddressOfANetworkDevice() throws Exception {
        var net = new VhostUserNet("net0", backEnd, new byte[] {2, 0, 0, 0, 0, 9});
        GuestDriver guest = attach(net);
        assertThat(guest.offered() & 0xFF_FFFF).isEqualTo(0xFFA3);
        assertThat(guest.config(0, 2)).isEqualTo(2);
        assertThat(guest.config(5, 1)).isEqualTo(9);
    }

    @ParameterizedTest
    @EnumSource
    void takesTheQueuesBackWhenTheDriverResets(RingFormat format) throws Exception {
        GuestDriver guest = start(format);
        for (int round = 0; round < 5; round++) {
            echo(guest, 0, round);
            guest.setRegister(0x070, 0);
            guest.start(guest.offered());
        }
        assertThat(backEnd.log.stream().filter("11/8/0"::equals)).hasSize(2 * 5);
        assertThat(device.counters()).containsEntry("connections", 1L).containsEntry("backEndLosses", 0L);
    }

    @ParameterizedTest
    @EnumSource
    void goesOnWhereTheRingsStoodAfterARestore(RingFormat format) throws Exception {
        GuestDriver guest = start(format);
        for (int i = 0; i < 100; i++) {
            echo(guest, 0, i);
        }
        var state = guest.save();
        echo(guest, 0, 1);
        var state2 = guest.save();
        assertThat(state.encode()).isNotEqualTo(state2.encode());

        var otherEnd = new TestBackEnd();
        GuestDriver restored = guest.restoreInto(new VhostUserBlock("disk0", otherEnd, 2), state2);
        guests.add(restored);
        for (int i = 0; i < 100; i++) {
            echo(restored, 0, i);
        }
        otherEnd.kill();
    }

    @Test
    void asksForAResetWhenTheBackEndIsGoneAndFindsTheNextOne() throws Exception {
        GuestDriver guest = start(RingFormat.SPLIT);
        echo(guest, 0, 1);
        backEnd.kill();
        guest.loop().runUntil(() -> {
            guest.loop().checkSources();
            return guest.needsReset();
        });
        guest.setRegister(0x070, 0);
        guest.start(guest.offered());
        echo(guest, 0, 2);
        assertThat(guest.needsReset()).isFalse();
        assertThat(device.counters()).containsEntry("connections", 2L).containsEntry("backEndLosses", 1L);
    }

    @ParameterizedTest
    @ValueSource(ints = {2, 5, 8, 9, 10, 12, 13, 18})
    void asksForAResetWhenTheBackEndAnswersNonsense(int request) throws Exception {
        GuestDriver guest = attach(device);
        backEnd.wrongAt = request;
        guest.start(guest.offered());
        assertThat(guest.needsReset()).isTrue();
        backEnd.wrongAt = 0;
        guest.setRegister(0x070, 0);
        guest.start(guest.offered());
        echo(guest, 0, 3);
    }

    @ParameterizedTest
    @ValueSource(ints = {2, 5, 11})
    void survivesABackEndThatEndsInTheMiddle(int request) throws Exception {
        GuestDriver guest = attach(device);
        backEnd.endAt = request;
        guest.start(guest.offered());
        guest.setRegister(0x070, 0);
        backEnd.endAt = 0;
        guest.start(guest.offered());
        echo(guest, 0, 3);
    }

    @Test
    void doesNotWaitForABackEndForEver() throws Exception {
        GuestDriver guest = attach(device);
        backEnd.silentAt = 5;
        guest.start(guest.offered());
        assertThat(guest.needsReset()).isTrue();
    }

    @Test
    void refusesBackEndsThatLackSomething() {
        backEnd.features = 1L << 30;
        refused("VIRTIO_F_VERSION_1");
        backEnd.features = TestBackEnd.ALL_FEATURES;
        backEnd.queues = 1;
        refused("has 1 queues; disk0 needs 2");
        backEnd.queues = 2;
        backEnd.protocol = 0;
        refused("does not tell its configuration");
        backEnd.wrongAt = 1;
        refused("answers GET_FEATURES");
    }

    private void refused(String why) {
        assertThatExceptionOfType(HypervisorException.class)
                .isThrownBy(() -> attach(new VhostUserBlock("disk0", backEnd, 2)))
                .withMessageContaining("device disk0 can't use its back end")
                .withMessageContaining(why);
    }

    @Test
    void refusesMemoryThatNoOtherProcessSees() {
        assertThatExceptionOfType(HypervisorException.class)
                .isThrownBy(() -> GuestDriver.attach(device))
                .withMessageContaining("build the machine with MachineBuilder.sharedMemory()");
    }

    @Test
    void saysWhereNoOneListens() {
        Path nowhere = Path.of("/nowhere/at/all.sock");
        assertThatExceptionOfType(HypervisorException.class)
                .isThrownBy(() -> attach(new VhostUserFs("fs0", nowhere, "share")))
                .withMessageContaining("connect of /nowhere/at/all.sock failed with ENOENT");
    }

    @Test
    void refusesWhatNoDeviceHas() {
        Path path = Path.of("s");
        assertThatIllegalArgumentException().isThrownBy(() -> new VhostUserBlock("disk0", path, 0));
        assertThatIllegalArgumentException().isThrownBy(() -> new VhostUserFs("fs0", path, ""));
        assertThatIllegalArgumentException().isThrownBy(() -> new VhostUserFs("fs0", path, "x".repeat(37)));
        assertThatIllegalArgumentException().isThrownBy(() -> new VhostUserNet("net0", path, new byte[5]));
    }
}
