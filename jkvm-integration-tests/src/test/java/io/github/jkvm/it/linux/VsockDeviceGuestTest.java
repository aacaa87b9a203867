package io.github.jkvm.it.linux;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.testkit.linux.LinuxMachine;
import io.github.jkvm.testkit.linux.RequiresLinuxGuest;
import io.github.jkvm.testkit.linux.RunningCommand;
import io.github.jkvm.virtio.vsock.VsockChannel;
import io.github.jkvm.virtio.vsock.VsockDevice;
import io.github.jkvm.virtio.vsock.VsockListener;
import io.github.jkvm.virtio.vsock.VsockUnixSockets;
import java.io.IOException;
import java.net.ConnectException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ByteChannel;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Programs of a Linux guest and of the host connect to each other. */
@RequiresLinuxGuest
@Timeout(600)
class VsockDeviceGuestTest {
    private static final Duration LIMIT = Duration.ofMinutes(3);
    private static final int EACH_WAY = 32;
    private static final int BYTES = 300_000;
    private static final int ECHO = 7000;

    /** A server in the guest that sends back what it gets. Without -t it would wait half a second for the rest, once the host is done. */
    private static final String ECHO_SERVER =
            "socat -t 60 VSOCK-LISTEN:" + ECHO + ",fork,reuseaddr,backlog=64 EXEC:cat </dev/null >/dev/null 2>&1 & ";

    @TempDir
    Path folder;

    private static LinuxMachine boot(VsockDevice device, GuestTransport transport) throws Exception {
        return LinuxMachine.builder()
                .modules(transport.module())
                .modulesAtHand("vmw_vsock_virtio_transport")
                .programs("socat")
                .device(transport.of(device))
                .start();
    }

    @ParameterizedTest
    @EnumSource
    void carriesManyConnectionsBothWaysAtOnce(GuestTransport transport) throws Exception {
        VsockDevice device = VsockDevice.builder("vsock0", 77).build();
        try (LinuxMachine guest = boot(device, transport)) {
            guest.run("modprobe vmw_vsock_virtio_transport");
            echoesBothWays(guest, device, EACH_WAY);
        }
    }

    /** Has so many connections open from each side at once, and all that is sent over them come back. */
    static void echoesBothWays(LinuxMachine guest, VsockDevice device, int eachWay) throws Exception {
        guest.run(ECHO_SERVER);
        try (VsockListener listener = device.listen(5000)) {
            // Beforehand: Linux gives a connection two seconds to be made, and random files take a slow machine long.
            guest.run("for i in $(seq " + eachWay + "); do head -c " + BYTES + " /dev/urandom >/tmp/in$i; done");
            var accepted = new CountDownLatch(eachWay);
            var open = new CountDownLatch(2 * eachWay);
            // connections of the guest, each of which gets back what it sends ...
            RunningCommand clients = guest.begin("for i in $(seq " + eachWay + "); do ("
                    + "socat -t 60 - VSOCK-CONNECT:2:5000 </tmp/in$i >/tmp/out$i;"
                    + "cmp /tmp/in$i /tmp/out$i && echo same >/tmp/result$i; rm -f /tmp/in$i /tmp/out$i"
                    + ") & pids=\"$pids $!\"; done; wait $pids; cat /tmp/result* | wc -l");
            List<FutureTask<Void>> tasks = new ArrayList<>();
            for (int i = 0; i < eachWay; i++) {
                tasks.add(start(() -> {
                    try (VsockChannel channel = listener.accept(LIMIT)) {
                        accepted.countDown();
                        open.countDown();
                        await(open);
                        echo(channel);
                    }
                    return null;
                }));
            }
            // ... and as many of the host; all of them are open before one ends.
            for (int i = 0; i < eachWay; i++) {
                int seed = i;
                tasks.add(start(() -> {
                    await(accepted);
                    VsockChannel channel = connect(device);
                    open.countDown();
                    exchange(channel, seed);
                    return null;
                }));
            }
            for (FutureTask<Void> task : tasks) {
                task.get(LIMIT.toSeconds(), TimeUnit.SECONDS);
            }
            assertThat(clients.await(LIMIT).output().strip()).isEqualTo(String.valueOf(eachWay));
        }
        assertThat(device.counters())
                .containsEntry("badPackets", 0L)
                .containsEntry("queueFaults", 0L)
                .containsEntry("resetsDropped", 0L);
        assertThat(device.counters().get("connections")).isGreaterThanOrEqualTo(2L * eachWay);
        assertThat(device.counters().get("bytesFromGuest")).isGreaterThanOrEqualTo(2L * eachWay * BYTES);
    }

