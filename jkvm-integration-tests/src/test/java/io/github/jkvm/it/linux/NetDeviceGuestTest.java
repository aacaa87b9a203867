package io.github.jkvm.it.linux;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.testkit.linux.LinuxMachine;
import io.github.jkvm.testkit.linux.RequiresLinuxGuest;
import io.github.jkvm.testkit.linux.RunningCommand;
import io.github.jkvm.virtio.net.LinkState;
import io.github.jkvm.virtio.net.MacAddress;
import io.github.jkvm.virtio.net.NetDevice;
import io.github.jkvm.virtio.net.StreamBackend;
import io.github.jkvm.virtio.net.Switch;
import io.github.jkvm.virtio.net.TapBackend;
import java.io.IOException;
import java.net.ConnectException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.UnixDomainSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.SplittableRandom;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Linux's virtio_net on networks of every kind, over each transport. */
@RequiresLinuxGuest
@Timeout(600)
class NetDeviceGuestTest {
    private static final Duration LIMIT = Duration.ofMinutes(4);
    private static final int MIB = 1 << 20;
    private static final Pattern RECEIVED = Pattern.compile("\"sum_received\":\\s*\\{[^}]*?\"bytes\":\\s*(\\d+)");

    private static final int PORT = 5000;

    /** Takes what one connection brings, without ending its own direction before, and sums it up. */
    private static final String LISTEN =
            "mkfifo /tmp/never; nc -l -p " + PORT + " <>/tmp/never >/tmp/got; rm /tmp/never; sha256sum </tmp/got";

    /** What the guests load: virtio_net, and packet sockets. */
    private static final String[] MODULES = {"virtio_net", "af_packet"};

    @TempDir
    Path folder;

    private static LinuxMachine boot(GuestTransport transport, int vcpus, NetDevice device, byte[] file)
            throws Exception {
        return LinuxMachine.builder()
                .modules(transport.module())
                .modules(MODULES)
                .programs("iperf3", "ping", "ip", "ethtool")
                .file("/root/file", file)
                .device(transport.of(device))
                .vcpus(vcpus)
                .start();
    }

    /** How much a sender's socket keeps at most, none of which need ever be sent when iperf3 ends (tcp(7), tcp_wmem). */
    private static final int MOST_LEFT = 4 * MIB;

    static byte[] content() {
        byte[] content = new byte[4 * MIB];
        new SplittableRandom(5).nextBytes(content);
        return content;
    }

    /**
     * Runs iperf3's client in a guest. The sender ends when its socket has taken all, of which the last may never arrive: only the receiver knows.
     *
     * @return how many bytes of payload the receiving side got
     */
    private static long iperf(LinuxMachine guest, String arguments) throws InterruptedException {
        String report =
                guest.run("until iperf3 -J " + arguments + " >/tmp/report; do sleep 0.2; done; cat /tmp/report", LIMIT);
        Matcher received = RECEIVED.matcher(report);
        assertThat(received.find()).as(report).isTrue();
        long bytes = Long.parseLong(received.group(1));
        assertThat(bytes).isGreaterThan(MIB);
        return bytes;
    }

    /** Checks that a device has counted at least the payload that went through it, and no mistake. */
    static void assertMovedBytes(NetDevice device, long sent, long received) {
        assertThat(device.counters().get("sentBytes")).isGreaterThanOrEqualTo(sent);
        assertThat(device.counters().get("receivedBytes")).isGreaterThanOrEqualTo(received);
        assertThat(device.counters()).containsEntry("badSendChains", 0L).containsEntry("badReceiveChains", 0L);
        assertThat(device.counters()).containsEntry("queueFaults", 0L);
    }

