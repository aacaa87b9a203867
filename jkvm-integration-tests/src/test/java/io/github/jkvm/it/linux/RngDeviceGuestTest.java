package io.github.jkvm.it.linux;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.virtio.RateLimiter;
import io.github.jkvm.virtio.rng.EntropySource;
import io.github.jkvm.virtio.rng.RngDevice;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.HexFormat;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Linux takes random bytes of the host. */
@RequiresLinuxGuest
class RngDeviceGuestTest {
    private static final int READ = 1024;
    private static final int RELOADS = 20;

    /** Bytes that a guest does not make up: 0, 1, 2 and so on, over all requests. */
    private static final class Counting implements EntropySource {
        private byte next;

        @Override
        public void fill(MemorySegment target) {
            for (long i = 0; i < target.byteSize(); i++) {
                target.set(ValueLayout.JAVA_BYTE, i, next++);
            }
        }
    }

    @ParameterizedTest
    @EnumSource
    void readsHwrng(GuestTransport transport) throws Exception {
        var device = new RngDevice("rng0", new Counting(), RateLimiter.unlimited());
        try (LinuxGuest guest = LinuxGuest.builder()
                .modules(transport.module())
                .modulesAtHand("virtio_rng")
                .device(transport.of(device))
                .start()) {
            guest.run("modprobe virtio_rng");
            assertThat(guest.run("cat /sys/class/misc/hw_random/rng_current")).startsWith("virtio_rng");
            byte[] bytes = HexFormat.of()
                    .parseHex(guest.run("dd if=/dev/hwrng bs=64 count=" + READ / 64
                            + " iflag=fullblock 2>/dev/null | hexdump -v -e '1/1 \"%02x\"'"));
            assertThat(bytes).hasSize(READ);
            int inOrder = 0;
            for (int i = 1; i < READ; i++) {
                inOrder += bytes[i] == (byte) (bytes[i - 1] + 1) ? 1 : 0;
            }
            // The kernel's own thread takes some for its pool, between two requests.
            assertThat(inOrder).isGreaterThan(READ * 9 / 10);
            assertThat(device.counters().get("bytes")).isGreaterThanOrEqualTo(READ);

            guest.run("for i in $(seq " + RELOADS
                    + "); do rmmod virtio_rng || exit 1; modprobe virtio_rng || exit 2;"
                    + " head -c 100 /dev/hwrng >/tmp/got || exit 3; test $(wc -c </tmp/got) -eq 100 || exit 4; done");
            assertThat(device.counters().get("resets")).isGreaterThanOrEqualTo(RELOADS);
            assertThat(device.counters()).containsEntry("queueFaults", 0L);
        }
    }
}
