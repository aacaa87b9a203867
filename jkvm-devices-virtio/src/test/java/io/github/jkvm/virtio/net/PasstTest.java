package io.github.jkvm.virtio.net;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.abort;

import io.github.jkvm.testkit.virtio.ManualEventLoop;
import java.io.File;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The stream backend and the program that it was made for. Skipped where there is no passt, or no network for it. */
@Timeout(60)
class PasstTest {
    private static final int ADDRESS = 0x0A62_0002;
    private static final int GATEWAY = 0x0A62_0001;
    private static final short ARP = 0x0806;

    @TempDir
    Path folder;

    private Process start(Path socket) throws IOException {
        List<String> command =
                new ArrayList<>(List.of("passt", "--foreground", "--one-off", "--ipv4-only", "--stderr"));
        command.addAll(List.of("--socket", socket.toString(), "--mtu", "65520"));
        command.addAll(List.of("--address", "10.98.0.2", "--netmask", "24", "--gateway", "10.98.0.1"));
        if ("root".equals(System.getProperty("user.name"))) {
            // It would become a user that has no access to the folder.
            command.addAll(List.of("--runas", "0"));
        }
        Process process;
        try {
            process = new ProcessBuilder(command)
                    .redirectErrorStream(true)
                    .redirectInput(new File("/dev/null"))
                    .start();
        } catch (IOException e) {
            return abort("no passt on this host: " + e.getMessage());
        }
        var seen = new StringBuilder();
        var output = process.inputReader(StandardCharsets.UTF_8);
        for (String line = output.readLine(); line != null; line = output.readLine()) {
            seen.append(line).append('\n');
            if (line.contains("You can now start qemu")) {
                return process;
            }
        }
        return abort("passt does not start here:\n" + seen);
    }

    private static byte[] arpRequest() {
        byte[] own = MacAddress.of("52:54:00:00:00:07").toBytes();
        ByteBuffer frame = ByteBuffer.allocate(60);
        frame.put(MacAddress.of("ff:ff:ff:ff:ff:ff").toBytes()).put(own).putShort(ARP);
        frame.putShort((short) 1).putShort((short) 0x0800).put((byte) 6).put((byte) 4);
        frame.putShort((short) 1).put(own).putInt(ADDRESS);
        frame.put(new byte[6]).putInt(GATEWAY);
        return frame.array();
    }

    @Test
    void passtAnswersForItsGatewayAndEndsWithTheConnection() throws Exception {
        Path socket = folder.resolve("socket");
        Process passt = start(socket);
        try {
            assertAnswers(socket);
            assertThat(passt.waitFor()).isZero();
        } finally {
            passt.destroyForcibly();
        }
    }

    private static void assertAnswers(Path socket) {
        try (Arena arena = Arena.ofConfined();
                var backend = StreamBackend.connect(UnixDomainSocketAddress.of(socket))) {
            backend.start(new ManualEventLoop(), new TestPorts.Ignoring());
            MemorySegment request = arena.allocate(60);
            request.copyFrom(MemorySegment.ofArray(arpRequest()));
            var frame = new Frame();
            frame.add(request, 0, 60);
            assertThat(backend.send(0, frame)).isEqualTo(NetBackend.Sent.TAKEN);

            byte[] bytes = new byte[Frame.MAX_SIZE];
            var room = new Frame();
            room.add(MemorySegment.ofArray(bytes), 0, bytes.length);
            ByteBuffer answer = ByteBuffer.wrap(bytes);
            do {
                while (backend.receive(0, room) == 0) {
                    Thread.onSpinWait();
                }
            } while (answer.getShort(12) != ARP);
            assertThat(answer.getShort(20)).as("operation: reply").isEqualTo((short) 2);
            assertThat(answer.getInt(28)).isEqualTo(GATEWAY);
            assertThat(answer.getInt(38)).isEqualTo(ADDRESS);
            backend.stop();
        }
    }
}
