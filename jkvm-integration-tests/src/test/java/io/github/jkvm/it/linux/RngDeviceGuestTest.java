package io.github.jkvm.it.linux;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.testkit.linux.LinuxMachine;
import io.github.jkvm.testkit.linux.RequiresLinuxGuest;
import io.github.jkvm.virtio.RateLimiter;
import io.github.jkvm.virtio.rng.RngDevice;
import java.util.HexFormat;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Linux takes random bytes of the host. */
@RequiresLinuxGuest
@Timeout(600)
class RngDeviceGuestTest {
    private static final int READ = 1024;

    @ParameterizedTest
    @EnumSource
    void readsHwrng(GuestTransport transport) throws Exception {
        var device = new RngDevice("rng0", new CountingEntropy(), RateLimiter.unlimited());
        try (LinuxMachine guest = LinuxMachine.builder()
                .modules(transport.module())
                .modulesAtHand("virtio_rng")
                .device(transport.of(device))
                .start()) {
            guest.run("modprobe virtio_rng");
            assertThat(guest.run("cat /sys/class/misc/hw_random/rng_current")).startsWith("virtio_rng");
            readsFromTheHost(guest, device);
            assertThat(device.counters()).containsEntry("queueFaults", 0L);
        }
    }

    /** Reads what the device gives, and nothing else. */
    static void readsFromTheHost(LinuxMachine guest, RngDevice device) throws InterruptedException {
        byte[] bytes = HexFormat.of()
                .parseHex(guest.run("dd if=/dev/hwrng bs=64 count=" + READ / 64
                        + " iflag=fullblock 2>/dev/null | hexdump -v -e '1/1 \"%02x\"'"));
        assertThat(bytes).hasSize(READ);
        CountingEntropy.assertFromHere(bytes);
        assertThat(device.counters().get("bytes")).isGreaterThanOrEqualTo(READ);
    }
}
