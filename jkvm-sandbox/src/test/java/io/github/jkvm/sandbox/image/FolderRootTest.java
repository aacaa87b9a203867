package io.github.jkvm.sandbox.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jkvm.sandbox.RootFs;
import io.github.jkvm.sandbox.SandboxException;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.util.Random;
import java.util.Scanner;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class FolderRootTest {
    @TempDir
    private Path folder;

    private ErofsReader.File convert() throws IOException, InterruptedException {
        return convert(RootFs.folder(folder));
    }

    private static ErofsReader.File convert(RootFs root) throws IOException, InterruptedException {
        try (RootImage image = RootImage.open(root)) {
            assertThat(image.type()).isEqualTo("erofs");
            assertThat(image.config()).isEmpty();
            Fsck.check(image.file());
            return ErofsReader.read(image.file());
        }
    }

    private Path write(String name, String text) throws IOException {
        Path file = folder.resolve(name);
        Files.createDirectories(file.getParent());
        return Files.writeString(file, text);
    }

    @Test
    void keepsAnEmptyFolder() throws Exception {
        ErofsReader.File root = convert();

        assertThat(root.entries()).isEmpty();
        assertThat(root.links()).isEqualTo(2);
        assertThat(root.mode() >> 12).isEqualTo(4);
    }

    @Test
    void keepsContentsModesOwnersAndTimes() throws Exception {
        Path file = write("etc/passwd", "root:x:0:0\n");
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-r-----"));
        Files.setLastModifiedTime(file, FileTime.from(Instant.ofEpochSecond(1_234_567_890, 123_456_789)));

        ErofsReader.File read = convert().at("etc/passwd");

        assertThat(read.text()).isEqualTo("root:x:0:0\n");
        assertThat(read.mode()).isEqualTo(0100640);
        assertThat(read.user()).isEqualTo(Files.getAttribute(file, "unix:uid"));
        assertThat(read.group()).isEqualTo(Files.getAttribute(file, "unix:gid"));
        assertThat(read.seconds()).isEqualTo(1_234_567_890);
        assertThat(read.nanoseconds()).isEqualTo(123_456_789);
    }

    @Test
    void keepsTimesBefore1970AsFarAsTheHostHasThem() throws Exception {
        Path file = write("old", "");
        Files.setLastModifiedTime(file, FileTime.from(Instant.ofEpochSecond(-5, 500_000_000)));

        ErofsReader.File read = convert().at("old");

        assertThat(Instant.ofEpochSecond(read.seconds(), read.nanoseconds()))
                .isEqualTo(Files.getLastModifiedTime(file).toInstant());
    }

    @Test
    void keepsTheBitsThatSetUsersAndGroups() throws Exception {
        Path file = write("su", "");
        Files.setAttribute(file, "unix:mode", 0104755);

        assertThat(convert().at("su").mode()).isEqualTo(0104755);
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 4095, 4096, 4097, 8192, 262_143, 262_144, 262_145, 1_000_000})
    void keepsFilesOfEverySizeAroundBlocks(int size) throws Exception {
        byte[] contents = new byte[size];
        new Random(size).nextBytes(contents);
        Files.write(folder.resolve("file"), contents);

        assertThat(convert().at("file").text()).isEqualTo(new String(contents, StandardCharsets.ISO_8859_1));
    }

    @Test
    void leavesHolesForZeros() throws Exception {
        try (RandomAccessFile file = new RandomAccessFile(folder.resolve("disk").toFile(), "rw")) {
            file.seek(8 << 20);
            file.write(1);
            file.setLength(16 << 20);
        }

        try (RootImage image = RootImage.open(RootFs.folder(folder))) {
            String contents = ErofsReader.read(image.file()).at("disk").text();
            assertThat(contents).hasSize(16 << 20);
            assertThat(contents.charAt(8 << 20)).isEqualTo((char) 1);
            assertThat(Files.size(image.file())).isGreaterThan(16 << 20);
            // What stat counts in, whatever the file system's blocks: 512 bytes (POSIX, sys/stat.h). Not in Java's
            // attributes.
            Process du = new ProcessBuilder("du", "-k", image.file().toString()).start();
            try (Scanner used = new Scanner(du.getInputStream(), StandardCharsets.US_ASCII)) {
                assertThat(used.nextInt()).isLessThan(1024);
            }
        }
    }

    @Test
    void keepsSymbolicLinksAndFollowsNone() throws Exception {
        Path secret = Files.writeString(Files.createTempFile("secret", ""), "secret");
        try {
            Files.createSymbolicLink(folder.resolve("file"), secret);
            Files.createSymbolicLink(folder.resolve("folder"), Path.of("/"));
            Files.createSymbolicLink(folder.resolve("broken"), Path.of("../../x"));
            Files.createSymbolicLink(folder.resolve("long"), Path.of("x/".repeat(2000) + "y"));

            ErofsReader.File root = convert();

            assertThat(root.at("file").mode() >> 12).isEqualTo(10);
            assertThat(root.at("file").text()).isEqualTo(secret.toString());
            assertThat(root.at("folder").text()).isEqualTo("/");
            assertThat(root.at("broken").text()).isEqualTo("../../x");
            assertThat(root.at("long").text()).isEqualTo("x/".repeat(2000) + "y");
        } finally {
            Files.delete(secret);
        }
    }

    @Test
    void keepsHardLinks() throws Exception {
        Path first = write("a/first", "one");
        Files.createLink(folder.resolve("second"), first);

        ErofsReader.File root = convert();

        assertThat(root.at("second").nid()).isEqualTo(root.at("a/first").nid());
        assertThat(root.at("second").links()).isEqualTo(2);
        assertThat(root.at("second").text()).isEqualTo("one");
    }

    @Test
    void keepsPipesAndLeavesOutSockets() throws Exception {
        assertThat(new ProcessBuilder("mkfifo", folder.resolve("pipe").toString())
                        .start()
                        .waitFor())
                .isZero();
        try (ServerSocketChannel socket = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
            socket.bind(UnixDomainSocketAddress.of(folder.resolve("s")));

            ErofsReader.File root = convert();

            assertThat(root.entries().keySet()).containsExactly("pipe");
            assertThat(root.at("pipe").mode() >> 12).isEqualTo(1);
        }
    }

    @Test
    void keepsDeviceNodes() throws Exception {
        Path node = folder.resolve("node");
        int result = new ProcessBuilder("mknod", node.toString(), "c", "259", "70000")
                .start()
                .waitFor();
        assumeTrue(result == 0, "only root makes device nodes");

        ErofsReader.File read = convert().at("node");

        assertThat(read.mode() >> 12).isEqualTo(2);
        // Linux, include/linux/kdev_t.h: the minor's upper bits are above the major.
        assertThat(read.device()).isEqualTo((70000 & 0xFF) | 259 << 8 | (70000 & ~0xFF) << 12);
    }

    @Test
    void keepsLongAndStrangeNames() throws Exception {
        for (String name :
                new String[] {"n".repeat(255), "!", "-", "...", "a b", "a+b", "a%20b", "grün", "漢字", "\n", "~"}) {
            write("d/" + name, name);
            Files.createSymbolicLink(folder.resolve("to " + name.length() + name.hashCode()), Path.of(name));
        }

        ErofsReader.File root = convert();

        assertThat(root.at("d").entries().keySet())
                .contains("n".repeat(255), raw("grün"), raw("漢字"), "a+b", "a%20b", "\n");
        root.at("d")
                .entries()
                .forEach((name, file) -> assertThat(raw(utf8(file.text()))).isEqualTo(name));
        assertThat(root.at("to " + 4 + "grün".hashCode()).text()).isEqualTo(raw("grün"));
    }

    private static String raw(String name) {
        return new String(name.getBytes(StandardCharsets.UTF_8), StandardCharsets.ISO_8859_1);
    }

    private static String utf8(String raw) {
        return new String(raw.getBytes(StandardCharsets.ISO_8859_1), StandardCharsets.UTF_8);
    }

    @Test
    void keepsAFolderOfThousands() throws Exception {
        for (int i = 0; i < 5000; i++) {
            Files.createFile(folder.resolve("file number " + i));
        }

        assertThat(convert().entries()).hasSize(5000);
    }

    @Test
    void keepsFoldersInFoldersDeeply() throws Exception {
        Path deep = folder;
        for (int i = 0; i < 800; i++) {
            deep = Files.createDirectory(deep.resolve("d"));
        }
        Files.writeString(deep.resolve("end"), "found");

        // Not for fsck.erofs 1.5, which calls itself for every folder until its stack ends.
        try (RootImage image = RootImage.open(RootFs.folder(folder))) {
            assertThat(ErofsReader.read(image.file())
                            .at("d/".repeat(800) + "end")
                            .text())
                    .isEqualTo("found");
        }
    }

    @Test
    void countsTheLinksOfFolders() throws Exception {
        Files.createDirectories(folder.resolve("a/b"));
        Files.createDirectories(folder.resolve("a/c"));

        ErofsReader.File root = convert();

        assertThat(root.links()).isEqualTo(3);
        assertThat(root.at("a").links()).isEqualTo(4);
        assertThat(root.at("a/c").links()).isEqualTo(2);
    }

    @Test
    void givesTheSameBytesEveryTime() throws Exception {
        for (int i = 0; i < 300; i++) {
            write("d" + i % 7 + "/f" + i, "text " + i);
        }

        try (RootImage one = RootImage.open(RootFs.folder(folder));
                RootImage two = RootImage.open(RootFs.folder(folder))) {
            assertThat(Files.mismatch(one.file(), two.file())).isEqualTo(-1);
        }
    }

    @Test
    void deletesItsFileWhenClosed() {
        RootImage image = RootImage.open(RootFs.folder(folder));
        assertThat(image.file()).exists();

        image.close();
        image.close();

        assertThat(image.file()).doesNotExist();
    }

    @Test
    void takesALinkToTheFolder() throws Exception {
        Files.createDirectory(folder.resolve("real"));
        write("real/file", "text");
        Path link = Files.createSymbolicLink(folder.resolve("link"), Path.of("real"));

        assertThat(convert(RootFs.folder(link)).at("file").text()).isEqualTo("text");
    }

    @Test
    void refusesWhatIsNoFolder() throws Exception {
        Path file = write("file", "");

        assertThatThrownBy(() -> RootImage.open(RootFs.folder(file)))
                .isInstanceOf(SandboxException.class)
                .hasMessageContaining(file + " is no folder");
        assertThatThrownBy(() -> RootImage.open(RootFs.folder(folder.resolve("none"))))
                .isInstanceOf(SandboxException.class)
                .hasMessageContaining("none does not exist");
    }

    @Test
    void keepsToItsLimits() throws Exception {
        write("a", "12345");
        write("b", "67890");

        assertThat(convert(RootFs.folder(folder).withLimits(3, 10)).entries()).hasSize(2);
        assertThatThrownBy(() -> RootImage.open(RootFs.folder(folder).withLimits(2, 10)))
                .isInstanceOf(SandboxException.class)
                .hasMessageContaining("more than 2 entries");
        assertThatThrownBy(() -> RootImage.open(RootFs.folder(folder).withLimits(3, 9)))
                .isInstanceOf(SandboxException.class)
                .hasMessageContaining("more than 9 bytes");
    }
}
