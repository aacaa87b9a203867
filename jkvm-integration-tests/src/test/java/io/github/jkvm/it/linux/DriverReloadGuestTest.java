package io.github.jkvm.it.linux;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.testkit.linux.LinuxMachine;
import io.github.jkvm.testkit.linux.RequiresLinuxGuest;
import io.github.jkvm.virtio.Feature;
import io.github.jkvm.virtio.VirtioDevice;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.AfterParameterizedClassInvocation;
import org.junit.jupiter.params.BeforeParameterizedClassInvocation;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Drivers that leave a device and come back while it is at work (virtio 1.2, 2.4 and 3.3.1: a reset, from which the device starts anew). A
 * request that the device lost, or answered into memory that is the driver's no more, would leave a process waiting for ever or spoil the
 * guest. The resource {@code reload} has what is done and compared.
 */
@RequiresLinuxGuest
@Timeout(600)
@ParameterizedClass
@EnumSource(GuestTransport.class)
class DriverReloadGuestTest {
    private static final int SAMPLE_BYTES = 1 << 20;
    private static final long MIB = 1L << 20;

    /** How often a driver goes and comes back. */
    private static final int RELOADS = 100;

    private static final Duration LIMIT = Duration.ofMinutes(8);

    @TempDir
    private static Path temporary;

    private static DeviceFamily family;
    private static LinuxMachine guest;
    private static EchoServices services;

    @Parameter
    GuestTransport transport;

    @BeforeParameterizedClassInvocation
    static void boot(GuestTransport transport) throws Exception {
        family = new DeviceFamily(Files.createDirectory(temporary.resolve(transport.name())));
        byte[] pattern = new byte[SAMPLE_BYTES];
        new SplittableRandom(3).nextBytes(pattern);
        guest = family.guest(transport)
                .programs("ping", "socat")
                .program("/root/reload", script())
                .file("/root/pattern", pattern)
                .start();
        services = new EchoServices(family);
    }

    @AfterParameterizedClassInvocation
    static void end() throws IOException {
        if (services != null) {
            services.close();
        }
        if (guest != null) {
            guest.close();
        }
    }

    private static byte[] script() throws IOException {
        try (InputStream script = Objects.requireNonNull(
                DriverReloadGuestTest.class.getResourceAsStream("reload"), "the resource 'reload' is missing")) {
            return script.readAllBytes();
        }
    }

    /** Has a driver go and come back, and asserts that the device was reset each time, and has nothing to complain of. */
    private void reload(String name, VirtioDevice device) throws InterruptedException {
        guest.run("/root/reload " + name + " " + RELOADS, LIMIT);
        assertThat(device.counters())
                .containsEntry("resets", (long) RELOADS)
                .containsEntry("queueFaults", 0L)
                .containsEntry("failures", 0L);
    }

    /** Asserts that each chain that the device ever took was given back before its driver was gone. */
    private static void assertNothingDropped(VirtioDevice device) {
        assertThat(device.counters()).containsEntry("chainsDropped", 0L);
    }

    @Test
    void entropyDevice() throws Exception {
        reload("rng", family.rng);
        RngDeviceGuestTest.readsFromTheHost(guest, family.rng);
        assertNothingDropped(family.rng);
    }

    @Test
    void blockDevice() throws Exception {
        reload("block", family.block);
        assertThat(family.block.counters()).containsEntry("errors", 0L);
        assertNothingDropped(family.block);
    }

    @Test
    void networkDevice() throws Exception {
        reload("net", family.net);
        assertThat(family.net.counters()).containsEntry("badSendChains", 0L).containsEntry("badReceiveChains", 0L);
    }

    @Test
    void console() throws Exception {
        reload("console", family.console);
        assertThat(family.console.counters()).containsEntry("badControlMessages", 0L);
    }

    @Test
    void socketDevice() throws Exception {
        reload("vsock", family.vsock);
        assertThat(family.vsock.counters()).containsEntry("badPackets", 0L);
        assertNothingDropped(family.vsock);
    }

    @Test
    void balloon() throws Exception {
        String total = guest.run("grep MemTotal /proc/meminfo");
        Thread load = Thread.ofPlatform().start(() -> {
            for (int i = 0; !Thread.interrupted(); i++) {
                family.balloon.setTarget((i % 4 + 1L) * 4 * MIB);
                LockSupport.parkNanos(10_000_000);
            }
        });
        try {
            reload("balloon", family.balloon);
        } finally {
            load.interrupt();
            load.join();
        }
        assertThat(family.balloon.statistics(LIMIT)).isPresent();
        family.balloon.setTarget(0);
        assertThat(family.balloon.awaitTarget(LIMIT)).isTrue();
        assertThat(guest.run("grep MemTotal /proc/meminfo")).isEqualTo(total);
        assertThat(family.balloon.counters()).containsEntry("pagesRejected", 0L);
        // The device keeps the buffer for statistics until it wants new ones (virtio 1.2, 5.5.6.3).
        assertThat(family.balloon.counters().get("chainsDropped")).isLessThanOrEqualTo(RELOADS);
    }

    @Test
    void sharedFolder() throws Exception {
        reload("fs", family.fs);
        assertThat(family.fs.openFiles()).isZero();
        assertNothingDropped(family.fs);
    }

    @Test
    void persistentMemory() throws Exception {
        reload("pmem", family.pmem);
        assertThat(family.pmem.counters()).containsEntry("failedFlushes", 0L);
        assertNothingDropped(family.pmem);
    }

    /** What the drivers do if a device offers what devices offer unless told otherwise. */
    @Test
    void ringsAreSplit() throws Exception {
        assertThat(family.driversThatAgreedOn(guest, Feature.PACKED_RING)).isEmpty();
    }
}
