package io.github.jkvm.virtio.block;

import static io.github.jkvm.virtio.block.BlockDriver.FLUSH;
import static io.github.jkvm.virtio.block.BlockDriver.IN;
import static io.github.jkvm.virtio.block.BlockDriver.IOERR;
import static io.github.jkvm.virtio.block.BlockDriver.OK;
import static io.github.jkvm.virtio.block.BlockDriver.OUT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.github.jkvm.DeviceState;
import io.github.jkvm.testkit.virtio.Used;
import io.github.jkvm.virtio.Feature;
import io.github.jkvm.virtio.Guests;
import io.github.jkvm.virtio.RateLimiter;
import io.github.jkvm.virtio.block.BlockDevice.Serving;
import io.github.jkvm.virtio.block.BlockDriver.Sent;
import io.github.jkvm.virtio.queue.RingFormat;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Requests under way at the same time: their order, limits, resets, and the end of a device. */
final class BlockInFlightTest {
    private static final int SECTOR = DiskImage.SECTOR_BYTES;
    private static final int SECTORS = 1024;
    private static final long PATIENCE_SECONDS = 20;

    private WatchedImage image;
    private BlockDriver driver;

    @BeforeEach
    void makeImage() throws IOException {
        image = new WatchedImage(SECTORS * SECTOR);
    }

    @AfterEach
    void closeDevice() {
        driver.guest().close();
    }

    private BlockDeviceBuilder builder() {
        return BlockDevice.builder("disk0", image).serving(Serving.BY_WORKERS);
    }

    private BlockDevice start(BlockDeviceBuilder builder, RingFormat format) {
        BlockDevice device = builder.build();
        driver = BlockDriver.start(device, format);
        return device;
    }

    private void awaitEntered(int count) throws InterruptedException {
        assertThat(image.entered.tryAcquire(count, PATIENCE_SECONDS, TimeUnit.SECONDS))
                .isTrue();
    }

    private Optional<Used> taken(int queue) {
        driver.guest().run();
        return driver.guest().queue(queue).takeUsed();
    }

    @ParameterizedTest
    @EnumSource(RingFormat.class)
    void aSlowRequestDoesNotHoldUpOthers(RingFormat format) throws InterruptedException {
        start(builder(), format);
        CountDownLatch gate = image.holdAt(0);
        Sent slow = driver.send(0, IN, 0, driver.buffers().writable(SECTOR));
        awaitEntered(1);

        assertThat(driver.request(IN, 8, driver.buffers().writable(SECTOR))).isEqualTo(OK);
        assertThat(driver.request(OUT, 16, driver.buffers().readable(new byte[SECTOR])))
                .isEqualTo(OK);
        assertThat(taken(0)).isEmpty();
        gate.countDown();
        assertThat(driver.await(slow)).isEqualTo(OK);
    }

    @Test
    void executesNoMoreRequestsAtOnceThanItHasWorkers() throws InterruptedException {
        start(builder().workers(2), RingFormat.SPLIT);
        CountDownLatch gate = image.holdAt(-1);
        Set<Integer> heads = new HashSet<>();
        for (int i = 0; i < 10; i++) {
            heads.add(driver.send(0, IN, i, driver.buffers().writable(SECTOR)).head());
        }
        awaitEntered(2);
        assertThat(image.takeCalls()).hasSize(2);

        gate.countDown();
        for (int i = 0; i < 10; i++) {
            driver.guest()
                    .loop()
                    .runUntil(() -> driver.guest()
                            .queue(0)
                            .takeUsed()
                            .map(used -> heads.remove(used.id()))
                            .orElse(false));
        }
        assertThat(heads).isEmpty();
    }

    @ParameterizedTest
    @EnumSource(RingFormat.class)
    void servesManyQueuesAtTheSameTime(RingFormat format) {
        start(builder().queues(4).queueSize(32), format);
        List<Sent> sent = new ArrayList<>();
        for (int i = 0; i < 40; i++) {
            byte[] data = new byte[SECTOR];
            data[0] = (byte) i;
            sent.add(driver.send(i % 4, OUT, i, driver.buffers().readable(data)));
        }
        Set<Sent> open = new HashSet<>(sent);
        driver.guest().loop().runUntil(() -> {
            for (int queue = 0; queue < 4; queue++) {
                int from = queue;
                driver.guest().queue(queue).takeUsed().ifPresent(used -> {
                    assertThat(open.removeIf(each -> each.queue() == from && each.head() == used.id()))
                            .isTrue();
                });
            }
            return open.isEmpty();
        });
        for (int i = 0; i < 40; i++) {
            assertThat(driver.value(sent.get(i).status())).isEqualTo(OK);
            assertThat(driver.read(i, SECTOR)[0]).isEqualTo((byte) i);
        }
    }

    @Test
    void anIntervalOfRequestsCostsOneInterrupt() {
        start(builder().serving(Serving.ON_LOOP), RingFormat.SPLIT);
        int before = driver.guest().interrupts();
        driver.guest().queue(0).enableInterrupts();
        for (int i = 0; i < 8; i++) {
            driver.guest().queue(0).add(driver.header(IN, i), driver.buffers().writable(SECTOR), driver.status());
        }
        driver.guest().kick(0);
        assertThat(driver.guest().interrupts() - before).isOne();
        for (int i = 0; i < 8; i++) {
            assertThat(taken(0)).isPresent();
        }
    }

