package io.github.jkvm.it.linux;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.testkit.linux.ControlChannel;
import io.github.jkvm.testkit.linux.LinuxMachine;
import io.github.jkvm.testkit.linux.LinuxMachineBuilder;
import io.github.jkvm.testkit.linux.RequiresLinuxGuest;
import io.github.jkvm.virtio.VirtioPci;
import io.github.jkvm.virtio.rng.RngDevice;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The PCI bus and virtio over it, as a stock kernel's own drivers see them. */
@RequiresLinuxGuest
@Timeout(600)
class PciGuestTest {
    private static final Duration LIMIT = Duration.ofMinutes(3);

    /** What a kernel says when firmware or hardware does not do what it should. */
    private static final String COMPLAINTS =
            "dmesg | grep -iE 'pci|ecam|mmconfig|virtio|acpi' | grep -iE 'warn|error|fail|bug|conflict|unable|invalid|can.t|cannot|broken|nobody cared' "
                    + "| grep -v 'Using host bridge windows from ACPI; if necessary'; true";

    private static LinuxMachineBuilder guest(RngDevice... devices) {
        LinuxMachineBuilder builder =
                LinuxMachine.builder().channel(ControlChannel.SERIAL).modules("virtio_pci", "virtio_rng");
        for (RngDevice device : devices) {
            builder.device(new VirtioPci(device));
        }
        return builder;
    }

    @Test
    void isEnumeratedWithoutComplaintsAndServesByMessages() throws Exception {
        var first = new RngDevice("rng0");
        var second = new RngDevice("rng1");
        try (LinuxMachine guest = guest(first, second).vcpus(2).start()) {
            assertThat(guest.run("ls -1 /sys/bus/pci/devices")).isEqualTo("0000:00:00.0\n0000:00:01.0\n0000:00:02.0");
            assertThat(guest.run("cd /sys/bus/pci/devices/0000:00:01.0 && cat vendor device class revision"))
                    .isEqualTo("0x1af4\n0x1044\n0x00ff00\n0x01");
            assertThat(guest.run(
                            "for d in 1 2; do basename $(readlink /sys/bus/pci/devices/0000:00:0$d.0/driver); done"))
                    .isEqualTo("virtio-pci\nvirtio-pci");
            assertThat(guest.run("cat /sys/class/misc/hw_random/rng_available"))
                    .contains("virtio_rng.0", "virtio_rng.1");
            for (int i = 0; i < 2; i++) {
                guest.run("echo virtio_rng." + i + " >/sys/class/misc/hw_random/rng_current");
                assertThat(guest.run("dd if=/dev/hwrng bs=512 count=20 2>/dev/null | wc -c"))
                        .isEqualTo("10240");
            }
            assertThat(guest.run("grep -E 'PCI-MSI.*virtio' /proc/interrupts").lines())
                    .as("a vector for the configuration and one for the queue of each")
                    .hasSize(4);
            assertThat(guest.run("cat /proc/iomem"))
                    .contains("PCI MMCONFIG 0000 [bus 00-00]")
                    .contains("virtio-pci-modern");
            assertThat(guest.run("wc -c </sys/bus/pci/devices/0000:00:01.0/config"))
                    .isEqualTo("256");
            assertThat(guest.run(COMPLAINTS)).isEmpty();
        }
        assertThat(first.counters().get("chains")).isPositive();
        assertThat(second.counters().get("chains")).isPositive();
    }

    /** virtio 1.2, 4.1.4.5: without MSI-X, by the pin and the ISR status register. Devices 1 and 5 share a line. */
    @Test
    void servesByPinsWithoutMessages() throws Exception {
        var devices = new RngDevice[5];
        for (int i = 0; i < devices.length; i++) {
            devices[i] = new RngDevice("rng" + i);
        }
        try (LinuxMachine guest = guest(devices).commandLine("pci=nomsi").start()) {
            for (int i : new int[] {0, 4, 2}) {
                guest.run("echo virtio_rng." + i + " >/sys/class/misc/hw_random/rng_current");
                assertThat(guest.run("dd if=/dev/hwrng bs=512 count=20 2>/dev/null | wc -c"))
                        .isEqualTo("10240");
            }
            assertThat(guest.run("grep virtio /proc/interrupts"))
                    .contains("IO-APIC")
                    .containsPattern("17-fasteoi +virtio0, virtio4")
                    .doesNotContain("PCI-MSI");
            assertThat(guest.run(COMPLAINTS)).isEmpty();
        }
        assertThat(devices[4].counters().get("chains")).isPositive();
    }

    /** Each probe sizes registers, moves nothing, sets vectors up and takes them down again. */
    @Test
    void isFoundAgainWhenItWasTakenOffAndDriversAreReloaded() throws Exception {
        var device = new RngDevice("rng0");
        try (LinuxMachine guest = guest(device).commandLine("pci=nommconf").start()) {
            guest.run("""
                    for i in $(seq 20); do
                      dd if=/dev/hwrng of=/dev/null bs=64 count=4 2>/dev/null || exit 1
                      rmmod virtio_rng && modprobe virtio_rng || exit 2
                    done
                    for i in $(seq 5); do
                      echo 1 >/sys/bus/pci/devices/0000:00:01.0/remove || exit 3
                      echo 1 >/sys/bus/pci/rescan || exit 4
                      dd if=/dev/hwrng of=/dev/null bs=64 count=4 2>/dev/null || exit 5
                    done
                    """, LIMIT);
            assertThat(guest.run("cat /proc/iomem")).doesNotContain("MMCONFIG").contains("virtio-pci-modern");
            assertThat(guest.run(COMPLAINTS)).isEmpty();
        }
        assertThat(device.counters().get("resets")).isGreaterThanOrEqualTo(25);
    }
}
