package io.github.jkvm.it.linux;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.testkit.linux.LinuxMachine;
import io.github.jkvm.testkit.linux.RequiresLinuxGuest;
import io.github.jkvm.virtio.VirtioMmio;
import io.github.jkvm.virtio.VirtioPci;
import io.github.jkvm.virtio.block.BlockDevice;
import io.github.jkvm.virtio.block.ImageAccess;
import io.github.jkvm.virtio.block.OverlayImage;
import io.github.jkvm.virtio.block.Qcow2Image;
import io.github.jkvm.virtio.block.Qcow2Options;
import io.github.jkvm.virtio.block.RawImage;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.MethodOrderer.OrderAnnotation;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestMethodOrder;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Linux's virtio_blk on disks of every kind and over both transports, in one guest. */
@RequiresLinuxGuest
@Timeout(600)
@TestMethodOrder(OrderAnnotation.class)
class BlockDeviceGuestTest {
    private static final Duration LIMIT = Duration.ofMinutes(4);
    private static final int MIB = 1 << 20;

    /** A guest's name for the disk with a serial. */
    private static final String FUNCTIONS = """
            disk() { grep -lx "$1" /sys/block/vd*/serial | sed 's|/sys/block/\\(.*\\)/serial|/dev/\\1|'; }
            """;

    @TempDir
    static Path folder;

    private static RawImage rawImage;
    private static Qcow2Image qcow2Image;
    private static RawImage base;
    private static byte[] baseContent;
    private static BlockDevice raw;
    private static BlockDevice qcow2;
    private static BlockDevice overlay;
    private static BlockDevice readOnly;
    private static LinuxMachine guest;

    @BeforeAll
    static void boot() throws Exception {
        baseContent = new byte[8 * MIB];
        new SplittableRandom(1).nextBytes(baseContent);
        Files.write(folder.resolve("base.raw"), baseContent);
        rawImage = RawImage.create(folder.resolve("disk.raw"), 64 * MIB);
        qcow2Image = Qcow2Image.create(folder.resolve("disk.qcow2"), 64 * MIB, Qcow2Options.defaults());
        base = RawImage.open(folder.resolve("base.raw"), ImageAccess.READ_ONLY);
        raw = BlockDevice.builder("disk0", rawImage).serial("raw").build();
        qcow2 = BlockDevice.builder("disk1", qcow2Image)
                .serial("qcow2")
                .queues(2)
                .build();
        overlay = BlockDevice.builder("disk2", OverlayImage.inMemory(base))
                .serial("overlay")
                .build();
        readOnly = BlockDevice.builder("disk3", RawImage.open(folder.resolve("base.raw"), ImageAccess.READ_ONLY))
                .serial("readonly")
                .build();
        guest = LinuxMachine.builder()
                .memory(512L << 20)
                .modules("virtio_mmio", "virtio_pci", "virtio_blk", "ext4")
                .programs("mkfs.ext4", "fsck.ext4", "fio", "blkdiscard")
                .device(new VirtioPci(raw))
                .device(new VirtioMmio(qcow2))
                .device(new VirtioPci(overlay))
                .device(new VirtioMmio(readOnly))
                .start();
    }

    @AfterAll
    static void end() throws IOException {
        if (guest != null) {
            guest.close();
        }
        if (base != null) {
            base.close();
        }
    }

    private static String run(String script) throws InterruptedException {
        return guest.run(FUNCTIONS + script, LIMIT);
    }

    @Test
    @Order(1)
    void linuxFindsTheDisksAndTheirProperties() throws Exception {
        assertThat(run("for s in raw qcow2 overlay readonly; do d=$(disk $s); d=/sys/block/${d#/dev/};"
                        + " echo $s $(cat $d/size $d/ro $d/queue/logical_block_size $d/queue/physical_block_size"
                        + " $d/queue/write_cache) $(ls $d/mq | wc -l); done"))
                .isEqualTo("""
                        raw 131072 0 512 4096 write back 1
                        qcow2 131072 0 512 4096 write back 1
                        overlay 16384 0 512 4096 write back 1
                        readonly 16384 1 512 4096 write back 1""");
    }

    @Test
    @Order(2)
    void keepsAFileSystemThroughRemounts() throws Exception {
        for (String disk : new String[] {"raw", "qcow2"}) {
            run("d=$(disk " + disk + ") && mkfs.ext4 -q $d && mount $d /mnt && cd /mnt"
                    + " && for i in 1 2 3 4 5 6 7 8; do head -c 500000 /dev/urandom >file$i; done && seq 20000 >numbers"
                    + " && sha256sum * >/tmp/sums 2>/dev/null; cp /tmp/sums /mnt/sums && cd / && umount /mnt"
                    + " && echo 3 >/proc/sys/vm/drop_caches"
                    + " && mount $d /mnt && cd /mnt && grep -v lost+found sums | sha256sum -c && cd / && umount /mnt"
                    + " && fsck.ext4 -fn $d");
        }
        assertThat(raw.counters().get("flushes")).isPositive();
        assertThat(raw.counters()).containsEntry("errors", 0L);
        assertThat(qcow2.counters()).containsEntry("errors", 0L);
    }

