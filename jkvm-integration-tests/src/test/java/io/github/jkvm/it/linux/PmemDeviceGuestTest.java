package io.github.jkvm.it.linux;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.MemoryBacking;
import io.github.jkvm.MemoryBacking.Sharing;
import io.github.jkvm.testkit.linux.LinuxMachine;
import io.github.jkvm.testkit.linux.LinuxMachineBuilder;
import io.github.jkvm.testkit.linux.RequiresLinuxGuest;
import io.github.jkvm.virtio.pmem.PmemDevice;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Linux's virtio_pmem with a file system on it. */
@RequiresLinuxGuest
@Timeout(600)
class PmemDeviceGuestTest {
    private static final long SIZE = 32L << 20;
    private static final Duration LIMIT = Duration.ofMinutes(3);

    @TempDir
    Path folder;

    private Path file(String name) throws IOException {
        Path path = folder.resolve(name);
        try (var file = new RandomAccessFile(path.toFile(), "rw")) {
            file.setLength(SIZE);
        }
        return path;
    }

    private static LinuxMachine start(GuestTransport transport, PmemDevice... devices) throws Exception {
        LinuxMachineBuilder builder = LinuxMachine.builder()
                .modules(transport.module(), "virtio_pmem", "nd_pmem", "ext4")
                .programs("mkfs.ext4");
        for (PmemDevice device : devices) {
            builder.device(transport.of(device));
        }
        return builder.start();
    }

    private static String fsck(Path image) throws Exception {
        Process fsck = new ProcessBuilder("fsck.ext4", "-fn", image.toString())
                .redirectErrorStream(true)
                .start();
        String output = new String(fsck.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(fsck.waitFor()).as(output).isZero();
        return output;
    }

    /** Makes a file system with a file, and returns its checksum. */
    static String keepsAFile(LinuxMachine guest, PmemDevice pmem) throws InterruptedException {
        String sum = guest.run("mkfs.ext4 -q -b 4096 /dev/pmem0 && mount -t ext4 /dev/pmem0 /mnt"
                + " && dd if=/dev/urandom of=/mnt/data bs=64k count=100 2>/dev/null && sync && sha256sum </mnt/data");
        assertThat(pmem.counters().get("flushes")).isPositive();
        assertThat(pmem.counters().get("failedFlushes")).isZero();
        return sum;
    }

    @ParameterizedTest
    @EnumSource
    void keepsAFileSystemInAFileOfTheHost(GuestTransport transport) throws Exception {
        Path path = file("pmem");
        var pmem = new PmemDevice("pmem0", new MemoryBacking.File(path, 0, SIZE, Sharing.SHARED));
        String sum;
        try (LinuxMachine guest = start(transport, pmem)) {
            assertThat(guest.run("cat /sys/block/pmem0/size")).isEqualTo(Long.toString(SIZE / 512));
            sum = keepsAFile(guest, pmem);
            // The machine's end is a power failure for the guest: what it flushed is in the file.
        }
        assertThat(fsck(path)).contains("pmem");
        var again = new PmemDevice("pmem0", new MemoryBacking.File(path, 0, SIZE, Sharing.SHARED));
        try (LinuxMachine guest = start(transport, again)) {
            assertThat(guest.run("mount -t ext4 /dev/pmem0 /mnt && sha256sum </mnt/data && umount /mnt"))
                    .isEqualTo(sum);
        }
    }

    @Test
    void leavesAFileThatIsMappedCopyOnWrite() throws Exception {
        Path path = file("template");
        var shared = new PmemDevice("pmem0", new MemoryBacking.File(file("other"), 0, SIZE, Sharing.SHARED));
        var copy = new PmemDevice("pmem1", new MemoryBacking.File(path, 0, SIZE, Sharing.COPY_ON_WRITE));
        try (LinuxMachine guest = start(GuestTransport.MMIO, shared, copy)) {
            guest.run(
                    "mkfs.ext4 -q -b 4096 /dev/pmem1 && mount -t ext4 /dev/pmem1 /mnt && seq 1000 >/mnt/numbers && sync"
                            + " && umount /mnt");
            assertThat(guest.execute("mount -t ext4 /dev/pmem0 /mnt", LIMIT).status())
                    .isNotZero();
        }
        byte[] contents = Files.readAllBytes(path);
        // Not byte by byte, each of which would be an object.
        assertThat(Arrays.equals(contents, new byte[contents.length]))
                .as("all zeros")
                .isTrue();
    }
}
