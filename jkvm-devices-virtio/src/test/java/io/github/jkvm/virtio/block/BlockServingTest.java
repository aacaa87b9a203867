package io.github.jkvm.virtio.block;

import static io.github.jkvm.virtio.block.BlockDriver.IN;
import static io.github.jkvm.virtio.block.BlockDriver.IOERR;
import static io.github.jkvm.virtio.block.BlockDriver.OK;
import static io.github.jkvm.virtio.block.BlockDriver.OUT;
import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.testkit.virtio.Buffer;
import io.github.jkvm.testkit.virtio.VirtioDriver;
import io.github.jkvm.virtio.Guests;
import io.github.jkvm.virtio.block.BlockDevice.Serving;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.management.ManagementFactory;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Where requests for raw disks are executed, and how their data moves between file and guest memory that the kernel can reach. */
final class BlockServingTest {
    private static final int SECTOR = DiskImage.SECTOR_BYTES;
    private static final int PAGE = 4096;
    private static final int DISK = 4 << 20;

    private final Arena arena = Arena.ofShared();
    private BlockDriver driver;

    @TempDir
    private Path folder;

    @AfterEach
    void closeAll() {
        driver.guest().close();
        arena.close();
    }

    private MemoryRegion region(Arena of, long base, long size) {
        return MemoryRegion.of(GuestAddress.of(base), of.allocate(size, PAGE), MemoryRegion.Access.READ_WRITE);
    }

    private BlockDevice start(BlockDeviceBuilder builder) {
        BlockDevice device = builder.build();
        VirtioDriver guest = Guests.attach(device, region(arena, 0, VirtioDriver.MEMORY_BYTES));
        guest.start(guest.offered());
        driver = new BlockDriver(guest);
        return device;
    }

    private static byte[] random(int length) {
        byte[] bytes = new byte[length];
        new Random(length).nextBytes(bytes);
        return bytes;
    }

    @ParameterizedTest
    @EnumSource(Serving.class)
    void movesDataOfManyPiecesBothWays(Serving serving) throws IOException {
        start(BlockDevice.builder("disk0", RawImage.inMemory(DISK)).serving(serving));
        byte[] data = random(7 * SECTOR);
        List<Buffer> pieces = new ArrayList<>();
        for (int at = 0, length = 1; at < data.length; at += length, length = Math.min(2 * length, data.length - at)) {
            byte[] piece = new byte[length];
            System.arraycopy(data, at, piece, 0, length);
            pieces.add(driver.buffers().readable(piece));
        }
        assertThat(driver.request(OUT, 3, pieces.toArray(Buffer[]::new))).isEqualTo(OK);
        assertThat(driver.read(3, data.length)).isEqualTo(data);
        assertThat(driver.read(2, SECTOR)).containsOnly(0);
        assertThat(driver.read(10, SECTOR)).containsOnly(0);
    }

    @Test
    void servesADiskInMemoryOnTheLoop() throws IOException {
        BlockDevice device = start(BlockDevice.builder("disk0", RawImage.inMemory(DISK)));
        for (int i = 0; i < 50; i++) {
            driver.buffers().clear();
            assertThat(driver.write(i, random(SECTOR))).isEqualTo(OK);
            assertThat(driver.read(i, SECTOR)).isEqualTo(random(SECTOR));
        }
        assertThat(device.counters()).containsEntry("servedOnLoop", 100L).containsEntry("reads", 50L);
    }

    @Test
    void servesOnTheLoopWhatTheHostHasInItsCache() throws IOException {
        BlockDevice device = start(BlockDevice.builder("disk0", RawImage.create(folder.resolve("disk"), DISK)));
        assertThat(driver.write(8, random(PAGE))).isEqualTo(OK);
        // Where the file system can't tell beforehand, it takes the first read to learn that.
        driver.read(8, PAGE);
        long before = device.counters().get("servedOnLoop");
        for (int i = 0; i < 20; i++) {
            assertThat(driver.read(8, PAGE)).isEqualTo(random(PAGE));
        }
        assertThat(device.counters().get("servedOnLoop") - before).isPositive();
    }

    @Test
    void leavesLargeRequestsToWorkersThatCanRunBesideTheLoop() throws IOException {
        BlockDevice device = start(BlockDevice.builder("disk0", RawImage.inMemory(DISK)));
        byte[] data = random(1 << 20);
        assertThat(driver.write(0, data)).isEqualTo(OK);
        assertThat(driver.read(0, data.length)).isEqualTo(data);
        long expected = Runtime.getRuntime().availableProcessors() == 1 ? 2 : 0;
        assertThat(device.counters()).containsEntry("servedOnLoop", expected);
    }

