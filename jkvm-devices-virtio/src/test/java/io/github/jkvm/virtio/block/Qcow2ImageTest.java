package io.github.jkvm.virtio.block;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIOException;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What qcow2 images have beside their content: features, images below, snapshots, refcounts. Held against QEMU's own tool. */
final class Qcow2ImageTest {
    private static final int SIZE = 4 << 20;

    @TempDir
    Path folder;

    private Path path() {
        return folder.resolve("disk.qcow2");
    }

    private static byte[] random(long seed, int length) {
        byte[] bytes = new byte[length];
        new SplittableRandom(seed).nextBytes(bytes);
        return bytes;
    }

    private static List<MemorySegment> segment(byte[] bytes) {
        return List.of(MemorySegment.ofArray(bytes));
    }

    private static byte[] read(DiskImage image, long offset, int length) throws IOException {
        byte[] bytes = new byte[length];
        image.read(offset, segment(bytes));
        return bytes;
    }

    private void check() {
        if (QemuImg.isThere()) {
            QemuImg.run("check", "-f", "qcow2", path());
        }
    }

    @ParameterizedTest
    @CsvSource({"1", "2", "4", "8", "16", "32", "64"})
    void keepsRefcountsOfAllWidths(int bits) throws IOException {
        QemuImg.require();
        QemuImg.run("create", "-q", "-f", "qcow2", "-o", "refcount_bits=" + bits + ",cluster_size=4k", path(), SIZE);
        DiskModel model = new DiskModel(bits, new byte[SIZE]);
        try (Qcow2Image image = Qcow2Image.open(path(), ImageAccess.READ_WRITE)) {
            for (int i = 0; i < 300; i++) {
                model.step(image, 64);
            }
        }
        check();
        try (Qcow2Image image = Qcow2Image.open(path(), ImageAccess.READ_ONLY)) {
            model.check(image);
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {4096, 65536, 2097152})
    void readsAndReplacesCompressedClusters(int clusterSize) throws IOException {
        QemuImg.require();
        byte[] content = new byte[SIZE];
        SplittableRandom random = new SplittableRandom(1);
        for (int i = 0; i < SIZE; i++) {
            // Packs well, but not to nothing.
            content[i] = (byte) (i % 4096 < 1000 ? random.nextInt() : i >> 12);
        }
        Path raw = Files.write(folder.resolve("raw"), content);
        QemuImg.run("convert", "-c", "-f", "raw", "-O", "qcow2", "-o", "cluster_size=" + clusterSize, raw, path());
        assertThat(Files.size(path())).isLessThan(SIZE / 2 + 6L * clusterSize);
        DiskModel model = new DiskModel(2, content);
        try (Qcow2Image image = Qcow2Image.open(path(), ImageAccess.READ_WRITE)) {
            model.check(image);
            for (int i = 0; i < 200; i++) {
                model.step(image, 40);
            }
            model.check(image);
        }
        check();
    }

    @Test
    void leavesInternalSnapshotsAsTheyAre() throws IOException {
        QemuImg.require();
        byte[] first = random(3, SIZE);
        Path raw = Files.write(folder.resolve("raw"), first);
        QemuImg.run("convert", "-f", "raw", "-O", "qcow2", "-o", "cluster_size=4k", raw, path());
        QemuImg.run("snapshot", "-c", "before", path());
        DiskModel model = new DiskModel(4, first);
        try (Qcow2Image image = Qcow2Image.open(path(), ImageAccess.READ_WRITE)) {
            for (int i = 0; i < 300; i++) {
                model.step(image, 40);
            }
            model.check(image);
        }
        check();
        QemuImg.run("snapshot", "-a", "before", path());
        QemuImg.run("compare", "-f", "raw", "-F", "qcow2", raw, path());
        QemuImg.run("snapshot", "-d", "before", path());
        check();
    }

    @Test
    void readsWhatQemuReservedAndZeroed() throws IOException {
        QemuImg.require();
        QemuImg.run("create", "-q", "-f", "qcow2", "-o", "preallocation=metadata", path(), SIZE);
        DiskModel model = new DiskModel(5, new byte[SIZE]);
        try (Qcow2Image image = Qcow2Image.open(path(), ImageAccess.READ_WRITE)) {
            model.check(image);
            for (int i = 0; i < 200; i++) {
                model.step(image, 300);
            }
        }
        check();
    }

    @Test
    void writesOnlyOverTheImageThatTheProgramNames() throws IOException {
        byte[] content = random(6, SIZE);
        Path raw = Files.write(folder.resolve("base.raw"), content);
        try (RawImage base = RawImage.open(raw, ImageAccess.READ_ONLY)) {
            Qcow2Options options = Qcow2Options.defaults().withBacking(base, "/etc/passwd", "raw");
            try (Qcow2Image image = Qcow2Image.create(path(), SIZE, options)) {
                assertThat(read(image, 0, SIZE)).isEqualTo(content);
            }
            assertThatExceptionOfType(ImageFormatException.class)
                    .isThrownBy(() -> Qcow2Image.open(path(), ImageAccess.READ_ONLY))
                    .withMessageContaining("it lies over another image, which it calls '/etc/passwd'");
            try (Qcow2Image image = Qcow2Image.openOver(path(), ImageAccess.READ_WRITE, base)) {
                assertThat(read(image, 512, 512)).isEqualTo(Arrays.copyOfRange(content, 512, 1024));
            }
            Files.delete(path());
            Qcow2Image.create(path(), SIZE, Qcow2Options.defaults()).close();
            assertThatExceptionOfType(ImageFormatException.class)
                    .isThrownBy(() -> Qcow2Image.openOver(path(), ImageAccess.READ_ONLY, base))
                    .withMessageContaining("does not lie over another image");
        }
    }

    @Test
    void growsToManyTimesItsSize() throws IOException {
        byte[] data = random(7, 512);
        try (Qcow2Image image =
                Qcow2Image.create(path(), SIZE, Qcow2Options.defaults().withClusterSize(4096))) {
            image.write(SIZE - 512, segment(data));
            image.grow(1L << 32);
            assertThat(image.size()).isEqualTo(1L << 32);
            image.write((1L << 32) - 512, segment(data));
            assertThatIllegalArgumentException().isThrownBy(() -> image.grow(SIZE));
        }
        check();
        try (Qcow2Image image = Qcow2Image.open(path(), ImageAccess.READ_ONLY)) {
            assertThat(read(image, SIZE - 512, 512)).isEqualTo(data);
            assertThat(read(image, SIZE, 512)).containsOnly(0);
            assertThat(read(image, (1L << 32) - 512, 512)).isEqualTo(data);
            assertThatIllegalStateException().isThrownBy(() -> image.grow(1L << 33));
        }
    }

    @Test
    void growsItsRefcountTableAsTheFileGrows() throws IOException {
        // With clusters of 512 bytes, one cluster of the table counts 8 MiB of the file.
        int size = 24 << 20;
        byte[] content = random(8, size);
        try (Qcow2Image image =
                Qcow2Image.create(path(), size, Qcow2Options.defaults().withClusterSize(512))) {
            for (int at = 0; at < size; at += 1 << 20) {
                image.write(at, segment(Arrays.copyOfRange(content, at, at + (1 << 20))));
            }
        }
        check();
        try (Qcow2Image image = Qcow2Image.open(path(), ImageAccess.READ_ONLY)) {
            assertThat(read(image, 0, size)).isEqualTo(content);
        }
    }

    @Test
    void servesManyThreadsAtTheSameTime() throws Exception {
        int threads = 4;
        int share = 2 << 20;
        try (Qcow2Image image = Qcow2Image.create(
                        path(), (long) threads * share, Qcow2Options.defaults().withClusterSize(4096));
                ExecutorService pool = Executors.newFixedThreadPool(threads)) {
            List<Callable<Void>> work = new ArrayList<>();
            for (int i = 0; i < threads; i++) {
                DiskModel model = new DiskModel(i, new byte[share]);
                DiskImage part = new DiskPart(image, (long) i * share, share);
                work.add(() -> {
                    for (int step = 0; step < 400; step++) {
                        model.step(part, 60);
                        if (step % 40 == 0) {
                            part.flush();
                        }
                    }
                    model.check(part);
                    return null;
                });
            }
            for (Future<Void> done : pool.invokeAll(work)) {
                done.get();
            }
        }
        check();
    }

    @Test
    void isConsistentWheneverItsFileIsCopied() throws IOException {
        QemuImg.require();
        DiskModel model = new DiskModel(9, new byte[SIZE]);
        Path copy = folder.resolve("copy.qcow2");
        try (Qcow2Image image =
                Qcow2Image.create(path(), SIZE, Qcow2Options.defaults().withClusterSize(4096))) {
            for (int i = 0; i < 40; i++) {
                for (int step = 0; step < 20; step++) {
                    model.step(image, 100);
                }
                boolean flushed = i % 4 == 0;
                if (flushed) {
                    image.flush();
                }
                // As a crash of this program would leave it.
                Files.copy(path(), copy, StandardCopyOption.REPLACE_EXISTING);
                assertThat(QemuImg.tryRun("check", "-f", "qcow2", copy).status())
                        .as("0 is no error, 3 are leaked clusters")
                        .isIn(0, 3);
                if (flushed) {
                    try (Qcow2Image found = Qcow2Image.open(copy, ImageAccess.READ_WRITE)) {
                        model.check(found);
                    }
                }
            }
        }
        check();
    }

    @Test
    void takesFreedClustersAgain() throws IOException {
        try (Qcow2Image image = Qcow2Image.create(path(), SIZE, Qcow2Options.defaults())) {
            for (int i = 0; i < 20; i++) {
                image.write(0, segment(random(i, SIZE)));
                image.discard(0, SIZE);
                image.flush();
            }
        }
        assertThat(Files.size(path())).isLessThan(2L * SIZE);
        check();
    }

    @Test
    void isRefusedIfItNeedsWhatIsNotSupported() throws IOException {
        QemuImg.require();
        Path file = folder.resolve("refused");
        refused("version 2 is not supported", file, "compat=0.10");
        refused("compression type zstd is not supported", file, "compression_type=zstd");
        refused("extended L2 entries (subclusters) are not supported", file, "extended_l2=on,cluster_size=64k");
        refused("external data files are not supported", file, "data_file=" + folder.resolve("data"));
        Files.write(file, new byte[4096]);
        assertThatExceptionOfType(ImageFormatException.class)
                .isThrownBy(() -> Qcow2Image.open(file, ImageAccess.READ_ONLY))
                .withMessageContaining("not a qcow2 image");
    }

    private static void refused(String why, Path file, String options) throws IOException {
        if (QemuImg.tryRun("create", "-q", "-f", "qcow2", "-o", options, file, SIZE)
                        .status()
                != 0) {
            // An older QEMU, or one built without it.
            return;
        }
        assertThatExceptionOfType(ImageFormatException.class)
                .isThrownBy(() -> Qcow2Image.open(file, ImageAccess.READ_ONLY))
                .withMessageContaining(why);
        Files.delete(file);
    }

    @Test
    void namesWhatIsWrongWithAHeader() throws IOException {
        Qcow2Image.create(path(), SIZE, Qcow2Options.defaults()).close();
        byte[] good = Files.readAllBytes(path());
        badHeader(good, 20, 4, 8, "cluster bits 8 must be from 9 to 21");
        badHeader(good, 20, 4, 22, "cluster bits 22");
        badHeader(good, 20, 4, 0xFFFF_FFFFL, "cluster bits -1");
        badHeader(good, 24, 8, SIZE + 1, "disk size 4194305 must be whole sectors");
        badHeader(good, 24, 8, -512, "disk size 18446744073709551104");
        badHeader(good, 24, 8, 1L << 40, "L1 table of 1 entries must have 2048 to 4194304");
        badHeader(good, 32, 4, 1, "encryption (AES) is not supported");
        badHeader(good, 36, 4, 0x7FFF_FFFFL, "L1 table of 2147483647 entries");
        badHeader(good, 36, 4, 4194304, "L1 table of 33554432 bytes");
        badHeader(good, 40, 8, 0, "L1 table of 8 bytes at 0x0");
        badHeader(good, 40, 8, 65536, "L1 table and refcount table overlap");
        badHeader(good, 40, 8, 65537, "must be on a cluster");
        badHeader(good, 40, 8, 1L << 62, "within the file");
        badHeader(good, 40, 8, -65536, "within the file");
        badHeader(good, 48, 8, 0, "refcount table of 65536 bytes at 0x0");
        badHeader(good, 48, 8, 1L << 55, "refcount table of 65536 bytes");
        badHeader(good, 56, 4, 0, "refcount table of 0 clusters");
        badHeader(good, 56, 4, 0x7FFF_FFFFL, "refcount table of 2147483647 clusters");
        badHeader(good, 60, 4, 0xFFFF_FFFFL, "4294967295 snapshots");
        badHeader(good, 60, 4, 1, "snapshot table");
        badHeader(good, 72, 8, 1L << 40, "incompatible feature bit 40 is not known");
        badHeader(good, 96, 4, 7, "refcount order 7 must be from 0 to 6");
        badHeader(good, 100, 4, 96, "header length 96");
        badHeader(good, 100, 4, 109, "header length 109");
        badHeader(good, 8, 8, 104, "name of the backing file, 0 bytes");
        badHeader(good, 8, 8, 1L << 40, "must be within the first cluster");
        badHeader(good, 0, 4, 0, "not a qcow2 image");
        badHeader(good, 4, 4, 4, "qcow2 version 4 is not supported");
    }

    private void badHeader(byte[] good, int at, int bytes, long value, String why) throws IOException {
        byte[] bad = good.clone();
        for (int i = 0; i < bytes; i++) {
            bad[at + i] = (byte) (value >>> (8 * (bytes - 1 - i)));
        }
        Files.write(path(), bad);
        for (ImageAccess access : ImageAccess.values()) {
            assertThatExceptionOfType(ImageFormatException.class)
                    .isThrownBy(() -> Qcow2Image.open(path(), access))
                    .withMessageContaining(why);
        }
        assertThat(Files.readAllBytes(path())).isEqualTo(bad);
    }

    @Test
    void opensForReadingOnlyWhatMayBeDamaged() throws IOException {
        Qcow2Image.create(path(), SIZE, Qcow2Options.defaults()).close();
        byte[] bytes = Files.readAllBytes(path());
        for (byte flag : new byte[] {1, 2}) {
            bytes[79] = flag;
            Files.write(path(), bytes);
            Qcow2Image.open(path(), ImageAccess.READ_ONLY).close();
            assertThatExceptionOfType(ImageFormatException.class)
                    .isThrownBy(() -> Qcow2Image.open(path(), ImageAccess.READ_WRITE))
                    .withMessageContaining("repair it with qemu-img check -r all");
        }
    }

    @Test
    void marksAnImageWhoseTablesContradictThemselves() throws IOException {
        try (Qcow2Image image = Qcow2Image.create(path(), SIZE, Qcow2Options.defaults())) {
            image.write(0, segment(random(1, 65536)));
        }
        byte[] bytes = Files.readAllBytes(path());
        // The first L1 entry points to the L1 table itself.
        long l1 = ByteBuffer.wrap(bytes).getLong(40);
        ByteBuffer.wrap(bytes).putLong((int) l1, l1 | Long.MIN_VALUE);
        Files.write(path(), bytes);
        try (Qcow2Image image = Qcow2Image.open(path(), ImageAccess.READ_WRITE)) {
            assertThatIOException()
                    .isThrownBy(() -> read(image, 0, 512))
                    .withMessageContaining("L2 table at 0x30000")
                    .withMessageContaining("check it with qemu-img check");
            assertThatIOException()
                    .isThrownBy(() -> image.write(0, segment(new byte[512])))
                    .withMessageContaining("not written, since the image is damaged");
            assertThatIOException().isThrownBy(image::flush);
        }
        assertThat(Files.readAllBytes(path())[79]).isEqualTo((byte) 2);
    }
}