    @Test
    @Order(3)
    void verifiesWhatFioWrites() throws Exception {
        for (String disk : new String[] {"raw", "qcow2"}) {
            run("fio --name=verify --filename=$(disk " + disk + ") --ioengine=libaio --direct=1 --thread --rw=randrw"
                    + " --bs=4k --iodepth=32 --size=8m --verify=crc32c --verify_fatal=1 --do_verify=1");
        }
        assertThat(qcow2.counters()).containsEntry("errors", 0L);
    }

    @Test
    @Order(4)
    void writesToAnOverlayLeaveItsBaseAlone() throws Exception {
        assertThat(run("cmp $(disk overlay) $(disk readonly) && echo same")).isEqualTo("same");
        run("dd if=/dev/zero of=$(disk overlay) bs=64k seek=3 count=8 oflag=direct");
        assertThat(run("cmp $(disk overlay) $(disk readonly) >/dev/null || echo different"))
                .isEqualTo("different");
        assertThat(Files.readAllBytes(folder.resolve("base.raw"))).isEqualTo(baseContent);
    }

    @Test
    @Order(5)
    void refusesToWriteAReadOnlyDisk() throws Exception {
        assertThat(guest.execute(FUNCTIONS + "dd if=/dev/zero of=$(disk readonly) bs=4k count=1 oflag=direct", LIMIT)
                        .status())
                .isNotZero();
        assertThat(readOnly.counters()).containsEntry("writes", 0L);
    }

    @Test
    @Order(6)
    void givesDiscardedSpaceBackToTheHost() throws Exception {
        run("dd if=/dev/urandom of=$(disk raw) bs=1M count=32 oflag=direct && sync");
        long full = blocks("disk.raw");
        run("/usr/sbin/blkdiscard -o 0 -l 33554432 $(disk raw) && sync");
        assertThat(blocks("disk.raw")).isLessThan(full - 60_000);
        run("dd if=/dev/urandom of=$(disk qcow2) bs=1M count=16 oflag=direct && sync $(disk qcow2)");
        full = blocks("disk.qcow2");
        run(
                "/usr/sbin/blkdiscard -z -o 0 -l 16777216 $(disk qcow2) && /usr/sbin/blkdiscard $(disk qcow2) && blockdev --flushbufs $(disk qcow2)"
                        + " && dd if=/dev/zero of=$(disk qcow2) bs=4k count=1 conv=fsync");
        assertThat(blocks("disk.qcow2")).isLessThan(full - 30_000);
        assertThat(run("dd if=$(disk qcow2) bs=1M count=16 iflag=direct 2>/dev/null | tr -d '\\000' | wc -c"))
                .isEqualTo("0");
    }

    private static long blocks(String file) throws IOException, InterruptedException {
        Process stat =
                new ProcessBuilder("stat", "--format=%b", folder.resolve(file).toString()).start();
        String output = new String(stat.getInputStream().readAllBytes(), StandardCharsets.US_ASCII);
        assertThat(stat.waitFor()).isZero();
        return Long.parseLong(output.strip());
    }

    @Test
    @Order(7)
    void seesADiskGrow() throws Exception {
        rawImage.grow(80 * MIB);
        raw.resize(80 * MIB);
        run("d=$(disk raw); until [ $(cat /sys/block/${d#/dev/}/size) = 163840 ]; do sleep 0.1; done"
                + " && dd if=/dev/urandom of=$d bs=1M seek=79 count=1 oflag=direct");
    }

    @Test
    @Order(8)
    void survivesTheDriverComingAndGoingUnderLoad() throws Exception {
        run("d=$(disk raw); for i in $(seq 8); do dd if=$d of=/dev/null bs=64k count=64 iflag=direct 2>/dev/null & "
                + "for v in /sys/bus/virtio/drivers/virtio_blk/virtio*; do n=${v##*/}; echo $n >${v%/*}/unbind;"
                + " echo $n >${v%/*}/bind; done; wait; done; d=$(disk raw) && mkfs.ext4 -q $d && fsck.ext4 -fn $d");
        assertThat(raw.counters().get("resets")).isGreaterThanOrEqualTo(8);
        assertThat(raw.counters()).containsEntry("failures", 0L);
    }

    @Test
    @Order(9)
    void leavesAConsistentImageBehind() throws Exception {
        String sum = run("sha256sum <$(disk qcow2)");
        guest.close();
        assertThat(host(
                        "qemu-img",
                        "check",
                        "-f",
                        "qcow2",
                        folder.resolve("disk.qcow2").toString()))
                .contains("No errors were found");
        host(
                "qemu-img",
                "convert",
                "-f",
                "qcow2",
                "-O",
                "raw",
                folder.resolve("disk.qcow2").toString(),
                folder.resolve("converted.raw").toString());
        assertThat(sum)
                .startsWith(host("sha256sum", folder.resolve("converted.raw").toString())
                        .substring(0, 64));
        assertThat(Map.of("raw", raw, "qcow2", qcow2).values())
                .allSatisfy(device -> assertThat(device.counters()).containsEntry("queueFaults", 0L));
    }

    private static String host(String... command) throws IOException, InterruptedException {
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor()).as(output).isZero();
        return output;
    }
}
