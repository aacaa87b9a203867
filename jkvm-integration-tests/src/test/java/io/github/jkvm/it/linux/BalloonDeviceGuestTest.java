package io.github.jkvm.it.linux;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.testkit.linux.LinuxMachine;
import io.github.jkvm.testkit.linux.RequiresLinuxGuest;
import io.github.jkvm.virtio.balloon.BalloonDevice;
import io.github.jkvm.virtio.balloon.BalloonFeature;
import io.github.jkvm.virtio.balloon.MemoryStatistics;
import io.github.jkvm.virtio.balloon.MemoryStatistics.Kind;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.EnumSet;
import java.util.Set;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Linux's virtio_balloon, and what becomes of the host's memory. */
@RequiresLinuxGuest
@Timeout(600)
class BalloonDeviceGuestTest {
    private static final long MIB = 1L << 20;
    private static final Duration LIMIT = Duration.ofMinutes(3);

    /** Has the guest touch this much memory and free it again. */
    private static final int TOUCHED_MIB = 96;

    private static final String TOUCH =
            "dd if=/dev/zero of=/tmp/fill bs=1M count=" + TOUCHED_MIB + " 2>/dev/null && rm /tmp/fill";

    private static LinuxMachine start(BalloonDevice balloon, GuestTransport transport) throws Exception {
        return LinuxMachine.builder()
                .modules(transport.module(), "virtio_balloon")
                .device(transport.of(balloon))
                .start();
    }

    /** Memory of this process that is its own, of which the guest's is by far the most. */
    private static long resident() {
        Matcher matcher;
        try {
            matcher = Pattern.compile("RssAnon:\\s+(\\d+) kB").matcher(Files.readString(Path.of("/proc/self/status")));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        assertThat(matcher.find()).isTrue();
        return Long.parseLong(matcher.group(1)) * 1024;
    }

    private static void await(BooleanSupplier condition) {
        long limit = System.nanoTime() + LIMIT.toNanos();
        while (!condition.getAsBoolean()) {
            assertThat(System.nanoTime()).as("within " + LIMIT).isLessThan(limit);
            LockSupport.parkNanos(10_000_000);
        }
    }

    @ParameterizedTest
    @EnumSource
    void givesMemoryOfTheGuestBackToTheHost(GuestTransport transport) throws Exception {
        // Without reports, what the guest has touched stays the guest's until the balloon takes it.
        Set<BalloonFeature> features = EnumSet.complementOf(EnumSet.of(BalloonFeature.REPORTING));
        var balloon = new BalloonDevice("balloon0", features);
        try (LinuxMachine guest = start(balloon, transport)) {
            guest.run(TOUCH);
            MemoryStatistics before = balloon.statistics(LIMIT).orElseThrow();
            assertThat(before.get(Kind.TOTAL).getAsLong()).isBetween(180 * MIB, 256 * MIB);
            assertThat(before.get(Kind.FREE).getAsLong()).isBetween(TOUCHED_MIB * MIB, 256 * MIB);
            assertThat(before.get(Kind.MINOR_FAULTS).getAsLong()).isPositive();

            long touched = resident();
            balloon.setTarget(128 * MIB);
            assertThat(balloon.awaitTarget(LIMIT)).isTrue();
            assertThat(touched - resident()).isGreaterThan(TOUCHED_MIB * MIB / 2);
            assertThat(balloon.counters().get("bytesDiscarded")).isEqualTo(128 * MIB);
            assertThat(balloon.counters().get("pagesRejected")).isZero();
            assertThat(balloon.counters().get("discards"))
                    .as("calls for 32768 pages")
                    .isLessThan(16_384);
            MemoryStatistics inflated = balloon.statistics(LIMIT).orElseThrow();
            assertThat(before.get(Kind.FREE).getAsLong()
                            - inflated.get(Kind.FREE).getAsLong())
                    .isGreaterThan(100 * MIB);

            balloon.setTarget(0);
            assertThat(balloon.awaitTarget(LIMIT)).isTrue();
            guest.run(TOUCH);
            assertThat(balloon.counters().get("pagesDeflated")).isEqualTo(128 * MIB / 4096);
        }
    }

    @ParameterizedTest
    @EnumSource
    void givesFreePagesOfTheGuestBackToTheHost(GuestTransport transport) throws Exception {
        var balloon = new BalloonDevice("balloon0");
        try (LinuxMachine guest = start(balloon, transport)) {
            guest.run("dd if=/dev/zero of=/tmp/fill bs=1M count=" + TOUCHED_MIB + " 2>/dev/null");
            long touched = resident();
            guest.run("rm /tmp/fill");
            // The guest reports what is free some seconds later, and what it has never touched as well.
            await(() -> touched - resident() > TOUCHED_MIB * MIB / 2);
            assertThat(balloon.counters().get("bytesReported")).isGreaterThan(TOUCHED_MIB * MIB / 2);
            assertThat(balloon.counters().get("queueFaults")).isZero();
            // The pages are there again when they are wanted.
            guest.run(TOUCH);
        }
    }
}