    private static void await(CountDownLatch latch) throws InterruptedException {
        assertThat(latch.await(LIMIT.toSeconds(), TimeUnit.SECONDS)).isTrue();
    }

    /** The server may not listen yet, or its backlog be full. */
    private static VsockChannel connect(VsockDevice device) throws Exception {
        long end = System.nanoTime() + LIMIT.toNanos();
        while (true) {
            try {
                return device.connect(ECHO, LIMIT);
            } catch (ConnectException refused) {
                if (System.nanoTime() > end) {
                    throw refused;
                }
                TimeUnit.MILLISECONDS.sleep(100);
            }
        }
    }

    private static <T> FutureTask<T> start(Callable<T> code) {
        var task = new FutureTask<>(code);
        Thread.ofPlatform().daemon().start(task);
        return task;
    }

    private static void echo(VsockChannel channel) throws IOException {
        ByteBuffer buffer = ByteBuffer.allocate(8192);
        while (channel.read(buffer.clear()) >= 0) {
            channel.write(buffer.flip());
        }
        channel.shutdownOutput();
    }

    private static void exchange(VsockChannel channel, int seed) throws Exception {
        var bytes = new byte[BYTES];
        new Random(seed).nextBytes(bytes);
        try (channel) {
            FutureTask<byte[]> answer = start(() -> readAll(channel));
            channel.write(ByteBuffer.wrap(bytes));
            channel.shutdownOutput();
            assertThat(Arrays.equals(answer.get(LIMIT.toSeconds(), TimeUnit.SECONDS), bytes))
                    .isTrue();
        }
    }

    private static byte[] readAll(ByteChannel channel) throws IOException {
        ByteBuffer buffer = ByteBuffer.allocate(2 * BYTES);
        while (channel.read(buffer) >= 0) {
            // until the other side is done
        }
        return Arrays.copyOf(buffer.array(), buffer.position());
    }

    @Test
    void reachesTheGuestThroughUnixSockets() throws Exception {
        VsockDevice device = VsockDevice.builder("vsock0", 77).build();
        try (LinuxMachine guest = boot(device, GuestTransport.MMIO);
                VsockUnixSockets sockets = device.unixSockets(folder.resolve("v.sock"))) {
            guest.run("modprobe vmw_vsock_virtio_transport");
            guest.run(ECHO_SERVER);
            connect(device).close();
            try (SocketChannel client = SocketChannel.open(UnixDomainSocketAddress.of(sockets.path()))) {
                client.write(bytes("CONNECT " + ECHO + "\nhello\n"));
                client.shutdownOutput();
                String answer = new String(readAll(client), StandardCharsets.US_ASCII);
                assertThat(answer).matches("OK [0-9]+\nhello\n");
            }
            try (ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
                server.bind(UnixDomainSocketAddress.of(folder.resolve("v.sock_6000")));
                RunningCommand command =
                        guest.begin("echo to the host | socat -t 60 - VSOCK-CONNECT:2:6000; echo status $?");
                try (SocketChannel accepted = server.accept()) {
                    assertThat(new String(readAll(accepted), StandardCharsets.US_ASCII))
                            .isEqualTo("to the host\n");
                    accepted.write(bytes("to the guest\n"));
                }
                assertThat(command.await(LIMIT).output()).isEqualTo("to the guest\nstatus 0\n");
            }
            assertThat(guest.execute("socat - VSOCK-CONNECT:2:6001 </dev/null", LIMIT)
                            .errors())
                    .contains("Connection reset by peer");
        }
    }

    private static ByteBuffer bytes(String text) {
        return ByteBuffer.wrap(text.getBytes(StandardCharsets.US_ASCII));
    }
}
