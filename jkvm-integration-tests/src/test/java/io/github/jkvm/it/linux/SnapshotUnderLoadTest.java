package io.github.jkvm.it.linux;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.it.Lane;
import io.github.jkvm.testkit.linux.LinuxMachine;
import io.github.jkvm.testkit.linux.LinuxSnapshot;
import io.github.jkvm.testkit.linux.RequiresLinuxGuest;
import io.github.jkvm.virtio.block.BlockDevice;
import io.github.jkvm.virtio.block.BlockDevice.Serving;
import io.github.jkvm.virtio.block.DiskImage;
import io.github.jkvm.virtio.block.ImageAccess;
import io.github.jkvm.virtio.block.OverlayImage;
import io.github.jkvm.virtio.block.RawImage;
import io.github.jkvm.virtio.net.MacAddress;
import io.github.jkvm.virtio.net.NetDevice;
import io.github.jkvm.virtio.net.TapBackend;
import java.net.InetAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A snapshot of a Linux that writes a disk and talks to its host, both of which go on, and are checked, each time it is restored. */
@RequiresLinuxGuest
@Timeout(3600)
class SnapshotUnderLoadTest {
    private static final int RESTORES = Lane.soak(100, 3);
    private static final Duration LIMIT = Duration.ofMinutes(10);
    private static final int BLOCK = 4096;
    private static final int BLOCKS = 512;
    private static final int WRITTEN_BEFORE = BLOCKS / 4;
    private static final int PORT = 5002;

    /** Writes each block once, in any order, with its place and a checksum in it, several at a time; then reads all of them. */
    private static final String FIO = "fio --name=job --filename=/dev/vda --rw=randwrite --bs=" + BLOCK
            + " --size=" + (long) BLOCK * BLOCKS
            + " --direct=1 --ioengine=libaio --iodepth=8 --thread --verify=crc32c --verify_fatal=1 --do_verify=1"
            + " --output-format=json --output=/tmp/fio";

    /**
     * Has the host send back what it gets, on one connection after the other, and counts how many brought all back as it was sent, and how many ended
     * short. The host of a snapshot is forgotten: a connection that waits for it asks whether it is there, and is reset.
     */
    private static final String TALK = "while :; do i=$((i+1)); (echo $i; cat /tmp/sample) >/tmp/sent;"
            + " socat -t 600 - TCP:" + DeviceFamily.HOST_ADDRESS + ":" + PORT
            + ",keepalive,keepidle=1,keepintvl=1,keepcnt=100 </tmp/sent >/tmp/back;"
            + " if cmp -s /tmp/sent /tmp/back; then echo >>/tmp/rounds;"
            + " elif head -c $(wc -c </tmp/back) /tmp/sent | cmp -s - /tmp/back; then echo >>/tmp/cut;"
            + " else echo $i >>/tmp/wrong; fi; done";

    /** What the kernel says of errors and worse: include/linux/kern_levels.h. */
    private static final String KERNEL_ERRORS = "dmesg -r | grep '^<[0-3]>' || true";

    @TempDir
    private Path folder;

    /** A network of its own, with a host at its other end that echoes. */
    private static NetDevice network() throws Exception {
        TapBackend tap = TapBackend.open("jkvm%d");
        HostCommand.run("ip", "addr", "add", DeviceFamily.HOST_ADDRESS + "/24", "dev", tap.interfaceName());
        HostCommand.run("ip", "link", "set", tap.interfaceName(), "up");
        return NetDevice.builder("net0", tap).build();
    }

    private static EchoPeer peer() throws Exception {
        return new EchoPeer(InetAddress.getByName(DeviceFamily.HOST_ADDRESS), PORT);
    }

