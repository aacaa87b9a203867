package io.github.jkvm.it.linux;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.virtio.block.BlockDevice;
import io.github.jkvm.virtio.block.RawImage;
import io.github.jkvm.virtio.rng.RngDevice;
import java.time.Duration;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Drivers that leave a device and come back while it is at work (virtio 1.2, 2.1.2 and 3.3.1: a reset, from which the device starts anew). A
 * request that the device lost, or answered into memory that is the driver's no more, would leave a process waiting for ever or spoil the
 * guest.
 */
@RequiresLinuxGuest
class DriverReloadGuestTest {
    private static final int TIMES = 100;
    private static final Duration LIMIT = Duration.ofMinutes(8);

    /** Reads while the driver is taken away, then shows that the driver that came back reads as many bytes as it asks for. */
    private static final String RELOAD_RNG = """
            i=0
            while [ $i -lt TIMES ]; do
              dd if=/dev/hwrng of=/dev/null bs=4096 2>/dev/null &
              [ "$(dd if=/dev/hwrng bs=64 count=16 2>/dev/null | wc -c)" = 1024 ] || exit 10
              rmmod virtio_rng || exit 11
              wait $!
              modprobe virtio_rng || exit 12
              i=$((i + 1))
            done
            dd if=/dev/hwrng bs=64 count=16 2>/dev/null | wc -c
            """;

    /**
     * Reads and writes while the driver lets go of the disk, which waits for the requests that are under way. Before each time, and after the
     * last, what was written through the driver that came back is read back.
     */
    private static final String REBIND_BLOCK = """
            cd /tmp
            dd if=/dev/urandom of=pattern bs=64k count=4 2>/dev/null
            check() {
              disk=$(ls /dev/vd*)
              dd if=pattern of=$disk bs=64k oflag=direct 2>/dev/null || exit 10
              dd if=$disk bs=64k count=4 iflag=direct 2>/dev/null | cmp - pattern || exit 11
            }
            driver=/sys/bus/virtio/drivers/virtio_blk
            device=$(basename $driver/virtio*)
            i=0
            while [ $i -lt TIMES ]; do
              disk=$(ls /dev/vd*)
              dd if=$disk of=/dev/null bs=4k skip=1k iflag=direct 2>/dev/null &
              reader=$!
              dd if=/dev/zero of=$disk bs=4k seek=1k oflag=direct 2>/dev/null &
              writer=$!
              check
              echo $device >$driver/unbind
              wait $reader
              wait $writer
              echo $device >$driver/bind || exit 12
              i=$((i + 1))
            done
            check
            echo done
            """;

    @ParameterizedTest
    @EnumSource
    void entropyDeviceSurvivesItsDriver(GuestTransport transport) throws Exception {
        var rng = new RngDevice("rng0");
        try (LinuxGuest guest = LinuxGuest.builder()
                .modules(transport.module(), "virtio_rng")
                .device(transport.of(rng))
                .start()) {
            assertThat(guest.run("cat /sys/class/misc/hw_random/rng_current")).isEqualTo("virtio_rng.0");
            assertThat(guest.run(RELOAD_RNG.replace("TIMES", String.valueOf(TIMES)), LIMIT))
                    .isEqualTo("1024");
            assertThat(rng.counters()).containsEntry("resets", (long) TIMES).containsEntry("queueFaults", 0L);
        }
    }

    @ParameterizedTest
    @EnumSource
    void blockDeviceSurvivesItsDriver(GuestTransport transport) throws Exception {
        BlockDevice disk =
                BlockDevice.builder("disk0", RawImage.inMemory(16 << 20)).build();
        try (LinuxGuest guest = LinuxGuest.builder()
                .modules(transport.module(), "virtio_blk")
                .device(transport.of(disk))
                .start()) {
            assertThat(guest.run(REBIND_BLOCK.replace("TIMES", String.valueOf(TIMES)), LIMIT))
                    .isEqualTo("done");
            assertThat(disk.counters())
                    .containsEntry("resets", (long) TIMES)
                    .containsEntry("queueFaults", 0L)
                    .containsEntry("errors", 0L);
        }
    }
}
