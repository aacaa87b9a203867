package io.github.jkvm.it.linux;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.testkit.linux.CommandResult;
import io.github.jkvm.testkit.linux.LinuxMachine;
import io.github.jkvm.testkit.linux.RequiresLinuxGuest;
import io.github.jkvm.virtio.fs.FsDevice;
import io.github.jkvm.virtio.fs.FsOptions;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.HexFormat;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;
import org.apache.commons.compress.archivers.tar.TarConstants;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.AfterParameterizedClassInvocation;
import org.junit.jupiter.params.BeforeParameterizedClassInvocation;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.EnumSource;

/** Folders of the host in a stock Linux: one to read and write, one to read. */
@RequiresLinuxGuest
@Timeout(600)
@ParameterizedClass
@EnumSource(GuestTransport.class)
class FsDeviceGuestTest {
    /** Of the size and shape of a small program's sources. */
    private static final int TREE_FILES = 1000;

    /** Thousands of requests, each of which waits for an emulated processor some times. */
    private static final Duration LONG = Duration.ofMinutes(8);

    @TempDir
    private static Path temporary;

    private static Path written;
    private static Path read;
    private static FsDevice writtenDevice;
    private static LinuxMachine guest;

    @Parameter
    GuestTransport transport;

    @BeforeParameterizedClassInvocation
    static void boot(GuestTransport transport) throws Exception {
        written = Files.createDirectory(temporary.resolve("written-" + transport));
        read = Files.createDirectory(temporary.resolve("read-" + transport));
        Files.writeString(read.resolve("file"), "of the host\n");
        Files.createSymbolicLink(read.resolve("link"), Path.of("/etc/here"));
        // So few that hardly any request finds the place of its file open.
        writtenDevice =
                new FsDevice("fs0", "written", written, FsOptions.readWrite().withCachedDescriptors(4));
        var readDevice = new FsDevice("fs1", "read", read, FsOptions.readOnly());
        guest = LinuxMachine.builder()
                .modules(transport.module(), "virtiofs")
                .device(transport.of(writtenDevice))
                .device(transport.of(readDevice))
                .programs("flock", "setpriv")
                .file("/etc/here", "the guest's own\n")
                .file("/root/tree.tar", tree())
                .file("/root/fs-checks", checks())
                .start();
        guest.run("mkdir /read && mount -t virtiofs read /read && mount -t virtiofs written /mnt");
    }

    @AfterParameterizedClassInvocation
    static void end() {
        if (guest != null) {
            guest.close();
        }
    }

    private static byte[] checks() throws IOException {
        try (InputStream script = Objects.requireNonNull(
                FsDeviceGuestTest.class.getResourceAsStream("fs-checks"), "the resource 'fs-checks' is missing")) {
            return script.readAllBytes();
        }
    }

    /** An archive of folders, files of many sizes, links and programs, the same each time. */
    private static byte[] tree() throws IOException {
        var random = new Random(1);
        var bytes = new ByteArrayOutputStream();
        try (var archive = new TarArchiveOutputStream(bytes, UTF_8.name())) {
            archive.setLongFileMode(TarArchiveOutputStream.LONGFILE_GNU);
            for (int i = 0; i < TREE_FILES; i++) {
                String folder = "tree/part" + i % 7 + "/group" + i % 31 + "/";
                byte[] contents = new byte[i % 100 == 0 ? 200_000 : random.nextInt(4000)];
                random.nextBytes(contents);
                var file = new TarArchiveEntry(folder + "file-" + i + ".c");
                file.setMode(i % 10 == 0 ? 0755 : 0640);
                file.setIds(i % 3 == 0 ? 1000 : 0, 0);
                file.setModTime(1_000_000_000_000L + 1000L * i);
                file.setSize(contents.length);
                archive.putArchiveEntry(file);
                archive.write(contents);
                archive.closeArchiveEntry();
                if (i % 50 == 0) {
                    var link = new TarArchiveEntry(folder + "link-" + i, TarConstants.LF_SYMLINK);
                    link.setLinkName("file-" + i + ".c");
                    archive.putArchiveEntry(link);
                    archive.closeArchiveEntry();
                }
            }
        }
        return bytes.toByteArray();
    }