    @ParameterizedTest
    @EnumSource
    void talksToItsHostThroughAnInterface(GuestTransport transport) throws Exception {
        TapBackend tap = TapBackend.open("jkvm%d", 2);
        String name = tap.interfaceName();
        NetDevice device = NetDevice.builder("net0", tap)
                .mac(MacAddress.of("52:54:00:00:00:01"))
                .queuePairs(2)
                .build();
        byte[] content = content();
        try (LinuxMachine guest = boot(transport, 2, device, content)) {
            HostCommand.run("ip", "addr", "add", "10.99.0.1/24", "dev", name);
            HostCommand.run("ip", "link", "set", name, "up");
            guest.run("ip addr add 10.99.0.2/24 dev eth0 && ip link set eth0 up");
            assertThat(guest.run("ping -c 3 -W 20 10.99.0.1")).contains(" 0% packet loss");
            assertThat(HostCommand.run("ping", "-c", "3", "-W", "20", "10.99.0.2"))
                    .contains(" 0% packet loss");
            assertThat(guest.run("cat /sys/class/net/eth0/address")).isEqualTo("52:54:00:00:00:01");
            // Cutting and checksums are left to the host.
            assertThat(guest.run("ethtool -k eth0"))
                    .contains("tx-checksumming: on", "tcp-segmentation-offload: on", "rx-checksumming: on");
            try (var server = HostCommand.start("iperf3", "-s", "--forceflush", "-B", "10.99.0.1")) {
                server.awaitLine("Server listening");
                long sent = iperf(guest, "-c 10.99.0.1 -n 16M");
                long received = iperf(guest, "-c 10.99.0.1 -n 16M -R");
                guest.run("iperf3 -c 10.99.0.1 -n 4M -u -b 0 -l 1400", LIMIT);
                assertMovedBytes(device, Math.max(sent, 16 * MIB), received);
            }
            receivesWhatTheHostSends(guest, content);
            guest.run("ethtool -K eth0 tso off tx off && ethtool -L eth0 combined 1");
            sendsWhatTheHostReceives(guest, content);
            followsTheCable(guest, device);
        }
        assertThat(Files.exists(Path.of("/sys/class/net", name))).isFalse();
    }

    static void receivesWhatTheHostSends(LinuxMachine guest, byte[] content) throws Exception {
        RunningCommand received = guest.begin(LISTEN);
        try (Socket socket = connect(InetAddress.getByAddress(new byte[] {10, 99, 0, 2}))) {
            socket.getOutputStream().write(content);
            socket.shutdownOutput();
            assertThat(socket.getInputStream().read()).isEqualTo(-1);
        }
        assertThat(received.await(LIMIT).output()).isEqualTo(guest.run("sha256sum </root/file") + "\n");
    }

    /** Connects to a guest as soon as it listens. */
    private static Socket connect(InetAddress address) throws IOException {
        long end = System.nanoTime() + LIMIT.toNanos();
        while (true) {
            try {
                return new Socket(address, PORT);
            } catch (ConnectException e) {
                if (System.nanoTime() > end) {
                    throw e;
                }
            }
        }
    }

    static void sendsWhatTheHostReceives(LinuxMachine guest, byte[] content) throws Exception {
        try (var server = new ServerSocket(PORT)) {
            RunningCommand sent = guest.begin("nc 10.99.0.1 " + PORT + " </root/file");
            server.setSoTimeout((int) LIMIT.toMillis());
            try (Socket socket = server.accept()) {
                assertThat(socket.getInputStream().readAllBytes()).isEqualTo(content);
            }
            assertThat(sent.await(LIMIT).status()).isZero();
        }
    }

    private static void followsTheCable(LinuxMachine guest, NetDevice device) throws Exception {
        device.setLink(LinkState.DOWN);
        guest.run("while [ $(cat /sys/class/net/eth0/carrier) = 1 ]; do sleep 0.1; done");
        device.setLink(LinkState.UP);
        guest.run("while [ $(cat /sys/class/net/eth0/carrier) = 0 ]; do sleep 0.1; done");
        guest.run("ping -c 1 -W 20 10.99.0.1");
    }

