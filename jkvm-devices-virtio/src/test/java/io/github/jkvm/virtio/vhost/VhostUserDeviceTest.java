package io.github.jkvm.virtio.vhost;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.github.jkvm.HypervisorException;
import io.github.jkvm.testkit.virtio.Buffer;
import io.github.jkvm.testkit.virtio.VirtioDriver;
import io.github.jkvm.virtio.Feature;
import io.github.jkvm.virtio.Guests;
import io.github.jkvm.virtio.queue.RingFormat;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.function.BooleanSupplier;
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
    private final List<VirtioDriver> guests = new ArrayList<>();

    @AfterEach
    void close() {
        guests.forEach(VirtioDriver::close);
        backEnd.kill();
    }

    private VirtioDriver attach(VhostUserDevice attached) throws Exception {
        VirtioDriver guest = Guests.attach(attached, SharedRegion.create(arena, VirtioDriver.MEMORY_BYTES));
        guests.add(guest);
        return guest;
    }

    private VirtioDriver start(RingFormat format) throws Exception {
        if (format == RingFormat.PACKED) {
            device.offerPackedRings();
        }
        VirtioDriver guest = attach(device);
        guest.start(guest.offered());
        return guest;
    }

    private static void echo(VirtioDriver guest, int queue, int value) {
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
        VirtioDriver guest = start(format);
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
        VirtioDriver guest = attach(device);
        assertThat(guest.config(0, 8)).isEqualTo(0x1234);
        assertThat(guest.config(34, 2)).as("queues").isEqualTo(2);
    }

    @Test
    void offersWhatBothSidesKnow() throws Exception {
        backEnd.features = 1L << 30 | 1L << 32 | 1L << 29 | 1L << 40 | 1L << 6 | 1L << 11 | 1L << 20;
        device.offerPackedRings();
        assertThat(attach(device).offered())
                .isEqualTo(1L << 6 | 1L << 11 | Feature.mask(Feature.EVENT_INDEX) | Feature.mask(Feature.VERSION_1));
    }

    @Test
    void worksWithABackEndOfTheFirstProtocol() throws Exception {
        backEnd.features = 1L << 32;
        var fs = new VhostUserFs("fs0", backEnd, "share");
        VirtioDriver guest = attach(fs);
        guest.start(guest.offered());
        assertThat(guest.config(0, 8)).isEqualTo(0x65_7261_6873L);
        assertThat(guest.config(36, 4)).isEqualTo(1);
        echo(guest, 1, 5);
        assertThat(backEnd.log).noneMatch(request -> request.startsWith("18/") || request.startsWith("16/"));
    }

    @Test
    void tellsTheAddressOfANetworkDevice() throws Exception {
        var net = new VhostUserNet("net0", backEnd, new byte[] {2, 0, 0, 0, 0, 9}, 1);
        VirtioDriver guest = attach(net);
        assertThat(guest.offered() & 0xFF_FFFF).isEqualTo(0xFFA3);
        assertThat(guest.config(0, 2)).isEqualTo(2);
        assertThat(guest.config(5, 1)).isEqualTo(9);
    }

    @ParameterizedTest
    @EnumSource
    void takesTheQueuesBackWhenTheDriverResets(RingFormat format) throws Exception {
        VirtioDriver guest = start(format);
        for (int round = 0; round < 5; round++) {
            echo(guest, 0, round);
            guest.mmio().setRegister(0x070, 0);
            guest.start(guest.offered());
        }
        assertThat(backEnd.log.stream().filter("11/8/0"::equals)).hasSize(2 * 5);
        assertThat(device.counters()).containsEntry("connections", 1L).containsEntry("backEndLosses", 0L);
    }

    @ParameterizedTest
    @EnumSource
    void goesOnWhereTheRingsStoodAfterARestore(RingFormat format) throws Exception {
        VirtioDriver guest = start(format);
        for (int i = 0; i < 100; i++) {
            echo(guest, 0, i);
        }
        var state = guest.save();
        echo(guest, 0, 1);
        var state2 = guest.save();
        assertThat(state.encode()).isNotEqualTo(state2.encode());

        var otherEnd = new TestBackEnd();
        VirtioDriver restored = Guests.restoreInto(guest, new VhostUserBlock("disk0", otherEnd, 2), state2);
        guests.add(restored);
        for (int i = 0; i < 100; i++) {
            echo(restored, 0, i);
        }
        otherEnd.kill();
    }

    private static void awaitWith(VirtioDriver guest, BooleanSupplier condition) {
        guest.loop().runUntil(() -> {
            guest.loop().checkSources();
            return condition.getAsBoolean();
        });
    }

    /** What a file system's back end knows of the guest is gone with it. */
    @Test
    void asksForAResetWhenTheBackEndIsGoneAndFindsTheNextOne() throws Exception {
        var fs = new VhostUserFs("fs0", backEnd, "share");
        VirtioDriver guest = attach(fs);
        guest.start(guest.offered());
        echo(guest, 0, 1);
        backEnd.kill();
        awaitWith(guest, guest::needsReset);
        guest.mmio().setRegister(0x070, 0);
        guest.start(guest.offered());
        echo(guest, 0, 2);
        assertThat(guest.needsReset()).isFalse();
        assertThat(fs.counters())
                .containsEntry("connections", 2L)
                .containsEntry("backEndLosses", 1L)
                .containsEntry("resumptions", 0L);
    }

    /** No one can tell from packed rings what is under way. */
    @ParameterizedTest
    @EnumSource
    void aDiskGoesOnWithTheNextBackEndIfNothingIsUnderWay(RingFormat format) throws Exception {
        VirtioDriver guest = start(format);
        echo(guest, 0, 1);
        backEnd.kill();
        awaitWith(guest, () -> device.counters().get("backEndLosses") == 1);
        if (format == RingFormat.PACKED) {
            assertThat(guest.needsReset()).isTrue();
            return;
        }
        guest.loop().advance(Duration.ofSeconds(1));
        assertThat(guest.needsReset()).isFalse();
        echo(guest, 0, 2);
        echo(guest, 1, 3);
        assertThat(device.counters()).containsEntry("resumptions", 1L).containsEntry("connections", 2L);
    }

    @Test
    void aDiskAsksForAResetIfNoOneKnowsWhatIsUnderWay() throws Exception {
        VirtioDriver guest = start(RingFormat.SPLIT);
        backEnd.holds = true;
        guest.queue(0).add(guest.buffers().readable((byte) 1), guest.buffers().writable(1));
        guest.kick(0);
        backEnd.kill();
        awaitWith(guest, guest::needsReset);
        guest.loop().advance(Duration.ofSeconds(1));
        assertThat(device.counters()).containsEntry("resumptions", 0L);
    }

    /** "To support reconnecting after restart or crash, back-end may need to resubmit inflight I/Os" (Inflight I/O tracking). */
    @Test
    void theNextBackEndGetsTheNotesOfTheOneBefore() throws Exception {
        backEnd.protocol |= 1L << 12;
        VirtioDriver guest = start(RingFormat.SPLIT);
        echo(guest, 0, 1);
        String notes = backEnd.notes;
        assertThat(notes).endsWith("for 2 queues of 64");
        assertThat(backEnd.inheritedNotes).as("new memory").isEmpty();
        backEnd.holds = true;
        Buffer answer = guest.buffers().writable(1);
        guest.queue(0).add(guest.buffers().readable((byte) 7), answer);
        guest.kick(0);
        int interrupts = guest.interrupts();
        backEnd.kill();
        awaitWith(guest, () -> device.counters().get("backEndLosses") == 1);
        backEnd.holds = false;
        guest.loop().advance(Duration.ofSeconds(1));
        awaitWith(guest, () -> guest.queue(0).takeUsed().isPresent());
        assertThat(guest.buffers().bytes(answer)).containsExactly(7);
        assertThat(backEnd.inheritedNotes).isEqualTo(notes);
        assertThat(guest.interrupts())
                .as("also for what may have been completed before")
                .isGreaterThan(interrupts);
        guest.mmio().setRegister(0x070, 0);
        guest.start(guest.offered());
        assertThat(backEnd.inheritedNotes).as("new memory after a reset").isEmpty();
        echo(guest, 0, 2);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 1 | 8})
    void readsTheConfigurationAgainWhenTheBackEndSaysSo(int flags) throws Exception {
        backEnd.protocol |= 1L << 5;
        VirtioDriver guest = start(RingFormat.SPLIT);
        int before = guest.interrupts();
        backEnd.config[0] = 0x77;
        var answer = CompletableFuture.supplyAsync(() -> {
            try {
                return backEnd.request(2, flags);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        });
        awaitWith(guest, () -> guest.config(0, 8) == 0x77);
        assertThat(answer.get()).isEqualTo((flags & 8) == 0 ? -1 : 0);
        assertThat(guest.interrupts()).isGreaterThan(before);
        assertThat(guest.config(34, 2)).as("queues").isEqualTo(2);
        assertThat(device.counters()).containsEntry("configChanges", 1L).containsEntry("backEndLosses", 0L);
        echo(guest, 0, 1);
    }

    @Test
    void leavesABackEndThatMakesOtherRequests() throws Exception {
        backEnd.protocol |= 1L << 5;
        VirtioDriver guest = start(RingFormat.SPLIT);
        backEnd.request(3, 1);
        awaitWith(guest, () -> device.counters().get("backEndLosses") == 1);
    }

    @Test
    void tellsTheBackEndWhatTheDriverWrites() throws Exception {
        VirtioDriver guest = start(RingFormat.SPLIT);
        guest.setConfig(32, 1, 1);
        guest.setConfig(33, 1, 1);
        guest.setConfig(32, 1, 0);
        assertThat(backEnd.configWrites).containsExactly("32=0", "32=1", "32=0");
    }

    @Test
    void usesAsManyPairsAsTheDriverSays() throws Exception {
        var net = new VhostUserNet("net0", backEnd, new byte[6], 2);
        VirtioDriver guest = attach(net);
        assertThat(guest.config(8, 2)).as("max_virtqueue_pairs").isEqualTo(2);
        guest.start(guest.offered());
        assertThat(backEnd.log).contains("enable 0 1", "enable 1 1", "enable 2 0", "enable 3 0");
        assertThat(command(guest, 4, 4, 0, 2, 0)).isZero();
        assertThat(backEnd.log).contains("enable 2 1", "enable 3 1");
        echo(guest, 3, 9);
        assertThat(command(guest, 4, 4, 0, 3, 0)).as("more than there are").isEqualTo(1);
        assertThat(command(guest, 4, 4, 0, 0, 0)).as("none").isEqualTo(1);
        assertThat(command(guest, 4, 1, 0, 1, 0)).as("another command").isEqualTo(1);
        assertThat(command(guest, 4, 4)).as("half a command").isEqualTo(1);
        assertThat(backEnd.log.stream().filter("12/8/1"::equals))
                .as("the commands' queue stays here")
                .hasSize(4);
    }

    /** "controlq: index 2 if VIRTIO_NET_F_MQ is not negotiated" (virtio 1.2, 5.1.2). */
    @Test
    void takesCommandsOnTheThirdQueueWithoutSeveralPairs() throws Exception {
        var net = new VhostUserNet("net0", backEnd, new byte[6], 2);
        VirtioDriver guest = attach(net);
        guest.start(guest.offered() & ~(1L << 22));
        assertThat(command(guest, 2, 4, 0, 1, 0)).as("not agreed on").isEqualTo(1);
        echo(guest, 1, 4);
        guest.negotiate(guest.offered() & ~(1L << 17));
        assertThat(guest.status() & 8)
                .as("5.1.3.1: several pairs need commands")
                .isZero();
    }

    private static int command(VirtioDriver guest, int queue, int... bytes) {
        byte[] content = new byte[bytes.length];
        for (int i = 0; i < bytes.length; i++) {
            content[i] = (byte) bytes[i];
        }
        Buffer status = guest.buffers().writable(1);
        guest.queue(queue).add(guest.buffers().readable(content), status);
        guest.kick(queue);
        awaitWith(guest, () -> guest.queue(queue).takeUsed().isPresent());
        return guest.buffers().bytes(status)[0];
    }

    @ParameterizedTest
    @ValueSource(ints = {2, 5, 8, 9, 10, 12, 13, 18})
    void asksForAResetWhenTheBackEndAnswersNonsense(int request) throws Exception {
        VirtioDriver guest = attach(device);
        backEnd.wrongAt = request;
        guest.start(guest.offered());
        assertThat(guest.needsReset()).isTrue();
        backEnd.wrongAt = 0;
        guest.mmio().setRegister(0x070, 0);
        guest.start(guest.offered());
        echo(guest, 0, 3);
    }

    @ParameterizedTest
    @ValueSource(ints = {2, 5, 11})
    void survivesABackEndThatEndsInTheMiddle(int request) throws Exception {
        VirtioDriver guest = attach(device);
        backEnd.endAt = request;
        guest.start(guest.offered());
        guest.mmio().setRegister(0x070, 0);
        backEnd.endAt = 0;
        guest.start(guest.offered());
        echo(guest, 0, 3);
    }

    @Test
    void doesNotWaitForABackEndForEver() throws Exception {
        backEnd.patience = Duration.ofSeconds(1);
        VirtioDriver guest = attach(device);
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
                .isThrownBy(() -> Guests.attach(device))
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
