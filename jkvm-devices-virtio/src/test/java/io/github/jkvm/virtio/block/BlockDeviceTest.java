package io.github.jkvm.virtio.block;

import static io.github.jkvm.virtio.block.BlockDriver.DISCARD;
import static io.github.jkvm.virtio.block.BlockDriver.FLUSH;
import static io.github.jkvm.virtio.block.BlockDriver.GET_ID;
import static io.github.jkvm.virtio.block.BlockDriver.IN;
import static io.github.jkvm.virtio.block.BlockDriver.IOERR;
import static io.github.jkvm.virtio.block.BlockDriver.OK;
import static io.github.jkvm.virtio.block.BlockDriver.OUT;
import static io.github.jkvm.virtio.block.BlockDriver.UNSUPP;
import static io.github.jkvm.virtio.block.BlockDriver.WRITE_ZEROES;
import static io.github.jkvm.virtio.block.BlockDriver.ranges;
import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.testkit.virtio.Buffer;
import io.github.jkvm.testkit.virtio.Used;
import io.github.jkvm.testkit.virtio.VirtioDriver;
import io.github.jkvm.virtio.Feature;
import io.github.jkvm.virtio.Guests;
import io.github.jkvm.virtio.block.BlockDevice.Serving;
import io.github.jkvm.virtio.queue.RingFormat;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What a driver sees of one request (virtio 1.2, 5.2.6). */
final class BlockDeviceTest {
    private static final int SECTORS = 256;
    private static final int SECTOR = DiskImage.SECTOR_BYTES;

    private WatchedImage image;
    private BlockDriver driver;

    @BeforeEach
    void makeImage() throws IOException {
        image = new WatchedImage(SECTORS * SECTOR);
    }

    @AfterEach
    void closeDevice() {
        if (driver != null) {
            driver.guest().close();
        }
    }

    private BlockDevice start(RingFormat format) {
        return start(builder(), format);
    }

    private BlockDevice start(BlockDeviceBuilder builder, RingFormat format) {
        BlockDevice device = builder.build();
        driver = BlockDriver.start(device, format);
        return device;
    }

    private BlockDeviceBuilder builder() {
        return BlockDevice.builder("disk0", image).serial("serial-0");
    }

    private static byte[] random(int seed, int length) {
        byte[] bytes = new byte[length];
        new SplittableRandom(seed).nextBytes(bytes);
        return bytes;
    }

    @ParameterizedTest
    @EnumSource(RingFormat.class)
    void readsWhatWasWritten(RingFormat format) {
        BlockDevice device = start(format);
        byte[] data = random(1, 8 * SECTOR);

        assertThat(driver.write(3, data)).isEqualTo(OK);
        assertThat(driver.read(3, data.length)).isEqualTo(data);
        assertThat(driver.read(0, 3 * SECTOR)).containsOnly(0);
        assertThat(driver.flush()).isEqualTo(OK);

        assertThat(image.takeCalls()).containsExactly("write 1536 4096", "read 1536 4096", "read 0 1536", "flush");
        assertThat(device.counters())
                .containsEntry("reads", 2L)
                .containsEntry("writes", 1L)
                .containsEntry("flushes", 1L)
                .containsEntry("bytesRead", 11L * SECTOR)
                .containsEntry("bytesWritten", 8L * SECTOR)
                .containsEntry("errors", 0L);
    }

    @ParameterizedTest
    @EnumSource(RingFormat.class)
    void servesRequestsHoweverTheyAreCutIntoBuffers(RingFormat format) {
        // Virtio 1.2, 2.7.4.1: "The device MUST NOT make assumptions about the particular arrangement of descriptors."
        start(format);
        SplittableRandom random = new SplittableRandom(5);
        for (int i = 0; i < 300; i++) {
            int sectors = 1 + random.nextInt(4);
            int sector = random.nextInt(SECTORS - sectors);
            byte[] data = random(i, sectors * SECTOR);

            byte[] out = Arrays.copyOf(BlockDriver.bytes(OUT, sector), 16 + data.length);
            System.arraycopy(data, 0, out, 16, data.length);
            List<Buffer> chain = cut(random, driver.buffers().readable(out));
            Buffer status = driver.status();
            chain.add(status);
            Used used = driver.raw(chain.toArray(Buffer[]::new));
            assertThat(driver.value(status)).isEqualTo(OK);
            assertThat(used.length()).isOne();

            chain = cut(random, driver.header(IN, sector));
            Buffer in = driver.buffers().writable(data.length + 1);
            chain.addAll(cut(random, in));
            used = driver.raw(chain.toArray(Buffer[]::new));
            byte[] answer = driver.buffers().bytes(in);
            assertThat(answer[data.length]).isEqualTo((byte) OK);
            assertThat(Arrays.copyOf(answer, data.length)).isEqualTo(data);
            assertThat(used.length()).isEqualTo(data.length + 1);
            driver.buffers().clear();
        }
    }