    @Test
    void movesToWorkersWhenRequestsAreSlowAndBackWhenTheyAreQuick() {
        BlockDevice device = start(builder().serving(Serving.ADAPTIVE), RingFormat.SPLIT);
        driver.read(0, SECTOR);
        assertThat(device.counters()).containsEntry("servedOnLoop", 1L);
        image.delayNext(Duration.ofMillis(5));
        driver.read(0, SECTOR);
        assertThat(device.counters()).containsEntry("servedOnLoop", 2L);
        driver.read(0, SECTOR);
        assertThat(device.counters()).containsEntry("servedOnLoop", 2L);

        driver.guest().loop().runUntil(() -> {
            driver.buffers().clear();
            driver.read(0, SECTOR);
            return device.counters().get("servedOnLoop") > 2;
        });
    }

    @Test
    void answersARequestThatEndsInAnErrorOfTheJvm() {
        start(builder(), RingFormat.SPLIT);
        image.breakDown(new StackOverflowError("made by the test"));
        assertThat(driver.request(IN, 0, driver.buffers().writable(SECTOR))).isEqualTo(IOERR);
        assertThat(driver.read(0, SECTOR)).containsOnly(0);
    }

    @Test
    void aResetWaitsForRequestsUnderWay() throws Exception {
        start(builder(), RingFormat.SPLIT);
        CountDownLatch gate = image.holdAt(0);
        Sent lost = driver.send(0, IN, 0, driver.buffers().writable(SECTOR));
        awaitEntered(1);
        FutureTask<Void> opener = new FutureTask<>(
                () -> {
                    // Only if the reset waits does it see this.
                    image.takeCalls();
                    gate.countDown();
                },
                null);
        Thread.ofPlatform().start(opener);

        driver.guest().mmio().setRegister(0x070, 0);

        opener.get(PATIENCE_SECONDS, TimeUnit.SECONDS);
        assertThat(gate.getCount()).isZero();
        assertThat(driver.value(lost.status())).isEqualTo(0x55);
        driver.guest().start(driver.guest().offered() & ~Feature.mask(Feature.PACKED_RING));
        driver.buffers().clear();
        assertThat(driver.write(1, new byte[SECTOR])).isEqualTo(OK);
    }

    @Test
    void theResetOfAQueueBringsItsRequestsToAnEndAndLeavesOtherQueuesAlone() throws InterruptedException {
        start(builder().queues(2), RingFormat.SPLIT);
        CountDownLatch gate = image.holdAt(0);
        driver.send(0, IN, 0, driver.buffers().writable(SECTOR));
        awaitEntered(1);
        Sent other = driver.send(1, IN, 8, driver.buffers().writable(SECTOR));
        gate.countDown();

        driver.guest().mmio().setRegister(0x030, 0);
        driver.guest().mmio().setRegister(0x0C0, 1);

        assertThat(driver.await(other)).isEqualTo(OK);
        assertThat(driver.await(driver.send(1, FLUSH, 0))).isEqualTo(OK);
        assertThat(driver.guest().needsReset()).isFalse();
        driver.guest().setUp(0, 0);
    }

    @Test
    void holdsRequestsToTheRateWithoutHoldingUpTheLoop() {
        driver = new BlockDriver(Guests.attach(
                builder().serving(Serving.ON_LOOP).rateLimit(limiter()).build()));
        driver.guest().start(driver.guest().offered());
        Sent first = driver.send(0, IN, 0, driver.buffers().writable(2 * SECTOR));
        assertThat(driver.await(first)).isEqualTo(OK);

        Sent second = driver.send(0, IN, 0, driver.buffers().writable(SECTOR));
        Sent third = driver.send(0, IN, 0, driver.buffers().writable(SECTOR));
        assertThat(taken(0)).isEmpty();
        assertThat(driver.guest().loop().timers()).isOne();
        advance(999);
        assertThat(taken(0)).isEmpty();
        advance(1);
        assertThat(driver.await(second)).isEqualTo(OK);
        assertThat(taken(0)).isEmpty();
        advance(1000);
        assertThat(driver.await(third)).isEqualTo(OK);
    }

    /** One sector a millisecond, and two at once. The test's clock has run on by {@link #passed}. */
    private RateLimiter limiter() {
        return RateLimiter.builder()
                .bytesPerSecond(SECTOR * 1000L, 2 * SECTOR)
                .clock(() -> passed)
                .build();
    }

    private long passed;

    private void advance(long micros) {
        passed += micros * 1000;
        driver.guest().loop().advance(Duration.ofNanos(micros * 1000));
    }

