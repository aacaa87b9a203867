package io.github.jkvm.virtio.vhost;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.github.jkvm.testkit.virtio.Buffer;
import io.github.jkvm.testkit.virtio.VirtioDriver;
import io.github.jkvm.virtio.Guests;
import java.io.RandomAccessFile;
import java.lang.foreign.Arena;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A disk that QEMU's storage daemon serves, driven without a hypervisor. */
@Timeout(60)
class QemuStorageDaemonTest {
    /** What no device writes. */
    private static final byte NO_STATUS = 0x55;

    private static final int IN = 0;
    private static final int OUT = 1;
    private static final int QUEUES = 3;
    private static final int SECTOR = 512;
    private static final long SIZE = 8 << 20;
    private static final int CACHE_FEATURE = 11;

    @TempDir
    Path folder;

    private final Arena arena = Arena.ofAuto();
    private Path disk;
    private Path socket;
    private QemuStorageDaemon daemon;
    private VhostUserBlock device;
    private VirtioDriver guest;

    @BeforeEach
    void start() throws Exception {
        disk = folder.resolve("disk");
        socket = folder.resolve("socket");
        try (var file = new RandomAccessFile(disk.toFile(), "rw")) {
            file.setLength(SIZE);
        }
        daemon = QemuStorageDaemon.start(disk, socket, QUEUES);
        device = new VhostUserBlock("disk0", socket, QUEUES);
        guest = Guests.attach(device, SharedRegion.create(arena, VirtioDriver.MEMORY_BYTES));
        guest.start(guest.offered());
    }

    @AfterEach
    void end() throws Exception {
        if (guest != null) {
            guest.close();
        }
        if (daemon != null) {
            daemon.kill();
        }
    }

    /** A request under way. */
    private record Sent(int queue, Buffer data, Buffer status) {}

    private Sent send(VirtioDriver from, int queue, int type, long sector, byte... content) {
        byte[] header = ByteBuffer.allocate(16)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putInt(type)
                .putInt(0)
                .putLong(sector)
                .array();
        Buffer data =
                type == OUT ? from.buffers().readable(content) : from.buffers().writable(content.length);
        Buffer status = from.buffers().writable(1);
        from.memory().writeByte(status.address(), NO_STATUS);
        from.queue(queue).add(from.buffers().readable(header), data, status);
        from.kick(queue);
        return new Sent(queue, data, status);
    }

    /** Waits for this request's status, since requests of one queue may be completed in any order. */
    private static void await(VirtioDriver by, Sent sent) {
        by.loop().runUntil(() -> {
            by.loop().checkSources();
            by.queue(sent.queue()).takeUsed();
            byte status = by.memory().readByte(sent.status().address());
            return status != NO_STATUS;
        });
        assertThat(by.memory().readByte(sent.status().address())).as("status").isZero();
    }

    private static byte[] sectors(int count, int value) {
        byte[] bytes = new byte[count * SECTOR];
        Arrays.fill(bytes, (byte) value);
        return bytes;
    }

    private void write(VirtioDriver by, int queue, long sector, int value) {
        await(by, send(by, queue, OUT, sector, sectors(2, value)));
    }

    private void assertHolds(VirtioDriver by, int queue, long sector, int value) {
        Sent read = send(by, queue, IN, sector, sectors(2, 0));
        await(by, read);
        assertThat(by.buffers().bytes(read.data())).isEqualTo(sectors(2, value));
        by.buffers().clear();
    }

    @Test
    void servesEveryQueue() throws Exception {
        assertThat(guest.config(0, 8)).as("capacity").isEqualTo(SIZE / SECTOR);
        assertThat(guest.config(34, 2)).as("queues").isEqualTo(QUEUES);
        for (int queue = 0; queue < QUEUES; queue++) {
            write(guest, queue, 10L * queue, 1 + queue);
        }
        for (int queue = 0; queue < QUEUES; queue++) {
            assertHolds(guest, (queue + 1) % QUEUES, 10L * queue, 1 + queue);
        }
        assertThat(Files.readAllBytes(disk)[10 * SECTOR]).isEqualTo((byte) 2);
        assertThat(device.counters()).containsEntry("backEndLosses", 0L);
    }

    @Test
    void switchesTheCacheAsTheDriverWrites() {
        assertThat(guest.offered() & 1L << CACHE_FEATURE).isNotZero();
        for (int choice : new int[] {1, 0, 1}) {
            guest.setConfig(32, 1, choice);
            assertThat(guest.config(32, 1)).isEqualTo(choice);
        }
        guest.setConfig(0, 8, 1);
        assertThat(guest.config(0, 8)).as("what a driver may not write").isEqualTo(SIZE / SECTOR);
        write(guest, 0, 4, 9);
        assertThat(device.counters()).containsEntry("backEndLosses", 0L);
    }

    @Test
    void goesOnWithTheNextDaemonIfTheFirstHadCompletedAll() throws Exception {
        write(guest, 0, 0, 1);
        daemon.kill();
        awaitLoss();
        assertThat(guest.needsReset()).isFalse();
        assertThatIllegalStateException().isThrownBy(guest::save).withMessageContaining("its back end is gone");
        List<Sent> sent = new ArrayList<>();
        for (int i = 0; i < 6; i++) {
            sent.add(send(guest, i % QUEUES, OUT, 100 + 2L * i, sectors(2, 10 + i)));
        }
        guest.loop().advance(VhostUserDevice.PATIENCE);
        assertThat(device.counters()).containsEntry("resumptions", 0L);
        daemon = QemuStorageDaemon.start(disk, socket, QUEUES);
        guest.loop().advance(VhostUserDevice.PATIENCE);
        sent.forEach(each -> await(guest, each));
        for (int i = 0; i < 6; i++) {
            assertHolds(guest, 0, 100 + 2L * i, 10 + i);
        }
        assertHolds(guest, 1, 0, 1);
        assertThat(device.counters()).containsEntry("resumptions", 1L).containsEntry("backEndLosses", 1L);
        assertThat(guest.needsReset()).isFalse();
    }

    /** It keeps no notes: no one knows what became of the request. */
    @Test
    void asksForAResetIfTheDaemonWasKilledWithARequest() throws Exception {
        write(guest, 0, 0, 1);
        daemon.kill();
        send(guest, 1, OUT, 100, sectors(2, 7));
        awaitLoss();
        assertThat(guest.needsReset()).isTrue();
        daemon = QemuStorageDaemon.start(disk, socket, QUEUES);
        guest.start(guest.offered());
        assertThat(guest.needsReset()).isFalse();
        assertHolds(guest, 0, 0, 1);
    }

    private void awaitLoss() {
        guest.loop().runUntil(() -> {
            guest.loop().checkSources();
            return device.counters().get("backEndLosses") == 1;
        });
    }

    @Test
    void anotherDaemonServesASavedDevice() throws Exception {
        for (int i = 0; i < 20; i++) {
            write(guest, i % QUEUES, 2L * i, i + 1);
        }
        guest.setConfig(32, 1, 1);
        var state = guest.save();
        device.close();
        daemon.kill();
        daemon = QemuStorageDaemon.start(disk, socket, QUEUES);
        VirtioDriver restored = Guests.restoreInto(guest, new VhostUserBlock("disk0", socket, QUEUES), state);
        guest = restored;
        assertThat(restored.config(32, 1)).as("cache as it was chosen").isEqualTo(1);
        for (int i = 0; i < 20; i++) {
            assertHolds(restored, i % QUEUES, 2L * i, i + 1);
        }
    }
}