    @ParameterizedTest
    @EnumSource
    void reachesItsHostThroughPasst(GuestTransport transport) throws Exception {
        // passt takes over addresses and routes of the host, so the host needs some.
        try (TapBackend outside = TapBackend.open("jkvm%d")) {
            HostCommand.run("ip", "addr", "add", "10.98.0.2/24", "dev", outside.interfaceName());
            HostCommand.run("ip", "link", "set", outside.interfaceName(), "up");
            Path socket = folder.resolve("socket");
            // Others' part: passt gives up its privileges.
            folder.toFile().setExecutable(true, false);
            try (var passt = HostCommand.start(
                            "passt",
                            "--foreground",
                            "--one-off",
                            "--ipv4-only",
                            "--socket",
                            socket.toString(),
                            "--interface",
                            outside.interfaceName(),
                            "--address",
                            "10.98.0.2",
                            "--netmask",
                            "24",
                            "--gateway",
                            "10.98.0.1",
                            "--runas",
                            "0",
                            "--mtu",
                            "65520",
                            "--stderr");
                    var server = HostCommand.start("iperf3", "-s", "--forceflush", "-B", "127.0.0.1")) {
                server.awaitLine("Server listening");
                passt.awaitLine("You can now start qemu");
                NetDevice device = NetDevice.builder("net0", StreamBackend.connect(UnixDomainSocketAddress.of(socket)))
                        .mtu(65_520)
                        .build();
                try (LinuxMachine guest = boot(transport, 1, device, new byte[0])) {
                    guest.run("ip addr add 10.98.0.2/24 dev eth0 && ip link set eth0 up"
                            + " && ip route add default via 10.98.0.1");
                    // The gateway's address stands for the host's loopback.
                    long sent = iperf(guest, "-c 10.98.0.1 -n 8M");
                    long received = iperf(guest, "-c 10.98.0.1 -n 8M -R");
                    assertMovedBytes(device, Math.max(sent, 8 * MIB - MOST_LEFT), received);
                }
            }
        }
    }

    @ParameterizedTest
    @EnumSource
    void guestsTalkToEachOtherOverASwitch(GuestTransport transport) throws Exception {
        byte[] content = content();
        try (Switch network = Switch.builder().build()) {
            NetDevice one = NetDevice.builder("net0", network.newPort()).build();
            NetDevice two = NetDevice.builder("net0", network.newPort()).build();
            try (LinuxMachine first = boot(transport, 1, one, content);
                    LinuxMachine second = boot(transport, 1, two, new byte[0])) {
                first.run("ip addr add 10.97.0.1/24 dev eth0 && ip link set eth0 up");
                second.run("ip addr add 10.97.0.2/24 dev eth0 && ip link set eth0 up");
                assertThat(second.run("ping -c 3 -W 20 10.97.0.1")).contains(" 0% packet loss");
                first.run(
                        "iperf3 -s -D --forceflush -I /tmp/iperf.pid >/dev/null 2>&1 && until [ -s /tmp/iperf.pid ]; do :; done");
                long there = iperf(second, "-c 10.97.0.1 -n 16M");
                long back = iperf(second, "-c 10.97.0.1 -n 16M -R");
                assertMovedBytes(one, back, Math.max(there, 16 * MIB - MOST_LEFT));
                assertThat(one.counters()).containsEntry("checksumsCompleted", 0L);
                // A guest that wants its frames whole gets them whole.
                second.run("ethtool -K eth0 lro off gro off && ip link set eth0 down && ip link set eth0 up");
                RunningCommand received = second.begin(LISTEN);
                String sum = first.run(
                        "until nc 10.97.0.2 " + PORT + " </root/file 2>/dev/null; do :; done; sha256sum </root/file",
                        LIMIT);
                assertThat(received.await(LIMIT).output()).isEqualTo(sum + "\n");
            }
        }
    }
}