    @Test
    void aResetDropsTheRequestThatWaitsForTheRate() {
        start(builder().serving(Serving.ON_LOOP).rateLimit(limiter()), RingFormat.SPLIT);
        driver.read(0, 2 * SECTOR);
        driver.send(0, IN, 0, driver.buffers().writable(SECTOR));
        assertThat(driver.guest().loop().timers()).isOne();

        driver.guest().start(driver.guest().offered() & ~Feature.mask(Feature.PACKED_RING));
        assertThat(driver.guest().loop().timers()).isZero();
        driver.buffers().clear();
        advance(5000);
        assertThat(driver.read(0, SECTOR)).containsOnly(0);
    }

    @ParameterizedTest
    @EnumSource(RingFormat.class)
    void goesOnWhereItWasAfterItWasSaved(RingFormat format) throws IOException, InterruptedException {
        start(builder(), format);
        byte[] data = new byte[SECTOR];
        data[5] = 7;
        driver.write(9, data);
        driver.guest().setConfig(32, 1, 0);
        CountDownLatch gate = image.holdAt(0);
        Sent underWay = driver.send(0, OUT, 0, driver.buffers().readable(data));
        awaitEntered(1);
        Thread.ofPlatform().start(gate::countDown);

        DeviceState state = driver.guest().save();
        assertThat(driver.await(underWay)).isEqualTo(OK);

        try (WatchedImage same = new WatchedImage(SECTORS * SECTOR)) {
            byte[] copy = new byte[SECTORS * SECTOR];
            image.read(0, List.of(java.lang.foreign.MemorySegment.ofArray(copy)));
            same.write(0, List.of(java.lang.foreign.MemorySegment.ofArray(copy)));
            same.takeCalls();
            BlockDriver old = driver;
            driver = new BlockDriver(Guests.restoreInto(
                    old.guest(), BlockDevice.builder("disk0", same).build(), state));
            old.guest().close();
            assertThat(driver.read(9, SECTOR)).isEqualTo(data);
            assertThat(driver.read(0, SECTOR)).isEqualTo(data);
            driver.write(1, data);
            assertThat(same.takeCalls()).endsWith("write 512 512", "flush");
        }
    }

    @ParameterizedTest
    @EnumSource(RingFormat.class)
    void savesTheRequestThatWaitsForTheRateForLater(RingFormat format) throws IOException {
        start(builder().serving(Serving.ON_LOOP).rateLimit(limiter()), format);
        driver.read(0, 2 * SECTOR);
        Sent waiting = driver.send(0, IN, 0, driver.buffers().writable(SECTOR));
        Sent behind = driver.send(0, IN, 1, driver.buffers().writable(SECTOR));

        DeviceState state = driver.guest().save();

        BlockDriver old = driver;
        WatchedImage same = new WatchedImage(SECTORS * SECTOR);
        driver = new BlockDriver(Guests.restoreInto(
                old.guest(),
                BlockDevice.builder("disk0", same).serving(Serving.ON_LOOP).build(),
                state));
        old.guest().close();
        assertThat(driver.await(waiting)).isEqualTo(OK);
        assertThat(driver.await(behind)).isEqualTo(OK);
    }

    @ParameterizedTest
    @EnumSource(RingFormat.class)
    void aRestoredDiskKeepsToTheRateOfItsOwn(RingFormat format) throws IOException {
        start(builder().serving(Serving.ON_LOOP), format);
        DeviceState state = driver.guest().save();
        BlockDriver old = driver;
        driver = new BlockDriver(Guests.restoreInto(
                old.guest(),
                BlockDevice.builder("disk0", new WatchedImage(SECTORS * SECTOR))
                        .serving(Serving.ON_LOOP)
                        .rateLimit(limiter())
                        .build(),
                state));
        old.guest().close();
        driver.read(0, 2 * SECTOR);
        Sent waiting = driver.send(0, IN, 0, driver.buffers().writable(SECTOR));
        advance(999);
        assertThat(taken(0)).isEmpty();
        advance(1);
        assertThat(driver.await(waiting)).isEqualTo(OK);
    }

    @Test
    void refusesAStateThatDoesNotFitItsImage() throws IOException {
        start(builder(), RingFormat.SPLIT);
        DeviceState state = driver.guest().save();
        WatchedImage smaller = new WatchedImage(8 * SECTOR);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Guests.restoreInto(
                        driver.guest(), BlockDevice.builder("disk0", smaller).build(), state))
                .withMessageContaining("can't have 1024 sectors");
    }

    @Test
    void tellsTheDriverOfANewSize() throws IOException {
        BlockDevice device = start(builder(), RingFormat.SPLIT);
        assertThat(driver.write(SECTORS, new byte[SECTOR])).isEqualTo(IOERR);
        assertThatIllegalArgumentException().isThrownBy(() -> device.resize((SECTORS + 8L) * SECTOR));
        int before = driver.guest().interrupts();

        image.grow((SECTORS + 8L) * SECTOR);
        device.resize((SECTORS + 8L) * SECTOR);

        assertThat(driver.guest().interrupts()).isEqualTo(before + 1);
        assertThat(driver.guest().config(0, 8)).isEqualTo(SECTORS + 8);
        assertThat(driver.write(SECTORS, new byte[SECTOR])).isEqualTo(OK);
    }
}