    /** Cuts a buffer into up to 20 that follow one another. */
    private static List<Buffer> cut(SplittableRandom random, Buffer whole) {
        List<Buffer> parts = new ArrayList<>();
        long at = 0;
        while (at < whole.length()) {
            long left = whole.length() - at;
            long count = parts.size() == 19 || random.nextInt(3) == 0 ? left : 1 + random.nextLong(left);
            parts.add(new Buffer(whole.address() + at, count, whole.flags()));
            at += count;
        }
        return parts;
    }

    @ParameterizedTest
    @CsvSource({
        "256, 512",
        "255, 1024",
        "9223372036854775807, 512",
        "-1, 512",
        "36028797018963968, 512",
        "0, 131584",
        "0, 511",
        "0, 513",
        "0, 1"
    })
    void failsWhatIsNotWholeSectorsOfTheDisk(long sector, int length) {
        start(RingFormat.SPLIT);

        assertThat(driver.request(IN, sector, driver.buffers().writable(length)))
                .isEqualTo(IOERR);
        assertThat(driver.request(OUT, sector, driver.buffers().readable(new byte[length])))
                .isEqualTo(IOERR);
        assertThat(image.takeCalls()).isEmpty();
    }

    @Test
    void servesTheLastSector() {
        start(RingFormat.SPLIT);

        assertThat(driver.write(SECTORS - 1, random(2, SECTOR))).isEqualTo(OK);
        assertThat(driver.read(SECTORS - 1, SECTOR)).isEqualTo(random(2, SECTOR));
    }

    @Test
    void failsRequestsWhoseBuffersGoTheWrongWay() {
        start(RingFormat.SPLIT);

        assertThat(driver.request(OUT, 0, driver.buffers().writable(SECTOR))).isEqualTo(IOERR);
        assertThat(driver.request(IN, 0, driver.buffers().readable(new byte[SECTOR])))
                .isEqualTo(IOERR);
        assertThat(driver.request(FLUSH, 0, driver.buffers().writable(SECTOR))).isEqualTo(IOERR);
        assertThat(driver.request(DISCARD, 0, driver.buffers().writable(16))).isEqualTo(IOERR);
        assertThat(image.takeCalls()).isEmpty();
    }

    @Test
    void failsAHeaderThatIsTooShort() {
        start(RingFormat.SPLIT);
        Buffer status = driver.status();

        Used used = driver.raw(driver.buffers().readable(new byte[15]), status);

        assertThat(driver.value(status)).isEqualTo(IOERR);
        assertThat(used.length()).isOne();
    }

    @Test
    void givesBackARequestWithoutRoomForItsStatus() {
        BlockDevice device = start(RingFormat.SPLIT);

        assertThat(driver.raw(driver.header(FLUSH, 0)).length()).isZero();
        assertThat(driver.raw(driver.buffers().writable(1)).length()).isOne();
        assertThat(device.counters()).containsEntry("errors", 2L);
        assertThat(driver.flush()).isEqualTo(OK);
        assertThat(driver.guest().needsReset()).isFalse();
    }

    @ParameterizedTest
    @ValueSource(ints = {2, 3, 5, 7, 9, 10, 12, 14, 255, -1, Integer.MIN_VALUE})
    void answersThatATypeIsNotSupported(int type) {
        start(RingFormat.SPLIT);

        assertThat(driver.request(type, 0)).isEqualTo(UNSUPP);
        assertThat(driver.request(type, 0, driver.buffers().writable(600))).isEqualTo(UNSUPP);
    }

    @Test
    void putsTheStatusIntoTheLastByteEvenIfThereWasNoData() {
        start(RingFormat.SPLIT);
        Buffer in = driver.buffers().writable(SECTOR + 1);

        Used used = driver.raw(driver.header(IN, SECTORS), in);

        assertThat(driver.buffers().bytes(in)[SECTOR]).isEqualTo((byte) IOERR);
        // The bytes before the status were not written.
        assertThat(used.length()).isZero();
    }

    @Test
    void tellsItsSerialPaddedWithZeros() {
        start(RingFormat.SPLIT);
        Buffer id = driver.buffers().writable(20);

        assertThat(driver.request(GET_ID, 0, id)).isEqualTo(OK);
        assertThat(driver.buffers().bytes(id))
                .isEqualTo(Arrays.copyOf("serial-0".getBytes(StandardCharsets.US_ASCII), 20));
        assertThat(driver.request(GET_ID, 0, driver.buffers().writable(19))).isEqualTo(IOERR);
    }