    @ParameterizedTest
    @EnumSource(Serving.class)
    void failsAReadBeyondTheEndOfAFileThatWasCut(Serving serving) throws IOException {
        Path file = folder.resolve("disk");
        BlockDevice device =
                start(BlockDevice.builder("disk0", RawImage.create(file, DISK)).serving(serving));
        assertThat(driver.write(0, random(SECTOR))).isEqualTo(OK);
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
            channel.truncate(SECTOR);
        }
        assertThat(driver.request(IN, 0, driver.buffers().writable(2 * SECTOR))).isEqualTo(IOERR);
        assertThat(driver.read(0, SECTOR)).isEqualTo(random(SECTOR));
        assertThat(device.counters()).containsEntry("errors", 1L);
    }

    @ParameterizedTest
    @EnumSource(Serving.class)
    void failsRequestsOfAnImageThatTheProgramHasClosed(Serving serving) throws IOException {
        RawImage image = RawImage.create(folder.resolve("disk"), DISK);
        start(BlockDevice.builder("disk0", image).serving(serving));
        image.close();
        assertThat(driver.write(0, random(SECTOR))).isEqualTo(IOERR);
        assertThat(driver.request(IN, 0, driver.buffers().writable(SECTOR))).isEqualTo(IOERR);
        assertThat(driver.guest().needsReset()).isFalse();
    }

    @ParameterizedTest
    @EnumSource(Serving.class)
    void movesDataOfSeveralArenas(Serving serving) throws IOException {
        start(BlockDevice.builder("disk0", RawImage.inMemory(DISK)).serving(serving));
        byte[] data = random(6 * SECTOR);
        try (Arena other = Arena.ofShared()) {
            long beyond = VirtioDriver.MEMORY_BYTES;
            MemoryRegion native2 = region(other, beyond, PAGE);
            MemoryRegion heap = MemoryRegion.onHeap(GuestAddress.of(beyond + PAGE), PAGE);
            driver.guest().memory().add(native2);
            driver.guest().memory().add(heap);
            // One buffer that runs from the first region through the second into the third.
            long start = beyond - SECTOR;
            driver.guest().memory().write(start, MemorySegment.ofArray(random(PAGE + 2 * SECTOR)));
            assertThat(driver.request(OUT, 0, Buffer.readable(start, PAGE + 2 * SECTOR)))
                    .isEqualTo(OK);
            assertThat(driver.read(0, PAGE + 2 * SECTOR)).isEqualTo(random(PAGE + 2 * SECTOR));
            assertThat(driver.write(20, data)).isEqualTo(OK);
            assertThat(driver.request(IN, 20, Buffer.writable(beyond + PAGE - data.length / 2, data.length)))
                    .isEqualTo(OK);
            byte[] back = new byte[data.length];
            driver.guest().memory().read(beyond + PAGE - data.length / 2, MemorySegment.ofArray(back));
            assertThat(back).isEqualTo(data);
            driver.guest().memory().remove(native2);
            driver.guest().memory().remove(heap);
        }
    }

    @Test
    void executesRequestsWithoutAllocating() throws IOException {
        start(BlockDevice.builder("disk0", RawImage.inMemory(DISK)));
        var threads = (com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean();
        Buffer header = driver.header(IN, 0);
        Buffer[] chain = new Buffer[6];
        chain[0] = header;
        for (int i = 1; i < 5; i++) {
            chain[i] = driver.buffers().writable(SECTOR);
        }
        chain[5] = driver.status();
        int batch = 10;
        long least = Long.MAX_VALUE;
        for (int round = 0; round < 200; round++) {
            for (int i = 0; i < batch; i++) {
                driver.guest().queue(0).add(chain);
            }
            long before = threads.getCurrentThreadAllocatedBytes();
            driver.guest().kick(0);
            least = Math.min(least, threads.getCurrentThreadAllocatedBytes() - before);
            for (int i = 0; i < batch; i++) {
                assertThat(driver.guest().queue(0).takeUsed()).isPresent();
            }
        }
        // The notification itself, through the test's machine, takes some, and the JDK takes a segment for each system
        // call until all is
        // compiled. Segments for each buffer would be more.
        assertThat(least).as("bytes for 10 requests of 4 buffers").isLessThan(1000);
    }
}