    @Test
    void fioAndTheNetworkGoOnAfterEachRestore() throws Exception {
        Path file = folder.resolve("disk");
        NetDevice network = network();
        Set<MacAddress> addresses = new HashSet<>(Set.of(network.macAddress()));
        try (LinuxSnapshot snapshot = snapshotUnderLoad(file, network);
                DiskImage disk = RawImage.open(file, ImageAccess.READ_ONLY)) {
            for (int i = 1; i <= RESTORES; i++) {
                NetDevice own = network();
                assertThat(addresses.add(own.macAddress()))
                        .as("an address of its own")
                        .isTrue();
                BlockDevice block = BlockDevice.builder("disk0", OverlayImage.inMemory(disk))
                        .build();
                try (EchoPeer peer = peer();
                        LinuxMachine clone = snapshot.start(GuestTransport.PCI.of(block), GuestTransport.PCI.of(own))) {
                    assertThat(peer).isNotNull();
                    goesOn(clone, block, own);
                } catch (Exception | AssertionError e) {
                    throw new AssertionError("restore " + i + " of " + RESTORES, e);
                }
            }
        }
    }

    /** Takes a snapshot with requests under way on the disk, bytes under way on the network; what is on the disk then is in the file. */
    private LinuxSnapshot snapshotUnderLoad(Path file, NetDevice network) throws Exception {
        var image = new HeldImage(RawImage.create(file, (long) BLOCK * BLOCKS), WRITTEN_BEFORE);
        BlockDevice block =
                BlockDevice.builder("disk0", image).serving(Serving.BY_WORKERS).build();
        try (LinuxMachine origin = LinuxMachine.builder()
                        .modules(GuestTransport.PCI.module(), "virtio_blk", "virtio_net")
                        .programs("fio", "socat")
                        .memory(512L << 20)
                        .device(GuestTransport.PCI.of(block))
                        .device(GuestTransport.PCI.of(network))
                        .deadline(LIMIT)
                        .start();
                EchoPeer peer = peer()) {
            assertThat(peer).isNotNull();
            origin.run("ip addr add " + DeviceFamily.GUEST_ADDRESS + "/24 dev eth0 && ip link set eth0 up");
            origin.run("head -c 200000 /dev/urandom >/tmp/sample; : >/tmp/wrong; : >/tmp/rounds; : >/tmp/cut");
            origin.run("(" + TALK + ") >/dev/null 2>&1 & until [ -s /tmp/rounds ]; do sleep 0.1; done");
            assertThat(origin.run(KERNEL_ERRORS)).isEmpty();
            origin.run("(" + FIO + " >/tmp/fio-messages 2>&1; echo $? >/tmp/fio-status) >/dev/null 2>&1 &");
            image.awaitHeld();
            origin.machine().pause();
            image.letGo();
            return origin.snapshot();
        }
    }

    private static void goesOn(LinuxMachine clone, BlockDevice block, NetDevice network) throws InterruptedException {
        // The driver learns of its address only so; the kernel then forgets the one of the former host, too.
        clone.run("ip link set dev eth0 address " + network.macAddress());
        clone.run("n=$(wc -l </tmp/rounds); until [ $(wc -l </tmp/rounds) -ge $((n + 2)) ]; do sleep 0.2; done", LIMIT);
        clone.run("until [ -s /tmp/fio-status ]; do sleep 0.2; done", LIMIT);
        assertThat(clone.run("cat /tmp/fio-status /tmp/fio-messages"))
                .as("fio's status, and what it said")
                .isEqualTo("0");
        // The first are of what was read, the second of what was written; then come those of trims and syncs.
        assertThat(clone.run("grep -o '\"total_ios\" : [0-9]*' /tmp/fio | grep -o '[0-9]*$' | head -n 2"))
                .isEqualTo(BLOCKS + "\n" + BLOCKS);
        assertThat(clone.run("cat /tmp/wrong"))
                .as("what came back otherwise than it was sent")
                .isEmpty();
        assertThat(clone.run("wc -l </tmp/cut"))
                .as("connections that ended with their host")
                .isIn("0", "1");
        assertThat(clone.run(KERNEL_ERRORS)).isEmpty();
        assertThat(block.counters()).containsEntry("errors", 0L).containsEntry("queueFaults", 0L);
        assertThat(block.counters().get("writes")).isBetween(1L, (long) BLOCKS - WRITTEN_BEFORE);
        NetDeviceGuestTest.assertMovedBytes(network, 2 * 200_000, 2 * 200_000);
    }
}
