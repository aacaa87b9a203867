package io.github.jkvm.it.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.github.jkvm.Hypervisor;
import io.github.jkvm.sandbox.Limits;
import io.github.jkvm.sandbox.LinuxSandbox;
import io.github.jkvm.sandbox.LinuxSandboxBuilder;
import io.github.jkvm.sandbox.RootFs;
import io.github.jkvm.sandbox.SandboxException;
import io.github.jkvm.testkit.linux.RequiresLinuxGuest;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.HexFormat;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Sandboxes of each kind of root but a folder, and with what else a builder offers. */
@RequiresLinuxGuest
@Timeout(600)
class SandboxRootsTest {
    private static final Duration LIMIT = Duration.ofMinutes(4);

    @TempDir
    private Path folder;

    private final Hypervisor hypervisor = Hypervisor.open();

    /** A root whose user "app" is in the groups "staff" and "more". */
    private Path tree() throws Exception {
        Path root = BusyboxRoot.create(folder.resolve("tree"), "sh", "cat", "id", "pwd", "grep", "touch", "ls");
        Path etc = Files.createDirectories(root.resolve("etc"));
        Files.writeString(etc.resolve("passwd"), "root:x:0:0::/root:/bin/sh\napp:x:700:701::/home/app:/bin/sh\n");
        Files.writeString(etc.resolve("group"), "root:x:0:\nstaff:x:701:\nmore:x:702:other,app\n");
        Files.createDirectories(root.resolve("home/app"));
        Files.createDirectories(root.resolve("run"));
        for (String name : new String[] {"dev", "proc", "sys"}) {
            Files.createDirectories(root.resolve(name));
        }
        return root;
    }

    private LinuxSandboxBuilder builder(RootFs root) {
        return LinuxSandbox.builder(hypervisor)
                .rootfs(root)
                .memory(128 << 20)
                .limits(Limits.DEFAULT.withDeadline(LIMIT))
                .bootDeadline(LIMIT);
    }

    private static String output(LinuxSandbox sandbox, String script) {
        return sandbox.command("sh", "-c", script + " 2>&1").run().outputText();
    }

    @AfterEach
    void close() {
        hypervisor.close();
    }

    @Test
    void runsFromExt4ThatStaysReadOnlyOnTwoProcessors() throws Exception {
        Path image = folder.resolve("ext4");
        HostCommand.run("mkfs.ext4", "-q", "-d", tree().toString(), image.toString(), "16M");
        try (LinuxSandbox sandbox =
                builder(RootFs.image(image)).readOnly().vcpus(2).build()) {
            assertThat(output(sandbox, "grep -c ^processor /proc/cpuinfo")).isEqualTo("2\n");
            assertThat(output(sandbox, "touch /new")).contains("Read-only file system");
            assertThat(output(sandbox, "touch /run/new && ls /run")).isEqualTo("new\n");
            assertThatExceptionOfType(SandboxException.class)
                    .isThrownBy(() -> sandbox.write(new byte[1], "/new"))
                    .withMessageContaining("Read-only file system");
            sandbox.restore();
            assertThat(output(sandbox, "ls /run; grep -c ^processor /proc/cpuinfo"))
                    .isEqualTo("2\n");
        }
    }

    @Test
    void runsFromSquashfsWithAWritableLayer() throws Exception {
        Path image = folder.resolve("squashfs");
        HostCommand.run("mksquashfs", tree().toString(), image.toString(), "-quiet", "-no-progress");
        try (LinuxSandbox sandbox = builder(RootFs.image(image)).build()) {
            assertThat(output(sandbox, "echo text >/new && cat /new")).isEqualTo("text\n");
            sandbox.restore();
            assertThat(output(sandbox, "ls /new")).contains("No such file");
        }
    }

    @Test
    void runsAContainerImageAsItsUserInItsFolder() throws Exception {
        try (LinuxSandbox sandbox = builder(RootFs.oci(layout(tree()))).build()) {
            assertThat(output(sandbox, "id -u; id -g; id -G; pwd; echo $HOME $GREETING"))
                    .isEqualTo("700\n701\n701 702\n/home/app\n/home/app good day\n");
            assertThat(output(sandbox, "touch /new")).contains("Permission denied");
            assertThat(sandbox.command("id", "-u").user(0, 0).run().outputText())
                    .isEqualTo("0\n");
            assertThat(sandbox.command("id", "-G").user("app:more").run().outputText())
                    .isEqualTo("702\n");
            assertThatExceptionOfType(SandboxException.class)
                    .isThrownBy(() -> sandbox.command("id").user("nobody").run())
                    .withMessage("the root has no user or group 'nobody'");
        }
    }

    /** Writes an image of one layer that wants to be run by "app". */
    private Path layout(Path root) throws Exception {
        Path layout = folder.resolve("layout");
        Path blobs = Files.createDirectories(layout.resolve("blobs/sha256"));
        Files.writeString(layout.resolve("oci-layout"), "{\"imageLayoutVersion\":\"1.0.0\"}");
        Path tar = folder.resolve("layer.tar");
        HostCommand.run(
                "tar", "--numeric-owner", "--owner=0", "--group=0", "-C", root.toString(), "-cf", tar + "", ".");
        String config = part(blobs, "application/vnd.oci.image.config.v1+json", """
                {"os":"linux","architecture":"amd64","config":{"User":"app","WorkingDir":"/home/app","Env":["GREETING=good day"]}}""".getBytes(StandardCharsets.UTF_8));
        String layer = part(blobs, "application/vnd.oci.image.layer.v1.tar", Files.readAllBytes(tar));
        String manifest = "{\"schemaVersion\":2,\"config\":%s,\"layers\":[%s]}".formatted(config, layer);
        String image =
                part(blobs, "application/vnd.oci.image.manifest.v1+json", manifest.getBytes(StandardCharsets.UTF_8));
        Files.writeString(layout.resolve("index.json"), "{\"schemaVersion\":2,\"manifests\":[%s]}".formatted(image));
        return layout;
    }

    private static String part(Path blobs, String type, byte[] bytes) throws Exception {
        String hex =
                HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
        Files.write(blobs.resolve(hex), bytes);
        return "{\"mediaType\":\"%s\",\"digest\":\"sha256:%s\",\"size\":%d}".formatted(type, hex, bytes.length);
    }
}