    /** Checksums by path, as sha256sum prints them. */
    private static Map<String, String> checksums(Path folder) throws Exception {
        var sha = MessageDigest.getInstance("SHA-256");
        Map<String, String> sums = new TreeMap<>();
        try (Stream<Path> files = Files.walk(folder)) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                sums.put(
                        folder.relativize(file).toString(),
                        HexFormat.of().formatHex(sha.digest(Files.readAllBytes(file))));
            }
        }
        return sums;
    }

    private static String listing(Map<String, String> sums) {
        return sums.entrySet().stream()
                .map(entry -> entry.getValue() + "  ./" + entry.getKey())
                .sorted()
                .collect(Collectors.joining("\n"));
    }

    @Test
    void unpacksATreeThatIsTheSameOnBothSides() throws Exception {
        // The first copy is made in RAM, so that not both sides can be wrong in the same way.
        guest.run("tar xf /root/tree.tar -C /tmp && tar xf /root/tree.tar -C /mnt && sync", LONG);
        Path tree = written.resolve("tree");
        String sums = "find . -type f | xargs sha256sum | sort";

        String host = listing(checksums(tree));

        assertThat(host.lines()).hasSize(TREE_FILES + TREE_FILES / 50);
        assertThat(guest.run("cd /tmp/tree && find . -type f | xargs sha256sum >/tmp/sums;"
                        + " find . -type l | xargs sha256sum >>/tmp/sums; sort /tmp/sums | sha256sum | cut -c 1-64"))
                .isEqualTo(sha256(host + "\n"));
        guest.run("echo 2 >/proc/sys/vm/drop_caches; umount /mnt && mount -t virtiofs written /mnt");
        assertThat(guest.run("cd /mnt/tree && " + sums + " | sha256sum", LONG))
                .isEqualTo(guest.run("cd /tmp/tree && " + sums + " | sha256sum"));
        assertThat(Files.getAttribute(tree.resolve("part3/group3/file-3.c"), "unix:uid"))
                .isEqualTo(1000);
        assertThat(Files.getLastModifiedTime(tree.resolve("part3/group3/file-3.c"))
                        .toMillis())
                .isEqualTo(1_000_000_003_000L);
        guest.run("rm -r /mnt/tree", LONG);
        assertThat(tree).doesNotExist();
    }

    private static String sha256(String text) throws Exception {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(text.getBytes(UTF_8)));
    }

    @Test
    void keepsWhatPosixPromises() throws Exception {
        String output = guest.run("mkdir /mnt/checks && sh /root/fs-checks /mnt/checks", LONG);

        assertThat(output).matches("\\d+ checks");
        guest.run("rm -r /mnt/checks");
    }

    /** A host's program that saves a file writes another one and renames it over the first. */
    @Test
    void readsFilesThatTheHostReplaces() throws Exception {
        Path file = Files.writeString(written.resolve("saved"), "version 0");
        guest.run("mkdir /mnt/others && cd /mnt/others && seq 8 | xargs touch");
        for (int i = 1; i <= 10; i++) {
            assertThat(guest.run("cat /mnt/saved; cat /mnt/others/*")).startsWith("version ");
            Files.move(
                    Files.writeString(written.resolve("next"), "version " + i), file, StandardCopyOption.ATOMIC_MOVE);
            // The old one has no name any more. The guest's kernel may still think that this is the file.
            assertThat(guest.run("cat /mnt/saved")).isEqualTo("version " + i);
        }
        guest.run("rm -r /mnt/saved /mnt/others");
    }

    @Test
    void movesLargeFilesBothWays() throws Exception {
        byte[] contents = new byte[24 << 20];
        new Random(2).nextBytes(contents);
        Files.write(written.resolve("large"), contents);
        String sum =
                HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(contents));

        assertThat(guest.run("sha256sum </mnt/large")).startsWith(sum);
        guest.run("cp /mnt/large /mnt/copy && dd if=/mnt/large of=/mnt/odd bs=65521 conv=fsync 2>/dev/null");

        assertThat(written.resolve("copy")).hasBinaryContent(contents);
        assertThat(written.resolve("odd")).hasBinaryContent(contents);
        guest.run("rm /mnt/large /mnt/copy /mnt/odd");
    }

    @Test
    void seesWhatTheHostChanges() throws Exception {
        Files.writeString(written.resolve("note"), "first");
        assertThat(guest.run("cat /mnt/note")).isEqualTo("first");

        Files.writeString(written.resolve("note"), "second");
        Files.createDirectory(written.resolve("new"));

        assertThat(guest.run("while [ \"$(cat /mnt/note)\" != second ]; do sleep 0.1; done; cat /mnt/note"))
                .isEqualTo("second");
        assertThat(guest.run("while ! [ -d /mnt/new ]; do sleep 0.1; done; rm -r /mnt/new /mnt/note; echo gone"))
                .isEqualTo("gone");
        assertThat(written.resolve("note")).doesNotExist();
    }

    @Test
    void sharesAFolderForReading() throws Exception {
        assertThat(guest.run("cat /read/file")).isEqualTo("of the host");
        // A link leads to where it leads in the guest.
        assertThat(guest.run("cat /read/link")).isEqualTo("the guest's own");
        for (String command : new String[] {
            "touch /read/new",
            "mkdir /read/new",
            "rm /read/file",
            "mv /read/file /read/new",
            "chmod 777 /read/file",
            "chown 1 /read/file",
            "truncate -s 0 /read/file",
            "ln /read/file /read/new",
            "mkfifo /read/new"
        }) {
            CommandResult result = guest.execute(command);
            assertThat(result.status()).as(command).isNotZero();
            assertThat(result.errors()).as(command).contains("Read-only file system");
        }
        assertThat(read.resolve("file")).hasContent("of the host\n");
    }

    @Test
    void losesNothingWhenTheDriverIsReloaded() throws Exception {
        for (int i = 0; i < 10; i++) {
            guest.run("seq " + 1000 * i + " >/mnt/numbers && umount /mnt /read && rmmod virtiofs && modprobe virtiofs"
                    + " && mount -t virtiofs read /read && mount -t virtiofs written /mnt"
                    + " && seq " + 1000 * i + " | cmp - /mnt/numbers");
        }
        assertThat(writtenDevice.counters()).containsEntry("queueFaults", 0L).containsEntry("failures", 0L);
        guest.run("rm /mnt/numbers");
        assertThat(writtenDevice.openFiles()).isZero();
    }
}