    @Test
    void writesNothingToAReadOnlyDisk() {
        // Virtio 1.2, 5.2.6.2: "A device MUST set the status byte to VIRTIO_BLK_S_IOERR for a write request if the
        // VIRTIO_BLK_F_RO feature if offered, and MUST NOT write any data."
        start(builder().readOnly(), RingFormat.SPLIT);

        assertThat(driver.write(0, new byte[SECTOR])).isEqualTo(IOERR);
        assertThat(driver.request(DISCARD, 0, driver.buffers().readable(ranges(0, 1, 0))))
                .isEqualTo(IOERR);
        assertThat(driver.request(WRITE_ZEROES, 0, driver.buffers().readable(ranges(0, 1, 0))))
                .isEqualTo(IOERR);
        assertThat(image.takeCalls()).isEmpty();
        assertThat(driver.read(0, SECTOR)).containsOnly(0);
        assertThat(driver.guest().offered() & Feature.mask(BlockConfig.RO)).isNotZero();
        assertThat(driver.guest().offered() & Feature.mask(BlockConfig.DISCARD)).isZero();
    }

    @Test
    void discardsAndZeroesRanges() {
        start(RingFormat.SPLIT);
        driver.write(0, random(3, 64 * SECTOR));
        image.takeCalls();

        assertThat(driver.request(DISCARD, 0, driver.buffers().readable(ranges(1, 2, 0, 8, 16, 0))))
                .isEqualTo(OK);
        assertThat(driver.request(WRITE_ZEROES, 0, driver.buffers().readable(ranges(30, 2, 0, 40, 1, 1))))
                .isEqualTo(OK);

        assertThat(image.takeCalls())
                .containsExactly(
                        "discard 512 1024", "discard 4096 8192", "zero 15360 1024 KEEP", "zero 20480 512 MAY_UNMAP");
        assertThat(driver.read(40, SECTOR)).containsOnly(0);
        assertThat(driver.read(30, 2 * SECTOR)).containsOnly(0);
    }

    @Test
    void refusesRangesThatAreNotOnTheDiskOrTooMany() {
        start(RingFormat.SPLIT);

        assertThat(driver.request(DISCARD, 0, driver.buffers().readable(ranges(0, 1, 0, SECTORS, 1, 0))))
                .isEqualTo(IOERR);
        assertThat(driver.request(DISCARD, 0, driver.buffers().readable(ranges(-1, 1, 0))))
                .isEqualTo(IOERR);
        assertThat(driver.request(WRITE_ZEROES, 0, driver.buffers().readable(ranges(1, 0xFFFF_FFFFL, 0))))
                .isEqualTo(IOERR);
        assertThat(driver.request(DISCARD, 0, driver.buffers().readable(new byte[33 * 16])))
                .isEqualTo(IOERR);
        assertThat(driver.request(DISCARD, 0, driver.buffers().readable(new byte[17])))
                .isEqualTo(IOERR);
        assertThat(driver.request(DISCARD, 0)).isEqualTo(IOERR);
        assertThat(image.takeCalls()).isEmpty();
    }

    @Test
    void doesNotSupportFlagsThatItDoesNotKnow() {
        // Virtio 1.2, 5.2.6.2: "The device MUST set the status byte to VIRTIO_BLK_S_UNSUPP for discard, secure erase
        // and
        // write zeroes commands if any unknown flag is set. Furthermore, the device MUST set the status byte to
        // VIRTIO_BLK_S_UNSUPP for discard commands if the unmap flag is set."
        start(RingFormat.SPLIT);

        assertThat(driver.request(WRITE_ZEROES, 0, driver.buffers().readable(ranges(0, 1, 2))))
                .isEqualTo(UNSUPP);
        assertThat(driver.request(DISCARD, 0, driver.buffers().readable(ranges(0, 1, 2))))
                .isEqualTo(UNSUPP);
        assertThat(driver.request(DISCARD, 0, driver.buffers().readable(ranges(0, 1, 1))))
                .isEqualTo(UNSUPP);
        assertThat(image.takeCalls()).isEmpty();
    }

    @Test
    void doesNotSupportWhatTheDriverDidNotChoose() {
        driver = new BlockDriver(Guests.start(builder().build(), RingFormat.SPLIT, 0));

        assertThat(driver.flush()).isEqualTo(UNSUPP);
        assertThat(driver.request(DISCARD, 0, driver.buffers().readable(ranges(0, 1, 0))))
                .isEqualTo(UNSUPP);
        assertThat(driver.request(WRITE_ZEROES, 0, driver.buffers().readable(ranges(0, 1, 0))))
                .isEqualTo(UNSUPP);
    }

