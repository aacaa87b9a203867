package io.github.jkvm.it.linux;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.testkit.linux.LinuxMachine;
import io.github.jkvm.testkit.linux.RequiresLinuxGuest;
import io.github.jkvm.virtio.Feature;
import io.github.jkvm.virtio.VirtioDevice;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.AfterParameterizedClassInvocation;
import org.junit.jupiter.params.BeforeParameterizedClassInvocation;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.EnumSource;

/** Linux and packed rings (virtio 1.2, 2.8): every device at work with them, in one guest for each transport. */
@RequiresLinuxGuest
@Timeout(600)
@ParameterizedClass
@EnumSource(GuestTransport.class)
class PackedRingGuestTest {
    private static final Duration LIMIT = Duration.ofMinutes(4);
    private static final long MIB = 1L << 20;

    /** Connections from each side. */
    private static final int CONNECTIONS = 8;

    @TempDir
    private static Path temporary;

    private static DeviceFamily family;
    private static byte[] content;
    private static LinuxMachine guest;

    @Parameter
    GuestTransport transport;

    @BeforeParameterizedClassInvocation
    static void boot(GuestTransport transport) throws Exception {
        family = new DeviceFamily(Files.createDirectory(temporary.resolve(transport.name())));
        family.devices().forEach(VirtioDevice::offerPackedRings);
        content = NetDeviceGuestTest.content();
        guest = family.guest(transport)
                .modules("ext4")
                .programs("mkfs.ext4", "fio", "socat")
                .file("/root/file", content)
                .start();
    }

    @AfterParameterizedClassInvocation
    static void end() {
        if (guest != null) {
            guest.close();
        }
        for (VirtioDevice device : family.devices()) {
            assertThat(device.counters())
                    .as(device.name())
                    .containsEntry("queueFaults", 0L)
                    .containsEntry("failures", 0L);
        }
    }

    @Test
    void isWhatLinuxChoosesForEachDevice() throws Exception {
        assertThat(family.driversThatAgreedOn(guest, Feature.PACKED_RING)).isEqualTo(DeviceFamily.DRIVERS);
        assertThat(family.driversThatAgreedOn(guest, Feature.EVENT_INDEX)).isEqualTo(DeviceFamily.DRIVERS);
        // Linux's balloon does without, so as not to need memory when it is to give memory away.
        assertThat(family.driversThatAgreedOn(guest, Feature.INDIRECT_DESCRIPTORS))
                .containsAll(DeviceFamily.DRIVERS.subList(1, DeviceFamily.DRIVERS.size()));
    }

    @Test
    void carriesRequestsToADisk() throws Exception {
        guest.run(
                "fio --name=verify --filename=/dev/vda --ioengine=libaio --direct=1 --thread --rw=randrw --bs=4k"
                        + " --iodepth=32 --size=8m --verify=crc32c --verify_fatal=1 --do_verify=1"
                        + " && mkfs.ext4 -q /dev/vda && mount /dev/vda /mnt && cp /root/file /mnt && umount /mnt"
                        + " && mount /dev/vda /mnt && cmp /root/file /mnt/file && umount /mnt",
                LIMIT);
        assertThat(family.block.counters()).containsEntry("errors", 0L);
    }

    @Test
    void carriesFrames() throws Exception {
        guest.run("ip addr add " + DeviceFamily.GUEST_ADDRESS + "/24 dev eth0 && ip link set eth0 up");
        NetDeviceGuestTest.receivesWhatTheHostSends(guest, content);
        NetDeviceGuestTest.sendsWhatTheHostReceives(guest, content);
        NetDeviceGuestTest.assertMovedBytes(family.net, content.length, content.length);
    }

    @Test
    void carriesBytesOverConsolePorts() throws Exception {
        ConsoleDeviceGuestTest.carriesBytesBothWays(guest, family.console);
    }

    @Test
    void carriesSocketConnections() throws Exception {
        VsockDeviceGuestTest.echoesBothWays(guest, family.vsock, CONNECTIONS);
    }

    @Test
    void bringsEntropy() throws Exception {
        RngDeviceGuestTest.readsFromTheHost(guest, family.rng);
    }

    @Test
    void takesMemoryAndGivesItBack() throws Exception {
        family.balloon.setTarget(64 * MIB);
        assertThat(family.balloon.awaitTarget(LIMIT)).isTrue();
        assertThat(family.balloon.counters())
                .containsEntry("pagesInflated", 64 * MIB / 4096)
                .containsEntry("pagesRejected", 0L);
        assertThat(family.balloon.statistics(LIMIT)).isPresent();
        family.balloon.setTarget(0);
        assertThat(family.balloon.awaitTarget(LIMIT)).isTrue();
        assertThat(family.balloon.counters()).containsEntry("pagesDeflated", 64 * MIB / 4096);
    }

    @Test
    void servesFiles() throws Exception {
        guest.run("mount -t virtiofs " + DeviceFamily.TAG + " /mnt && cp /root/file /mnt/copy"
                + " && for i in $(seq 20); do echo $i >/mnt/file$i; done; cat /mnt/file* | wc -l | grep -qx 20");
        assertThat(family.shared.resolve("copy")).hasBinaryContent(content);
        assertThat(family.shared.resolve("file20")).hasContent("20\n");
        guest.run("umount /mnt && mount -t virtiofs " + DeviceFamily.TAG
                + " /mnt && cmp /root/file /mnt/copy && umount /mnt");
    }

    @Test
    void flushesPersistentMemory() throws Exception {
        String sum = PmemDeviceGuestTest.keepsAFile(guest, family.pmem);
        assertThat(guest.run("umount /mnt && mount -t ext4 /dev/pmem0 /mnt && sha256sum </mnt/data && umount /mnt"))
                .isEqualTo(sum);
    }
}
