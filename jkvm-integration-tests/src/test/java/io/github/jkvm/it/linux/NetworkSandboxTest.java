package io.github.jkvm.it.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.github.jkvm.Hypervisor;
import io.github.jkvm.sandbox.CommandResult;
import io.github.jkvm.sandbox.GuestAddress;
import io.github.jkvm.sandbox.GuestNetwork;
import io.github.jkvm.sandbox.Limits;
import io.github.jkvm.sandbox.LinuxSandbox;
import io.github.jkvm.sandbox.RootFs;
import io.github.jkvm.sandbox.RunningCommand;
import io.github.jkvm.sandbox.SandboxState;
import io.github.jkvm.testkit.linux.RequiresLinuxGuest;
import io.github.jkvm.virtio.net.TapBackend;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Sandboxes that were given a network: an interface of the host for each start. */
@RequiresLinuxGuest
@Timeout(600)
class NetworkSandboxTest {
    private static final Duration LIMIT = Duration.ofMinutes(4);

    @TempDir
    private Path folder;

    private final Set<String> addressesSeen = new HashSet<>();
    private int networks;
    private boolean refuses;

    /** Makes an interface of the host in a network of its own, of which the guest is the second station. */
    private GuestNetwork nextNetwork() {
        if (refuses) {
            return GuestNetwork.tap("no/name");
        }
        networks++;
        TapBackend tap = TapBackend.open("jkvm%d");
        try {
            HostCommand.run("ip", "addr", "add", host() + "/24", "dev", tap.interfaceName());
            HostCommand.run("ip", "link", "set", tap.interfaceName(), "up");
        } catch (IOException | InterruptedException e) {
            throw new IllegalStateException(e);
        }
        return GuestNetwork.of(tap)
                .withAddress(GuestAddress.of("10.96." + networks + ".2/24")
                        .withGateway(host())
                        .withResolvers(host(), "fd00::53"));
    }

    private String host() {
        return "10.96." + networks + ".1";
    }

    @Test
    void reachesItsHostFromEachStartWithAnAddressOfItsOwn() throws Exception {
        Path root = BusyboxRoot.create(folder.resolve("root"), "sh", "cat", "ip", "nc");
        try (Hypervisor hypervisor = Hypervisor.open();
                LinuxSandbox sandbox = LinuxSandbox.builder(hypervisor)
                        .rootfs(RootFs.folder(root))
                        .memory(128 << 20)
                        .limits(Limits.DEFAULT.withDeadline(LIMIT))
                        .bootDeadline(LIMIT)
                        .network(this::nextNetwork)
                        .build()) {
            assertReachesHost(sandbox);
            sandbox.restore();
            assertReachesHost(sandbox);
            try (LinuxSandbox copy = sandbox.copy()) {
                assertReachesHost(copy);
            }
            assertThat(networks).isEqualTo(3);
            refuses = true;
            assertThatExceptionOfType(IllegalArgumentException.class).isThrownBy(sandbox::restore);
            assertThat(sandbox.state()).isEqualTo(SandboxState.POISONED);
        }
    }

    private static String output(LinuxSandbox sandbox, String script) {
        CommandResult result = sandbox.command("sh", "-c", script).run();
        assertThat(result.errorText()).isEmpty();
        return result.outputText();
    }

    private void assertReachesHost(LinuxSandbox sandbox) throws Exception {
        String address = output(sandbox, "cat /sys/class/net/eth0/address").strip();
        // IEEE 802: the second bit of the first byte says that the address is locally administered, the first one that
        // it is a group's.
        assertThat(Integer.parseInt(address.substring(0, 2), 16) & 3).isEqualTo(2);
        assertThat(addressesSeen.add(address)).as("%s is new", address).isTrue();
        assertThat(output(sandbox, "ip route")).contains("default via " + host() + " dev eth0", "10.96." + networks);
        assertThat(output(sandbox, "cat /etc/resolv.conf"))
                .isEqualTo("nameserver " + host() + "\nnameserver fd00:0:0:0:0:0:0:53\n");
        try (var server = new ServerSocket()) {
            server.bind(new InetSocketAddress(InetAddress.getByName(host()), 0));
            server.setSoTimeout((int) LIMIT.toMillis());
            String script = "nc " + host() + " " + server.getLocalPort();
            try (RunningCommand client = sandbox.command("sh", "-c", script).start()) {
                client.input().write("from the guest\n".getBytes(StandardCharsets.UTF_8));
                client.input().flush();
                try (Socket socket = server.accept()) {
                    assertThat(socket.getInputStream().readNBytes(15))
                            .asString(StandardCharsets.UTF_8)
                            .isEqualTo("from the guest\n");
                    socket.getOutputStream().write("from the host\n".getBytes(StandardCharsets.UTF_8));
                    assertThat(client.output().readNBytes(14))
                            .asString(StandardCharsets.UTF_8)
                            .isEqualTo("from the host\n");
                }
            }
        }
    }
}
