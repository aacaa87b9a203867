package io.github.jkvm.sandbox.linux;

import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ByteChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.concurrent.TimeUnit;

/** The real agent as a process of this host, where it serves on a socket. */
final class AgentProgram implements AutoCloseable {
    private final Process process;
    private final Path socket;

    /**
     * Starts it.
     *
     * @param folder for its files
     */
    AgentProgram(Path folder) throws IOException, InterruptedException {
        Path program = Files.write(folder.resolve("agent"), Agent.program());
        Files.setPosixFilePermissions(program, PosixFilePermissions.fromString("rwx------"));
        socket = folder.resolve("socket");
        process = new ProcessBuilder(program.toString(), "--listen", socket.toString())
                .inheritIO()
                .start();
        long end = System.nanoTime() + Duration.ofMinutes(2).toNanos();
        while (!listens() && System.nanoTime() < end) {
            TimeUnit.MILLISECONDS.sleep(1);
        }
    }

    private boolean listens() {
        try (ByteChannel ignored = connect()) {
            return ignored.isOpen();
        } catch (IOException notYet) {
            return false;
        }
    }

    ByteChannel connect() throws IOException {
        return SocketChannel.open(UnixDomainSocketAddress.of(socket));
    }

    @Override
    public void close() {
        process.destroyForcibly();
    }
}
