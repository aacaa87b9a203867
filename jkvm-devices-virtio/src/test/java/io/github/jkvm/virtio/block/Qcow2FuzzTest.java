package io.github.jkvm.virtio.block;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.AnnotatedElementContext;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.io.TempDirFactory;

/** No file makes the qcow2 code throw anything but an {@link IOException}, hang, or take memory without bound. */
final class Qcow2FuzzTest {
    private static final long CASES = Long.getLong("jkvm.fuzz.cases", 5_000) / 5;
    private static final long SEED = Long.getLong("jkvm.fuzz.seed", 0x71636F77L);
    private static final int SIZE = 1 << 20;
    private static final long ALLOCATION_LIMIT = 64 << 20;
    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    @TempDir(factory = InMemory.class)
    Path folder;

    /** A folder in memory where there is one: each case syncs its file many times. */
    static final class InMemory implements TempDirFactory {
        private static final Path SHARED_MEMORY = Path.of("/dev/shm");

        @Override
        public Path createTempDirectory(AnnotatedElementContext element, ExtensionContext extension)
                throws IOException {
            return Files.isWritable(SHARED_MEMORY)
                    ? Files.createTempDirectory(SHARED_MEMORY, "jkvm")
                    : Files.createTempDirectory("jkvm");
        }
    }

    @Test
    void survivesAnyFile() throws IOException {
        Path path = folder.resolve("disk.qcow2");
        byte[] good = goodImage(path);
        for (long i = 0; i < CASES; i++) {
            long seed = SEED + i;
            try {
                runCase(path, good, new SplittableRandom(seed));
            } catch (RuntimeException | Error e) {
                throw new AssertionError("repeat with -Djkvm.fuzz.cases=5 -Djkvm.fuzz.seed=" + seed, e);
            }
        }
    }

    private static byte[] goodImage(Path path) throws IOException {
        DiskModel model = new DiskModel(1, new byte[SIZE]);
        try (Qcow2Image image =
                Qcow2Image.create(path, SIZE, Qcow2Options.defaults().withClusterSize(4096))) {
            for (int i = 0; i < 60; i++) {
                model.step(image, 100);
            }
        }
        return Files.readAllBytes(path);
    }

    private static void runCase(Path path, byte[] good, SplittableRandom random) throws IOException {
        byte[] bad = good.clone();
        ByteBuffer numbers = ByteBuffer.wrap(bad);
        for (int i = random.nextInt(4); i >= 0; i--) {
            // The header and the tables behind it; entries point into the file more often than elsewhere.
            int table = random.nextInt(6) * 4096;
            int at = table + (random.nextInt(4) == 0 ? random.nextInt(4096 / 8) : random.nextInt(16)) * 8;
            long value = switch (random.nextInt(5)) {
                case 0 -> random.nextLong();
                case 1 -> 1L << random.nextInt(64);
                case 2 -> (long) random.nextInt(good.length / 4096 + 2) * 4096;
                case 3 -> (long) random.nextInt(good.length / 4096 + 2) * 4096 | Long.MIN_VALUE;
                default -> numbers.getLong(at) ^ (1L << random.nextInt(64));
            };
            numbers.putLong(at, value);
        }
        Files.write(path, random.nextInt(8) == 0 ? Arrays.copyOf(bad, random.nextInt(bad.length)) : bad);
        long before = THREADS.getCurrentThreadAllocatedBytes();
        try (Qcow2Image image = Qcow2Image.open(path, ImageAccess.READ_WRITE)) {
            for (int i = 0; i < 20; i++) {
                try {
                    step(image, random);
                } catch (IOException refused) {
                    assertThat(refused).hasMessageNotContaining("null");
                }
            }
        } catch (IOException refused) {
            assertThat(refused).hasMessageContaining("disk.qcow2");
        }
        assertThat(THREADS.getCurrentThreadAllocatedBytes() - before).isLessThan(ALLOCATION_LIMIT);
    }

    private static void step(Qcow2Image image, SplittableRandom random) throws IOException {
        long sectors = image.size() / DiskImage.SECTOR_BYTES;
        if (sectors == 0) {
            return;
        }
        long sector = random.nextLong(Math.min(sectors, 4096));
        int length = (int) Math.min(sectors - sector, 1 + random.nextInt(64)) * DiskImage.SECTOR_BYTES;
        long offset = sector * DiskImage.SECTOR_BYTES;
        switch (random.nextInt(6)) {
            case 0 -> image.write(offset, List.of(MemorySegment.ofArray(new byte[length])));
            case 1 -> image.discard(offset, length);
            case 2 -> image.writeZeroes(offset, length, random.nextBoolean() ? ZeroMode.KEEP : ZeroMode.MAY_UNMAP);
            case 3 -> image.flush();
            default -> image.read(offset, List.of(MemorySegment.ofArray(new byte[length])));
        }
    }
}
