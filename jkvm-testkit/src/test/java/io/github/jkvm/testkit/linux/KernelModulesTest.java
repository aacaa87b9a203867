package io.github.jkvm.testkit.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.zip.GZIPOutputStream;
import org.apache.commons.compress.archivers.cpio.CpioArchiveInputStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.opentest4j.TestAbortedException;
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
        var files = new RootFiles();
        KernelModules.of(modules).addTo(files, List.of("virtiofs"));

        Map<String, String> all = new TreeMap<>();
        try (var archive = new CpioArchiveInputStream(new ByteArrayInputStream(files.archive()))) {
            for (var entry = archive.getNextEntry(); entry != null; entry = archive.getNextEntry()) {
                var contents = new ByteArrayOutputStream();
                archive.transferTo(contents);
                all.put(entry.getName(), contents.toString(StandardCharsets.UTF_8));
            }
        }
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
    void aKernelWithoutModulesIsNoneAndTheTestIsSkippedWithTheRemedy() throws IOException {
        Path boot = Files.createDirectories(folder.resolve("boot"));
        Files.writeString(boot.resolve("vmlinuz-6.10.0-1-amd64"), "no modules of this version");
        assertThatExceptionOfType(TestAbortedException.class)
                .isThrownBy(() -> GuestKernel.newest(boot, folder.resolve("modules")))
                .withMessageContaining("no " + boot + "/vmlinuz-*")
                .withMessageContaining("apt-get install linux-image-cloud-amd64");
    }
}
