package io.github.jkvm.virtio.vhost;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.abort;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;

/** QEMU's storage daemon as a back end: one disk, a raw file. Tests that need it are skipped where it is not installed. */
final class QemuStorageDaemon {
    private final ProcessHandle process;

    private QemuStorageDaemon(ProcessHandle process) {
        this.process = process;
    }

    /** Starts one that listens. */
    static QemuStorageDaemon start(Path disk, Path socket, int queues) throws Exception {
        Path folder = socket.toAbsolutePath().getParent();
        Path number = folder.resolve("pid");
        Process starter;
        try {
            starter = new ProcessBuilder(
                            "qemu-storage-daemon",
                            "--daemonize",
                            "--pidfile=" + number,
                            "--blockdev",
                            "driver=file,node-name=disk,filename=" + disk,
                            "--export",
                            "type=vhost-user-blk,id=export,node-name=disk,writable=on,num-queues=" + queues
                                    + ",addr.type=unix,addr.path=" + socket)
                    .redirectErrorStream(true)
                    .start();
        } catch (IOException e) {
            return abort("no qemu-storage-daemon: apt-get install qemu-system-common: " + e.getMessage());
        }
        // It becomes another process once it listens.
        String output = new String(starter.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(starter.waitFor()).as(output).isZero();
        long pid = Long.parseLong(Files.readString(number).strip());
        return new QemuStorageDaemon(ProcessHandle.of(pid).orElseThrow());
    }

    /** Ends it without notice. */
    void kill() throws Exception {
        process.destroyForcibly();
        process.onExit().get(1, TimeUnit.MINUTES);
    }
}
