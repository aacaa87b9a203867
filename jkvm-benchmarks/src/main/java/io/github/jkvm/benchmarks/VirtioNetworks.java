package io.github.jkvm.benchmarks;

import io.github.jkvm.testkit.linux.GuestCommand;
import io.github.jkvm.testkit.linux.LinuxMachine;
import io.github.jkvm.virtio.VirtioPci;
import io.github.jkvm.virtio.net.NetDevice;
import io.github.jkvm.virtio.net.TapBackend;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;

/** The guests' networks: an interface of the host for each, behind which a server of iperf3 listens. */
final class VirtioNetworks {
    private static final String TAP_OF_JKVM = "bench-jkvm";
    private static final String TAP_OF_QEMU = "bench-qemu";

    private VirtioNetworks() {}

    /** Measures. */
    static void compare(Path folder) throws IOException, InterruptedException {
        host("ip", "tuntap", "add", TAP_OF_QEMU, "mode", "tap", "vnet_hdr");
        NetDevice card = NetDevice.builder("net0", TapBackend.open(TAP_OF_JKVM)).build();
        host("ip", "addr", "add", "10.77.1.1/24", "dev", TAP_OF_JKVM);
        host("ip", "addr", "add", "10.77.2.1/24", "dev", TAP_OF_QEMU);
        host("ip", "link", "set", TAP_OF_JKVM, "up");
        host("ip", "link", "set", TAP_OF_QEMU, "up");
        List<String> devices = List.of(
                "-netdev",
                "tap,id=net,vhost=off,script=no,downscript=no,ifname=" + TAP_OF_QEMU,
                "-device",
                "virtio-net-pci,netdev=net,disable-legacy=on,romfile=");
        Process server = new ProcessBuilder("iperf3", "-s")
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        try (LinuxMachine jkvm = VirtioTurns.guest("virtio_net", "iperf3")
                        .device(new VirtioPci(card))
                        .start();
                QemuGuest qemu = QemuGuest.start(VirtioTurns.guest("virtio_net", "iperf3"), folder, devices)) {
            jkvm.run("ip addr add 10.77.1.2/24 dev eth0 && ip link set eth0 up");
            qemu.shell().run(GuestCommand.of("ip addr add 10.77.2.2/24 dev eth0 && ip link set eth0 up"));
            VirtioTurns.compare(jkvm.shell(), qemu, VirtioJob.ofNetwork("10.77.1.1"), VirtioJob.ofNetwork("10.77.2.1"));
            System.err.println("jkvm's network card: " + card.counters());
        } finally {
            server.destroy();
            // The other one goes with its descriptor.
            host("ip", "link", "del", TAP_OF_QEMU);
        }
    }

    private static void host(String... command) throws IOException, InterruptedException {
        int status = new ProcessBuilder(command).inheritIO().start().waitFor();
        if (status != 0) {
            throw new IOException("exit status " + status + " of: " + String.join(" ", command));
        }
    }
}