    @Test
    void answersFailuresOfTheImageWithAStatus() {
        BlockDevice device = start(RingFormat.SPLIT);
        for (Exception failure :
                List.of(new IOException("as the test wants it"), new IllegalStateException("so too"))) {
            image.failWith(failure);
            assertThat(driver.request(IN, 0, driver.buffers().writable(SECTOR))).isEqualTo(IOERR);
            assertThat(driver.write(0, new byte[SECTOR])).isEqualTo(IOERR);
            assertThat(driver.flush()).isEqualTo(IOERR);
        }
        image.failWith(null);

        assertThat(driver.flush()).isEqualTo(OK);
        assertThat(device.counters()).containsEntry("errors", 6L);
    }

    @Test
    void describesItselfInItsConfigurationSpace() {
        start(builder().queues(4).queueSize(128).blockSizes(512, 4096).optimalTransfer(1 << 20), RingFormat.SPLIT);
        VirtioDriver guest = driver.guest();

        assertThat(guest.config(0, 8)).isEqualTo(SECTORS);
        assertThat(guest.config(8, 4)).isEqualTo(1 << 20);
        assertThat(guest.config(12, 4)).isEqualTo(126);
        assertThat(guest.config(16, 4)).isZero();
        assertThat(guest.config(20, 4)).isEqualTo(512);
        assertThat(guest.config(24, 1)).isEqualTo(3);
        assertThat(guest.config(25, 1)).isZero();
        assertThat(guest.config(26, 2)).isEqualTo(8);
        assertThat(guest.config(28, 4)).isEqualTo(2048);
        assertThat(guest.config(32, 1)).isOne();
        assertThat(guest.config(33, 1)).isZero();
        assertThat(guest.config(34, 2)).isEqualTo(4);
        assertThat(guest.config(36, 4)).isPositive();
        assertThat(guest.config(40, 4)).isEqualTo(32);
        assertThat(guest.config(44, 4)).isEqualTo(8);
        assertThat(guest.config(48, 4)).isPositive();
        assertThat(guest.config(52, 4)).isEqualTo(32);
        assertThat(guest.config(56, 1)).isOne();
        guest.setConfig(0, 4, 1);
        assertThat(guest.config(0, 8)).isEqualTo(SECTORS);
    }

    @Test
    void writesThroughWhenTheDriverSaysSo() {
        // Virtio 1.2, 5.2.6.2: a write is stable on completion if "the writeback field in configuration space was 0 all
        // the
        // time between the submission of the write and its completion".
        start(RingFormat.SPLIT);
        driver.write(0, new byte[SECTOR]);
        assertThat(image.takeCalls()).containsExactly("write 0 512");

        driver.guest().setConfig(32, 1, 0);
        driver.write(0, new byte[SECTOR]);
        assertThat(image.takeCalls()).containsExactly("write 0 512", "flush");

        driver.guest().setConfig(32, 1, 1);
        driver.write(0, new byte[SECTOR]);
        assertThat(image.takeCalls()).containsExactly("write 0 512");
    }

    @Test
    void writesThroughWhenTheDriverCannotFlush() {
        // Virtio 1.2, 5.2.6.2: stable on completion if "neither VIRTIO_BLK_F_CONFIG_WCE nor VIRTIO_BLK_F_FLUSH feature
        // were
        // negotiated, but VIRTIO_BLK_F_FLUSH was offered by the device".
        driver = new BlockDriver(Guests.start(builder().build(), RingFormat.SPLIT, 0));
        driver.write(0, new byte[SECTOR]);
        assertThat(image.takeCalls()).containsExactly("write 0 512", "flush");
    }

    @Test
    void beginsWithWriteThroughIfTheDriverCanChangeItButNotFlush() {
        // Virtio 1.2, 5.2.5.2: "If VIRTIO_BLK_F_CONFIG_WCE is negotiated but VIRTIO_BLK_F_FLUSH is not, the device MUST
        // initialize writeback to 0."
        driver = new BlockDriver(
                Guests.start(builder().build(), RingFormat.SPLIT, Feature.mask(BlockConfig.CONFIG_WCE)));
        assertThat(driver.guest().config(32, 1)).isZero();
        driver.write(0, new byte[SECTOR]);
        assertThat(image.takeCalls()).containsExactly("write 0 512", "flush");
    }

    @Test
    void servesOnTheLoopAllThatItIsToldTo() {
        BlockDevice device = start(builder().serving(Serving.ON_LOOP), RingFormat.PACKED);
        driver.write(0, random(4, SECTOR));
        driver.flush();
        assertThat(driver.read(0, SECTOR)).isEqualTo(random(4, SECTOR));
        assertThat(device.counters()).containsEntry("servedOnLoop", 3L);
    }

    @Test
    void closesTheImage() {
        start(RingFormat.SPLIT);
        driver.guest().close();
        assertThat(image.takeCalls()).containsExactly("close");
    }
}
