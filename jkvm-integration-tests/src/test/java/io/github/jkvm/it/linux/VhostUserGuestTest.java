package io.github.jkvm.it.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jkvm.machine.MachineBuilder;
import io.github.jkvm.testkit.linux.LinuxMachine;
import io.github.jkvm.testkit.linux.RequiresLinuxGuest;
import io.github.jkvm.virtio.vhost.VhostUserFs;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Linux's virtiofs on Debian's virtiofsd, to which the queues are handed. */
@RequiresLinuxGuest
@Timeout(600)
class VhostUserGuestTest {
    /** Where the packages qemu-system-common (Debian 12) and virtiofsd put it. */
    private static final List<Path> PROGRAMS =
            List.of(Path.of("/usr/lib/qemu/virtiofsd"), Path.of("/usr/libexec/virtiofsd"));

    @TempDir
    Path folder;

    private Path shared;
    private Path socket;
    private Process virtiofsd;

    @BeforeEach
    void startBackEnd() throws IOException {
        Path program = PROGRAMS.stream().filter(Files::isExecutable).findFirst().orElse(null);
        assumeTrue(program != null, "no virtiofsd: apt-get install qemu-system-common or virtiofsd");
        shared = Files.createDirectory(folder.resolve("shared"));
        socket = folder.resolve("socket");
        virtiofsd = new ProcessBuilder(
                        program.toString(),
                        "-f",
                        "--socket-path=" + socket,
                        "-o",
                        "source=" + shared,
                        "-o",
                        "sandbox=chroot",
                        "-o",
                        "cache=none")
                .redirectErrorStream(true)
                .start();
        BufferedReader log = virtiofsd.inputReader(StandardCharsets.UTF_8);
        StringBuilder seen = new StringBuilder();
        for (String line; (line = log.readLine()) != null; ) {
            seen.append(line).append('\n');
            if (line.contains("Waiting for vhost-user socket connection")) {
                Thread.ofPlatform().daemon().start(() -> log.lines().forEach(each -> {}));
                return;
            }
        }
        throw new AssertionError("virtiofsd ends:\n" + seen);
    }

    @AfterEach
    void endBackEnd() throws InterruptedException {
        if (virtiofsd != null) {
            virtiofsd.destroyForcibly().waitFor(1, TimeUnit.MINUTES);
        }
    }

    @ParameterizedTest
    @EnumSource
    void mountsAFolderThatVirtiofsdServes(GuestTransport transport) throws Exception {
        Files.writeString(shared.resolve("hello"), "from the host\n");
        byte[] data = new byte[3 << 20];
        new SplittableRandom(5).nextBytes(data);
        Files.write(shared.resolve("data"), data);
        var fs = new VhostUserFs("fs0", socket, "share");
        try (LinuxMachine guest = LinuxMachine.builder()
                .modules(transport.module(), "virtiofs")
                .machine(MachineBuilder::sharedMemory)
                .device(transport.of(fs))
                .start()) {
            for (int round = 0; round < 3; round++) {
                guest.run("mount -t virtiofs share /mnt");
                assertThat(guest.run("cat /mnt/hello")).isEqualTo("from the host");
                guest.run("cp /mnt/data /mnt/copy" + round + " && for i in $(seq 50); do echo $i >/mnt/file$i; done");
                assertThat(Files.readAllBytes(shared.resolve("copy" + round))).isEqualTo(data);
                assertThat(Files.readString(shared.resolve("file50"))).isEqualTo("50\n");
                guest.run("umount /mnt && rmmod virtiofs && modprobe virtiofs");
            }
            assertThat(fs.counters().get("backEndLosses")).isZero();
            if (transport == GuestTransport.PCI) {
                assertThat(fs.counters().get("calls"))
                        .as("interrupts that came by here")
                        .isLessThan(50);
            } else {
                assertThat(fs.counters().get("calls")).isGreaterThan(50);
            }
            assertThat(fs.counters().get("kicks"))
                    .as("notifications that came by here")
                    .isLessThan(50);
        }
    }
}
