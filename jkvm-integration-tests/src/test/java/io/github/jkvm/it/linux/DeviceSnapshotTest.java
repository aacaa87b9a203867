package io.github.jkvm.it.linux;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.Device;
import io.github.jkvm.testkit.linux.LinuxMachine;
import io.github.jkvm.testkit.linux.LinuxSnapshot;
import io.github.jkvm.testkit.linux.RequiresLinuxGuest;
import io.github.jkvm.virtio.VirtioDevice;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A Linux that has all devices goes on from a snapshot with other ones, which have the same files, and uses each. */
@RequiresLinuxGuest
@Timeout(600)
class DeviceSnapshotTest {
    @TempDir
    private Path folder;

    private static Device[] devices(DeviceFamily family) {
        return family.devices().stream().map(GuestTransport.PCI::of).toArray(Device[]::new);
    }

    @Test
    void everyDeviceWorksAgain() throws Exception {
        var before = new DeviceFamily(folder);
        LinuxSnapshot snapshot;
        try (LinuxMachine guest = before.guest(GuestTransport.PCI)
                        .programs("ping", "socat")
                        .start();
                var services = new EchoServices(before)) {
            use(guest);
            // A file that is open for writing, and a connection that nobody ends.
            guest.run("mkdir /share && mount -t virtiofs " + DeviceFamily.TAG + " /share && echo first >/share/file");
            guest.run("(until [ -e /tmp/go ]; do sleep 0.1; done; echo later) >/share/open 2>&1 &");
            guest.run("(socat VSOCK-CONNECT:2:5001 EXEC:'sleep 100000'; touch /tmp/ended) >/dev/null 2>&1 &");
            while (before.vsock.counters().get("connections") < 2) {
                Thread.onSpinWait();
            }
            guest.machine().pause();
            snapshot = guest.snapshot();
            assertThat(services).isNotNull();
        }
        var after = new DeviceFamily(before);
        try (snapshot;
                LinuxMachine guest = snapshot.start(devices(after));
                var services = new EchoServices(after)) {
            assertThat(services).isNotNull();
            // The connection has ended, and the guest knows.
            awaitEnd(guest);
            guest.run("ip link set dev eth0 address " + after.net.macAddress());
            use(guest);
            assertThat(guest.run("cat /share/file")).isEqualTo("first");
            guest.run("touch /tmp/go; until grep -q later /share/open; do sleep 0.1; done; echo second >/share/file");
            assertThat(after.shared.resolve("open")).content().isEqualTo("later\n");
            assertThat(after.shared.resolve("file")).content().isEqualTo("second\n");
            for (VirtioDevice device : after.devices()) {
                assertThat(device.counters()).as(device.name()).containsEntry("queueFaults", 0L);
            }
        }
    }

    private static void awaitEnd(LinuxMachine guest) throws InterruptedException {
        try {
            guest.run("until [ -e /tmp/ended ]; do sleep 0.1; done");
        } catch (AssertionError e) {
            // Whether its timers stand still, or its end of the connection is open.
            e.addSuppressed(new AssertionError(guest.run(
                    "cat /proc/uptime; ls /tmp; ps; grep -e LOC: -e virtio /proc/interrupts; cat /proc/timer_list")));
            throw e;
        }
    }

    /** Uses what takes no preparation: a disk, memory that persists, random numbers, the network, sockets and the console. */
    private static void use(LinuxMachine guest) throws InterruptedException {
        for (String disk : new String[] {"/dev/vda", "/dev/pmem0"}) {
            guest.run("head -c 65536 /dev/urandom >/tmp/sample && dd if=/tmp/sample of=" + disk
                    + " bs=4k conv=fsync 2>/dev/null && echo 3 >/proc/sys/vm/drop_caches && head -c 65536 " + disk
                    + " | cmp - /tmp/sample");
        }
        assertThat(guest.run("head -c 256 /dev/hwrng | wc -c")).isEqualTo("256");
        guest.run("ip addr replace " + DeviceFamily.GUEST_ADDRESS + "/24 dev eth0 && ip link set eth0 up");
        assertThat(guest.run("ping -c 2 -W 20 " + DeviceFamily.HOST_ADDRESS)).contains(" 0% packet loss");
        assertThat(guest.run("echo over tcp | nc " + DeviceFamily.HOST_ADDRESS + " 5001"))
                .isEqualTo("over tcp");
        assertThat(guest.run("echo over vsock | socat -t 60 - VSOCK-CONNECT:2:5001"))
                .isEqualTo("over vsock");
        assertThat(guest.run("exec 3<>/dev/vport0p2; echo over a port >&3; head -n 1 <&3"))
                .isEqualTo("over a port");
    }
}
