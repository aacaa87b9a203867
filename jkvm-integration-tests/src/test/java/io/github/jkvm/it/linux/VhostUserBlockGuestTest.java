package io.github.jkvm.it.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jkvm.machine.MachineBuilder;
import io.github.jkvm.testkit.linux.LinuxMachine;
import io.github.jkvm.testkit.linux.RequiresLinuxGuest;
import io.github.jkvm.virtio.vhost.VhostUserBlock;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Linux's virtio_blk on a disk that QEMU's storage daemon serves, to which the queues are handed. */
@RequiresLinuxGuest
@Timeout(600)
class VhostUserBlockGuestTest {
    private static final Duration LIMIT = Duration.ofMinutes(4);
    private static final Path PROGRAM = Path.of("/usr/bin/qemu-storage-daemon");
    private static final int QUEUES = 2;

    @TempDir
    Path folder;

    private ProcessHandle daemon;

    /** Starts a daemon, which listens on return. */
    private void startDaemon(Path socket) throws IOException, InterruptedException {
        Path number = folder.resolve("pid");
        Process starter = new ProcessBuilder(
                        PROGRAM.toString(),
                        "--daemonize",
                        "--pidfile=" + number,
                        "--blockdev",
                        "driver=file,node-name=disk,filename=" + folder.resolve("disk"),
                        "--export",
                        "type=vhost-user-blk,id=export,node-name=disk,writable=on,num-queues=" + QUEUES
                                + ",addr.type=unix,addr.path=" + socket)
                .redirectErrorStream(true)
                .start();
        String output = new String(starter.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(starter.waitFor()).as(output).isZero();
        daemon = ProcessHandle.of(Long.parseLong(Files.readString(number).strip()))
                .orElseThrow();
    }

    @AfterEach
    void killDaemon() throws Exception {
        if (daemon != null) {
            daemon.destroyForcibly();
            daemon.onExit().get(1, TimeUnit.MINUTES);
        }
    }

    @ParameterizedTest
    @EnumSource
    void keepsAFileSystemAlsoWhenTheDaemonIsReplaced(GuestTransport transport) throws Exception {
        assumeTrue(Files.isExecutable(PROGRAM), "no qemu-storage-daemon: apt-get install qemu-system-common");
        try (var disk = new RandomAccessFile(folder.resolve("disk").toFile(), "rw")) {
            disk.setLength(64 << 20);
        }
        Path socket = folder.resolve("socket");
        startDaemon(socket);
        var disk = new VhostUserBlock("disk0", socket, QUEUES);
        try (LinuxMachine guest = LinuxMachine.builder()
                .modules(transport.module(), "virtio_blk", "ext4")
                .programs("mkfs.ext4", "fsck.ext4", "fio")
                .memory(1L << 30) // fio and its libraries are large
                .vcpus(QUEUES)
                .machine(MachineBuilder::sharedMemory)
                .device(transport.of(disk))
                .start()) {
            assertThat(guest.run("ls /sys/block/vda/mq | wc -l")).isEqualTo(String.valueOf(QUEUES));
            guest.run("mkfs.ext4 -q /dev/vda && mount /dev/vda /mnt && cd /mnt && seq 20000 >numbers"
                    + " && head -c 3000000 /dev/urandom >data && sha256sum numbers data >/tmp/sums && cd / && umount /mnt"
                    + " && echo 3 >/proc/sys/vm/drop_caches && mount /dev/vda /mnt && cd /mnt && sha256sum -c /tmp/sums"
                    + " && cd / && sync");
            killDaemon();
            startDaemon(socket);
            guest.run(
                    "cd /mnt && echo 3 >/proc/sys/vm/drop_caches && sha256sum -c /tmp/sums && cd / && umount /mnt"
                            + " && fsck.ext4 -fn /dev/vda",
                    LIMIT);
            assertThat(disk.counters()).containsEntry("backEndLosses", 1L).containsEntry("resumptions", 1L);
            guest.run("echo write through >/sys/block/vda/cache_type && grep -q through /sys/block/vda/cache_type"
                    + " && echo write back >/sys/block/vda/cache_type && grep -q back /sys/block/vda/cache_type");
            guest.run(
                    "fio --name=verify --filename=/dev/vda --ioengine=libaio --direct=1 --thread --rw=randrw --bs=4k"
                            + " --numjobs=2 --iodepth=16 --size=4m --offset_increment=4m --verify=crc32c --verify_fatal=1"
                            + " --do_verify=1",
                    LIMIT);
            assertThat(disk.counters()).containsEntry("backEndLosses", 1L);
            assertDirect(transport, disk);
        }
    }

    /** With MSI-X, neither notifications nor interrupts come by this process, but for those when the queues are handed over. */
    private static void assertDirect(GuestTransport transport, VhostUserBlock disk) {
        assertThat(disk.counters().get("kicks")).isLessThan(50);
        if (transport == GuestTransport.PCI) {
            assertThat(disk.counters().get("calls")).isLessThan(50);
        } else {
            assertThat(disk.counters().get("calls")).isGreaterThan(500);
        }
    }
}
