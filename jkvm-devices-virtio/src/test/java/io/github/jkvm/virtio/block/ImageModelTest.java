package io.github.jkvm.virtio.block;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Every kind of image holds what an array of bytes would, whatever the order of requests. */
final class ImageModelTest {
    private static final int STEPS = Integer.getInteger("jkvm.image.steps", 600);

    @TempDir
    Path folder;

    @Test
    void rawFilesHoldWhatWasWritten() throws IOException {
        Path path = folder.resolve("disk.raw");
        DiskModel model = new DiskModel(1, new byte[2 << 20]);
        try (RawImage image = RawImage.create(path, 2 << 20)) {
            run(model, image, 500);
        }
        assertThat(Files.readAllBytes(path)).isEqualTo(model.bytes());
        try (RawImage image = RawImage.open(path, ImageAccess.READ_ONLY)) {
            model.check(image);
        }
    }

    @Test
    void disksInMemoryHoldWhatWasWritten() throws IOException {
        try (RawImage image = RawImage.inMemory(3 << 20)) {
            run(new DiskModel(2, new byte[3 << 20]), image, 500);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"memory", "disk"})
    void overlaysHoldWhatWasWrittenAndLeaveTheBaseAlone(String where) throws IOException {
        byte[] content = randomBytes(3, 1 << 20);
        Path path = Files.write(folder.resolve("base.raw"), content);
        try (RawImage base = RawImage.open(path, ImageAccess.READ_ONLY);
                OverlayImage overlay =
                        where.equals("memory") ? OverlayImage.inMemory(base) : OverlayImage.onDisk(base, folder)) {
            run(new DiskModel(4, content), overlay, 300);
        }
        assertThat(Files.readAllBytes(path)).isEqualTo(content);
        try (var left = Files.list(folder)) {
            assertThat(left).containsExactly(path);
        }
    }

    @ParameterizedTest
    @CsvSource({"512, 262144", "4096, 3145728", "65536, 6291456", "65536, 6312448", "2097152, 9437184"})
    void qcow2ImagesHoldWhatWasWritten(int clusterSize, int size) throws IOException {
        Path path = folder.resolve("disk.qcow2");
        DiskModel model = new DiskModel(clusterSize, new byte[size]);
        try (Qcow2Image image =
                Qcow2Image.create(path, size, Qcow2Options.defaults().withClusterSize(clusterSize))) {
            run(model, image, Math.max(64, 3 * clusterSize / 512));
        }
        checkWithQemu(path, model.bytes());
        try (Qcow2Image image = Qcow2Image.open(path, ImageAccess.READ_WRITE)) {
            model.check(image);
            run(model, image, Math.max(64, 3 * clusterSize / 512));
        }
        checkWithQemu(path, model.bytes());
    }

    @ParameterizedTest
    @CsvSource({"512, 65536", "4096, 1048576", "65536, 2097152", "65536, 8388608"})
    void qcow2ImagesOverOthersHoldWhatWasWritten(int clusterSize, int backingSize) throws IOException {
        byte[] below = randomBytes(7, backingSize);
        Path basePath = Files.write(folder.resolve("base.raw"), below);
        Path path = folder.resolve("disk.qcow2");
        int size = 4 << 20;
        byte[] seen = new byte[size];
        System.arraycopy(below, 0, seen, 0, Math.min(size, backingSize));
        DiskModel model = new DiskModel(clusterSize, seen);
        try (RawImage base = RawImage.open(basePath, ImageAccess.READ_ONLY)) {
            try (Qcow2Image image = Qcow2Image.create(
                    path,
                    size,
                    Qcow2Options.defaults().withClusterSize(clusterSize).withBacking(base, "base.raw", "raw"))) {
                run(model, image, 400);
            }
            checkWithQemu(path, model.bytes());
            try (Qcow2Image image = Qcow2Image.openOver(path, ImageAccess.READ_WRITE, base)) {
                model.check(image);
                run(model, image, 400);
            }
        }
        checkWithQemu(path, model.bytes());
        assertThat(Files.readAllBytes(basePath)).isEqualTo(below);
    }

    private static void run(DiskModel model, DiskImage image, int longest) throws IOException {
        for (int i = 0; i < STEPS; i++) {
            model.step(image, longest);
            if (i % 50 == 49) {
                image.flush();
            }
        }
        model.check(image);
    }

    private void checkWithQemu(Path path, byte[] expected) throws IOException {
        if (QemuImg.isThere()) {
            QemuImg.run("check", "-f", "qcow2", path);
            Path raw = Files.write(folder.resolve("expected.raw"), expected);
            QemuImg.run("compare", "-f", "qcow2", "-F", "raw", path, raw);
            Files.delete(raw);
        }
    }

    private static byte[] randomBytes(long seed, int count) {
        byte[] bytes = new byte[count];
        new SplittableRandom(seed).nextBytes(bytes);
        return bytes;
    }
}
