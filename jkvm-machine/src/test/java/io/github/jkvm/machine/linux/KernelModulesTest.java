package io.github.jkvm.machine.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tukaani.xz.LZMA2Options;
import org.tukaani.xz.XZOutputStream;

/** Modules as Linux installs them (modules.dep(5): a file, and what it needs, each before what it needs in turn). */
class KernelModulesTest {
    @TempDir
    private Path folder;

    private Path modules;

    @BeforeEach
    void install() throws IOException {
        modules = Files.createDirectories(folder.resolve("modules/6.9.0-1-amd64"));
        Files.writeString(modules.resolve("modules.dep"), """
                kernel/fs/virtiofs.ko.xz: kernel/virtio/virtio.ko.gz kernel/virtio/virtio_ring.ko kernel/fs/fuse.ko
                kernel/virtio/virtio.ko.gz: kernel/virtio/virtio_ring.ko
                kernel/virtio/virtio_ring.ko:
                kernel/fs/fuse.ko:
                kernel/hw/virtio-rng.ko: kernel/virtio/virtio.ko.gz kernel/virtio/virtio_ring.ko
                """);
        Files.writeString(modules.resolve("modules.builtin"), "kernel/fs/ext4/ext4.ko\n");
        Files.writeString(
                modules.resolve("modules.alias"),
                "# Aliases\nalias fs-virtiofs virtiofs\nalias virtio:d4 virtio_rng\nalias fs-fuse fuse\n");
        for (String name : List.of("fs/virtiofs.ko.xz", "virtio/virtio.ko.gz", "virtio/virtio_ring.ko", "fs/fuse.ko")) {
            Path file = modules.resolve("kernel").resolve(name);
            Files.createDirectories(file.getParent());
            try (OutputStream out = packed(file)) {
                out.write(("contents of " + name).getBytes(StandardCharsets.UTF_8));
            }
        }
    }

    private static OutputStream packed(Path file) throws IOException {
        OutputStream out = Files.newOutputStream(file);
        return file.toString().endsWith(".xz")
                ? new XZOutputStream(out, new LZMA2Options(0))
                : file.toString().endsWith(".gz") ? new GZIPOutputStream(out) : out;
    }

    @Test
    void areOrderedSoThatEachComesAfterWhatItNeeds() throws IOException {
        assertThat(KernelModules.of(modules).inLoadingOrder(List.of("virtiofs", "ext4", "virtio_rng", "virtio-rng")))
                .containsExactly(
                        "kernel/fs/fuse.ko",
                        "kernel/virtio/virtio_ring.ko",
                        "kernel/virtio/virtio.ko.gz",
                        "kernel/fs/virtiofs.ko.xz",
                        "kernel/hw/virtio-rng.ko");
    }

    @Test
    void areUnpackedWithTheListsThatModprobeReads() throws IOException {
        var files = new Initramfs();
        KernelModules.of(modules).addTo(files, List.of("virtiofs"));

        Map<String, String> all = CpioEntry.read(files.archive()).stream()
                .collect(Collectors.toMap(CpioEntry::name, CpioEntry::contents));
        String place = "usr/lib/modules/6.9.0-1-amd64/";
        assertThat(all)
                .containsEntry(place + "kernel/fs/virtiofs.ko", "contents of fs/virtiofs.ko.xz")
                .containsEntry(place + "kernel/virtio/virtio.ko", "contents of virtio/virtio.ko.gz")
                .containsEntry(place + "modules.dep", """
                        kernel/fs/fuse.ko:
                        kernel/virtio/virtio_ring.ko:
                        kernel/virtio/virtio.ko: kernel/virtio/virtio_ring.ko
                        kernel/fs/virtiofs.ko: kernel/virtio/virtio.ko kernel/virtio/virtio_ring.ko kernel/fs/fuse.ko
                        """)
                .containsEntry(place + "modules.alias", "alias fs-virtiofs virtiofs\nalias fs-fuse fuse\n");
    }

    @Test
    void areMissedByName() throws IOException {
        KernelModules known = KernelModules.of(modules);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> known.inLoadingOrder(List.of("virtio_gone")))
                .withMessage("the kernel with the modules in " + modules
                        + " has no module 'virtio_gone'; check its name, or give the guest another kernel");
    }

    @Test
    void areUnpackedFromZstandardFrames() throws IOException {
        // RFC 8878, 3.1.1: a frame that tells its size, 5, with one raw block.
        byte[] frame = {0x28, (byte) 0xB5, 0x2F, (byte) 0xFD, 1 << 5, 5, 5 << 3 | 1, 0, 0, 'h', 'e', 'l', 'l', 'o'};
        Path file = Files.write(folder.resolve("virtio.ko.zst"), frame);
        assertThat(ModuleFile.unpacked(file))
                .asString(StandardCharsets.US_ASCII)
                .isEqualTo("hello");
    }

    @Test
    void areNamedIfTheyCannotBeUnpacked() throws IOException {
        // The same without its size, and with the size 2^64-1 in the eight bytes that there may be.
        byte[] untold = {0x28, (byte) 0xB5, 0x2F, (byte) 0xFD, 0, 0, 5 << 3 | 1, 0, 0, 'h', 'e', 'l', 'l', 'o'};
        byte[] huge = {0x28, (byte) 0xB5, 0x2F, (byte) 0xFD, (byte) (3 << 6 | 1 << 5), -1, -1, -1, -1, -1, -1, -1, -1};
        Path file = folder.resolve("virtio.ko.zst");
        Files.write(file, untold);
        assertThatIOException()
                .isThrownBy(() -> ModuleFile.unpacked(file))
                .withMessage("the module " + file
                        + " can't be unpacked: zstd frame does not say how many bytes it unpacks to");
        Files.write(file, huge);
        assertThatIOException()
                .isThrownBy(() -> ModuleFile.unpacked(file))
                .withMessageContaining("18446744073709551615 bytes");
        Path other = Files.write(folder.resolve("virtio.ko.xz"), huge);
        assertThatIOException()
                .isThrownBy(() -> ModuleFile.unpacked(other))
                .withMessageStartingWith("the module " + other + " can't be unpacked");
    }
}
