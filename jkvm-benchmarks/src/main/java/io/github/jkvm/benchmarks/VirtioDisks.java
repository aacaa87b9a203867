package io.github.jkvm.benchmarks;

import io.github.jkvm.testkit.linux.LinuxMachine;
import io.github.jkvm.virtio.VirtioPci;
import io.github.jkvm.virtio.block.BlockDevice;
import io.github.jkvm.virtio.block.ImageAccess;
import io.github.jkvm.virtio.block.RawImage;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** The guests' disks: raw files in memory, so that no storage of the host is measured. */
final class VirtioDisks {
    private static final int DISK_MIB = 128;

    private VirtioDisks() {}

    /**
     * Measures.
     *
     * @param folder where the images go
     * @param figures how the names of the figures begin, after {@code virtio.}
     */
    static void compare(Path folder, List<String> figures) throws IOException, InterruptedException {
        List<VirtioJob> jobs = VirtioJob.ofDisk("/dev/vda").stream()
                .filter(job -> figures.stream().anyMatch(figure -> job.name().startsWith("virtio." + figure)))
                .toList();
        if (jobs.isEmpty()) {
            throw new IllegalArgumentException("none of the disk's figures begins with " + figures);
        }
        Path ours = disk(folder.resolve("jkvm.img"));
        Path theirs = disk(folder.resolve("qemu.img"));
        BlockDevice disk = BlockDevice.builder("disk0", RawImage.open(ours, ImageAccess.READ_WRITE))
                .build();
        List<String> devices = List.of(
                "-drive",
                "if=none,id=disk,format=raw,cache=writeback,aio=threads,file=" + theirs,
                "-device",
                "virtio-blk-pci,drive=disk,disable-legacy=on");
        try (LinuxMachine jkvm = VirtioTurns.guest("virtio_blk", "fio")
                        .device(new VirtioPci(disk))
                        .start();
                QemuGuest qemu = QemuGuest.start(VirtioTurns.guest("virtio_blk", "fio"), folder, devices)) {
            VirtioTurns.compare(jkvm.shell(), qemu, jobs, jobs);
            System.err.println("jkvm's disk: " + disk.counters());
        }
    }

    /** A file without holes. */
    private static Path disk(Path file) throws IOException {
        try (OutputStream out = Files.newOutputStream(file)) {
            byte[] part = new byte[1 << 20];
            for (int i = 0; i < DISK_MIB; i++) {
                out.write(part);
            }
        }
        return file;
    }
}
