package io.github.jkvm.sandbox.process;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import io.github.jkvm.sandbox.SandboxProcessException;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ChildJvmTest {
    private static ChildJvm start(Network network) throws Exception {
        Path classes = Path.of(EchoService.class
                .getProtectionDomain()
                .getCodeSource()
                .getLocation()
                .toURI());
        // On the module path the tests are patched into the module, and are no place of their own.
        Path tests = classes.resolveSibling("test-classes");
        return ChildJvm.start(EchoService.class, network, 1 << 20, List.of(tests));
    }

    private static String ask(ChildJvm child, String question) throws IOException {
        try (SocketChannel connection = child.connect()) {
            return ask(connection, question);
        }
    }

    private static String ask(SocketChannel connection, String question) throws IOException {
        connection.write(ByteBuffer.wrap(question.getBytes(StandardCharsets.UTF_8)));
        ByteBuffer answer = ByteBuffer.allocate(10_000);
        if (connection.read(answer) < 0) {
            throw new EOFException("no answer");
        }
        return new String(answer.array(), 0, answer.position(), StandardCharsets.UTF_8);
    }

    @Test
    void servesManyConnections() throws Exception {
        try (ChildJvm child = start(Network.HOST);
                SocketChannel first = child.connect();
                SocketChannel second = child.connect()) {
            assertThat(ask(second, "b")).isEqualTo("echo of b");
            assertThat(ask(first, "a")).isEqualTo("echo of a");
            assertThat(child.isAlive()).isTrue();
        }
    }

    @Test
    void hasNoFilesOfThisProcess(@TempDir Path folder) throws Exception {
        Path secret = Files.createFile(folder.resolve("secret"));
        try (var open = Files.newByteChannel(secret);
                ChildJvm child = start(Network.HOST)) {
            assertThat(open.isOpen()).isTrue();
            assertThat(ask(child, "files")).doesNotContain("secret").contains("socket:");
        }
    }

    @Test
    void hasNoVariablesOfThisProcess() throws Exception {
        try (ChildJvm child = start(Network.HOST)) {
            // Shells set some of their own.
            assertThat(ask(child, "variables").split(",", -1)).isSubsetOf("PATH", "PWD", "SHLVL", "OLDPWD", "_");
        }
    }

    @Test
    void hasNoNetworkWhereTheHostPermitsIt() throws Exception {
        assumeFalse(Namespaces.prefix(Network.NONE).isEmpty(), "this host permits no namespaces");
        try (ChildJvm child = start(Network.NONE)) {
            assertThat(ask(child, "interfaces")).isEqualTo("lo");
        }
    }

    @Test
    void tellsHowTheProcessEnded() throws Exception {
        try (ChildJvm child = start(Network.HOST)) {
            assertThatThrownBy(() -> ask(child, "death")).isInstanceOf(EOFException.class);
            assertThat(child.broken(new EOFException("test")))
                    .hasMessageContaining("ended amid a call")
                    .hasMessageContaining("status 7")
                    .hasMessageContaining("dying as told");
            assertThatThrownBy(child::connect)
                    .isInstanceOf(SandboxProcessException.class)
                    .hasMessageContaining("takes no connections");
            assertThat(child.isAlive()).isFalse();
        }
    }

    @Test
    void isGoneOnceItIsClosed() throws Exception {
        ChildJvm child = start(Network.HOST);
        try (SocketChannel connection = child.connect()) {
            assertThat(ask(connection, "a")).isEqualTo("echo of a");
            child.close();
            child.close();
            assertThat(child.isAlive()).isFalse();
            assertThat(connection.read(ByteBuffer.allocate(1))).isEqualTo(-1);
        }
    }

    @Test
    void isKilledIfItKeepsOnesWaiting() throws Exception {
        try (ChildJvm child = start(Network.HOST);
                SocketChannel connection = child.connect()) {
            assertThat(ask(connection, "a")).isEqualTo("echo of a");
            child.patience(Duration.ofHours(1)).end();
            child.patience(Duration.ofMillis(1));
            assertThat(connection.read(ByteBuffer.allocate(1))).isEqualTo(-1);
        }
    }

    @Test
    void saysWhyItCouldNotStart() {
        // The class is not on the class path of the process.
        class Unknown implements ChildService {
            @Override
            public void serve(SocketChannel connection) {}
        }
        assertThatThrownBy(() -> ChildJvm.start(Unknown.class, Network.HOST, 0))
                .isInstanceOf(SandboxProcessException.class)
                .hasMessageContaining("did not start")
                .hasMessageContaining("Unknown");
    }
}
