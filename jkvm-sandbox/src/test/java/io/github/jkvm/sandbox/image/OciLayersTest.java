package io.github.jkvm.sandbox.image;

import static io.github.jkvm.sandbox.image.LayoutBuilder.entry;
import static io.github.jkvm.sandbox.image.LayoutBuilder.file;
import static io.github.jkvm.sandbox.image.LayoutBuilder.folder;
import static io.github.jkvm.sandbox.image.LayoutBuilder.link;
import static io.github.jkvm.sandbox.image.LayoutBuilder.symlink;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jkvm.sandbox.RootFs;
import io.github.jkvm.sandbox.SandboxException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Layers on layers: OCI image-spec 1.1, layer.md. */
class OciLayersTest {
    @TempDir
    private Path temporary;

    private LayoutBuilder layout;

    @BeforeEach
    void begin() throws IOException {
        layout = new LayoutBuilder(temporary.resolve("layout"));
    }

    private ErofsReader.File convert() throws IOException, InterruptedException {
        try (RootImage image = RootImage.open(RootFs.oci(layout.build()))) {
            Fsck.check(image.file());
            return ErofsReader.read(image.file());
        }
    }

    private void fails(String message) throws IOException {
        RootFs root = RootFs.oci(layout.build());
        assertThatThrownBy(() -> RootImage.open(root))
                .isInstanceOf(SandboxException.class)
                .hasMessageContaining("cannot make a root from the OCI layout")
                .hasMessageContaining(message);
    }

    @Test
    void keepsAnImageWithoutLayers() throws Exception {
        assertThat(convert().entries()).isEmpty();
    }

    @Test
    void keepsWhatALayerHas() throws Exception {
        layout.layer(
                folder("./", 0700),
                folder("etc/", 0755),
                file("etc/hosts", "localhost"),
                symlink("bin", "usr/bin"),
                entry("pipe", '6', 0622, ""),
                link("etc/alias", "etc/hosts"));

        ErofsReader.File root = convert();

        assertThat(root.mode()).isEqualTo(040700);
        assertThat(root.at("etc/hosts").text()).isEqualTo("localhost");
        assertThat(root.at("etc/hosts").links()).isEqualTo(2);
        assertThat(root.at("etc/alias").nid()).isEqualTo(root.at("etc/hosts").nid());
        assertThat(root.at("bin").text()).isEqualTo("usr/bin");
        assertThat(root.at("pipe").mode()).isEqualTo(010622);
    }

    @Test
    void keepsOwnersTimesDevicesAndAttributesWhateverTheHostsUser() throws Exception {
        layout.layer(
                to -> {
                    TarArchiveEntry entry = new TarArchiveEntry("ping", (byte) '0', true);
                    entry.setUserId(65_000);
                    entry.setGroupId(4_000_000_000L);
                    entry.setMode(04711);
                    entry.addPaxHeader("mtime", "1600000000.25");
                    entry.addPaxHeader("SCHILY.xattr.security.capability", "\u0001\u0000\u0000\u0002 \u0000");
                    entry.addPaxHeader("SCHILY.xattr.user.note", "text");
                    entry.addPaxHeader("SCHILY.xattr.trusted.overlay.opaque", "y");
                    entry.addPaxHeader("SCHILY.xattr.unknown.kind", "left out");
                    to.putArchiveEntry(entry);
                    to.closeArchiveEntry();
                },
                to -> {
                    TarArchiveEntry entry = new TarArchiveEntry("null", (byte) '3', true);
                    entry.setDevMajor(1);
                    entry.setDevMinor(3);
                    entry.setMode(0666);
                    entry.addPaxHeader("mtime", "-1.5");
                    to.putArchiveEntry(entry);
                    to.closeArchiveEntry();
                });

        ErofsReader.File root = convert();

        ErofsReader.File ping = root.at("ping");
        assertThat(ping.user()).isEqualTo(65_000);
        assertThat(Integer.toUnsignedLong(ping.group())).isEqualTo(4_000_000_000L);
        assertThat(ping.mode()).isEqualTo(0104711);
        assertThat(ping.seconds()).isEqualTo(1_600_000_000);
        assertThat(ping.nanoseconds()).isEqualTo(250_000_000);
        assertThat(ping.attributes())
                .containsEntry("security.capability", "\u0001\u0000\u0000\u0002 \u0000")
                .containsEntry("user.note", "text")
                .containsEntry("trusted.overlay.opaque", "y")
                .hasSize(3);
        assertThat(root.at("null").mode()).isEqualTo(020666);
        assertThat(root.at("null").device()).isEqualTo(1 << 8 | 3);
        assertThat(root.at("null").seconds()).isEqualTo(-2);
        assertThat(root.at("null").nanoseconds()).isEqualTo(500_000_000);
    }

    @Test
    void keepsManyAttributesAcrossBlocks() throws Exception {
        layout.layer(to -> {
            TarArchiveEntry entry = new TarArchiveEntry("file", (byte) '0', true);
            for (int i = 0; i < 40; i++) {
                entry.addPaxHeader("SCHILY.xattr.user.n" + i, "v".repeat(1 + i * 37));
            }
            to.putArchiveEntry(entry);
            to.closeArchiveEntry();
        });

        ErofsReader.File file = convert().at("file");

        for (int i = 0; i < 40; i++) {
            assertThat(file.attributes().get("user.n" + i)).hasSize(1 + i * 37);
        }
    }

    @Test
    void makesFoldersThatNoLayerNames() throws Exception {
        layout.layer(file("a/b/c", "deep"));

        ErofsReader.File root = convert();

        assertThat(root.at("a/b/c").text()).isEqualTo("deep");
        assertThat(root.at("a/b").mode()).isEqualTo(040755);
    }

    @Test
    void replacesFilesOfLowerLayers() throws Exception {
        layout.layer(folder("d/", 0755), file("d/f", "old"), file("g", "kept"), link("h", "d/f"))
                .layer(folder("d/", 0700), file("d/f", "new"));

        ErofsReader.File root = convert();

        assertThat(root.at("d").mode()).isEqualTo(040700);
        assertThat(root.at("d/f").text()).isEqualTo("new");
        assertThat(root.at("g").text()).isEqualTo("kept");
        assertThat(root.at("h").text()).isEqualTo("old");
        assertThat(root.at("h").links()).isEqualTo(1);
    }

    @Test
    void replacesFoldersByFilesAndFilesByFolders() throws Exception {
        layout.layer(file("a/x", "1"), file("b", "2")).layer(file("a", "now a file"), file("b/y", "3"));
        fails("is below b, which is no folder");

        layout = new LayoutBuilder(temporary.resolve("second"));
        layout.layer(file("a/x", "1"), file("b", "2"))
                .layer(file("a", "now a file"), folder("b/", 0755), file("b/y", "3"));
        ErofsReader.File root = convert();

        assertThat(root.at("a").text()).isEqualTo("now a file");
        assertThat(root.at("b/y").text()).isEqualTo("3");
    }

    @Test
    void hidesWhatWhiteoutsName() throws Exception {
        layout.layer(file("a/one", "1"), file("a/two", "2"), file("b/c/d", "3"))
                .layer(file("a/.wh.one", ""), file(".wh.b", ""), file("none/.wh.x", ""));

        ErofsReader.File root = convert();

        assertThat(root.entries().keySet()).containsExactly("a");
        assertThat(root.at("a").entries().keySet()).containsExactly("two");
    }

    @Test
    void hidesOnlyLowerLayersWhereverTheWhiteoutIs() throws Exception {
        // "Whiteout files MUST only apply to resources in lower/parent layers" (layer.md, "Whiteouts").
        layout.layer(file("d/old", "1"), file("x", "1"), file("e/f/old", "1"))
                .layer(
                        file("d/new", "2"),
                        file("e/f/new", "2"),
                        file("x", "2"),
                        file("d/.wh..wh..opq", ""),
                        file(".wh.x", ""),
                        file(".wh.e", ""),
                        file("d/newer", "2"));

        ErofsReader.File root = convert();

        assertThat(root.at("d").entries().keySet()).containsExactly("new", "newer");
        assertThat(root.at("x").text()).isEqualTo("2");
        assertThat(root.at("e/f").entries().keySet()).containsExactly("new");
    }

    @Test
    void bringsBackWhatWasHidden() throws Exception {
        layout.layer(file("d/a", "1"), file("d/b", "1"))
                .layer(file(".wh.d", ""))
                .layer(file("d/b", "3"));

        assertThat(convert().at("d").entries().keySet()).containsExactly("b");
    }

    @Test
    void skipsFilesOfAufs() throws Exception {
        layout.layer(folder(".wh..wh.plnk/", 0700), file(".wh..wh.aufs", ""), file("a", ""));

        assertThat(convert().entries().keySet()).containsExactly("a");
    }

    @Test
    void linksAcrossLayers() throws Exception {
        layout.layer(file("a", "text")).layer(link("b/c", "/a"));

        ErofsReader.File root = convert();

        assertThat(root.at("b/c").nid()).isEqualTo(root.at("a").nid());
        assertThat(root.at("a").links()).isEqualTo(2);
    }

    @ParameterizedTest
    @ValueSource(strings = {"/usr/bin", "usr/bin", "../../../usr/bin", "./usr/./bin/", "x"})
    void followsLinksToFoldersInside(String target) throws Exception {
        layout.layer(folder("usr/bin/", 0755), symlink("x", "y/../usr/bin"), folder("y/", 0755), symlink("bin", target))
                .layer(file("bin/sh", "shell"));

        ErofsReader.File root = convert();

        assertThat(root.at("usr/bin/sh").text()).isEqualTo("shell");
        assertThat(root.at("bin").text()).isEqualTo(target);
    }

    @Test
    void neverLeavesTheRoot() throws Exception {
        layout.layer(symlink("etc", "/../../../../tmp"), file("etc/owned", "inside"), file("/abs/./f", "absolute"));

        ErofsReader.File root = convert();

        assertThat(root.at("tmp/owned").text()).isEqualTo("inside");
        assertThat(root.at("abs/f").text()).isEqualTo("absolute");
        assertThat(Path.of("/tmp/owned")).doesNotExist();
    }

    @ParameterizedTest
    @ValueSource(strings = {"../x", "a/../../x", "a/..", "/.."})
    void refusesPathsThatGoUp(String path) throws Exception {
        layout.layer(file(path, ""));

        fails("has '..' in a path");
    }

    @Test
    void refusesLinksThatGoInCircles() throws Exception {
        layout.layer(symlink("a", "b"), symlink("b", "a"), file("a/x", ""));

        fails("more than 40 symbolic links");
    }

    @Test
    void refusesHardLinksToNothingAndToFolders() throws Exception {
        layout.layer(link("a", "../etc/passwd"));
        fails("has '..' in a path");

        layout = new LayoutBuilder(temporary.resolve("second"));
        layout.layer(link("a", "etc/passwd"));
        fails("entry a: is a hard link to etc/passwd, which is not there");

        layout = new LayoutBuilder(temporary.resolve("third"));
        layout.layer(folder("d/", 0755), link("a", "d"));
        fails("is a hard link to d, which is a folder");
    }

    @Test
    void refusesNamesAndPathsThatLinuxDoesNotTake() throws Exception {
        layout.layer(file("n".repeat(256), ""));
        fails("has a name of 256 bytes; Linux takes 255");

        layout = new LayoutBuilder(temporary.resolve("second"));
        layout.layer(file("d/".repeat(2048) + "f", ""));
        fails("has a path of 4097 bytes; Linux takes 4095");

        layout = new LayoutBuilder(temporary.resolve("third"));
        layout.layer(symlink("a", "t".repeat(4096)));
        fails("is a link to a path of 4096 bytes");
    }

    @Test
    void keepsLongNames() throws Exception {
        String path = "p/".repeat(1000) + "ü".repeat(127);
        layout.layer(file(path, "text"));

        ErofsReader.File file = convertDeep();

        assertThat(file.at("p/".repeat(1000) + raw("ü".repeat(127))).text()).isEqualTo("text");
    }

    private ErofsReader.File convertDeep() throws IOException {
        // fsck.erofs 1.5 calls itself for every folder until its stack ends.
        try (RootImage image = RootImage.open(RootFs.oci(layout.build()))) {
            return ErofsReader.read(image.file());
        }
    }

    private static String raw(String name) {
        return new String(name.getBytes(StandardCharsets.UTF_8), StandardCharsets.ISO_8859_1);
    }

    @Test
    void takesFoldersThatGoDeeperThanPathsThroughLinks() throws Exception {
        // Each round goes down a long path that a short link leads to: 40 of them at most.
        LayoutBuilder.Entry[] entries = new LayoutBuilder.Entry[40];
        String down = "d/".repeat(500);
        entries[0] = file(down + "f", "");
        for (int i = 1; i < entries.length - 1; i += 2) {
            String at = i == 1 ? down : "l" + (i - 2) + "/" + down;
            entries[i] = symlink("l" + i, at);
            entries[i + 1] = file("l" + i + "/" + down + "f", "deep");
        }
        entries[39] = file("end", "reached");
        layout.layer(entries);

        try (RootImage image = RootImage.open(RootFs.oci(layout.build()))) {
            assertThat(image.file()).isNotEmptyFile();
        }
    }

    @Test
    void readsPlainAndPackedLayersAndThoseOfDocker() throws Exception {
        layout.layer(LayoutBuilder.TAR, LayoutBuilder.tar(file("a", "1")))
                .layer(LayoutBuilder.GZIP, LayoutBuilder.gzip(LayoutBuilder.tar(file("b", "2"))))
                .layer(
                        "application/vnd.docker.image.rootfs.diff.tar.gzip",
                        LayoutBuilder.gzip(LayoutBuilder.tar(file("c", "3"))));

        assertThat(convert().entries().keySet()).containsExactly("a", "b", "c");
    }

    @Test
    void readsLayersOfZstd() throws Exception {
        Path zstd = Path.of("/usr/bin/zstd");
        assumeTrue(Files.isExecutable(zstd), "no /usr/bin/zstd: apt-get install zstd to run this");
        Path tar = Files.write(
                temporary.resolve("tar"), LayoutBuilder.tar(file("a", "x".repeat(300_000)), file("b", "2")));
        Process process = new ProcessBuilder(zstd.toString(), "-q", tar.toString())
                .inheritIO()
                .start();
        assertThat(process.waitFor()).isZero();
        layout.layer(LayoutBuilder.TAR + "+zstd", Files.readAllBytes(temporary.resolve("tar.zst")));

        ErofsReader.File root = convert();

        assertThat(root.at("a").text()).isEqualTo("x".repeat(300_000));
        assertThat(root.at("b").text()).isEqualTo("2");
    }

    @Test
    void readsGzipOfManyMembers() throws Exception {
        byte[] tar = LayoutBuilder.tar(file("a", "x".repeat(5000)), file("b", "2"));
        ByteArrayOutputStream members = new ByteArrayOutputStream();
        for (int from = 0; from < tar.length; from += 1000) {
            members.write(LayoutBuilder.gzip(Arrays.copyOfRange(tar, from, Math.min(tar.length, from + 1000))));
        }
        layout.layer(LayoutBuilder.GZIP, members.toByteArray());

        ErofsReader.File root = convert();

        assertThat(root.at("a").text()).hasSize(5000);
        assertThat(root.at("b").text()).isEqualTo("2");
    }

    @Test
    void readsTheLongNamesOfGnuTar() throws Exception {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (TarArchiveOutputStream tar = new TarArchiveOutputStream(bytes)) {
            tar.setLongFileMode(TarArchiveOutputStream.LONGFILE_GNU);
            tar.setBigNumberMode(TarArchiveOutputStream.BIGNUMBER_STAR);
            file("long/" + "n".repeat(200), "text").put(tar);
            TarArchiveEntry entry = new TarArchiveEntry("link", (byte) '2', true);
            entry.setLinkName("t".repeat(300));
            entry.setIds(3_000_000, 3_000_001);
            entry.setModTime(-1000);
            tar.putArchiveEntry(entry);
            tar.closeArchiveEntry();
        }
        layout.layer(LayoutBuilder.TAR, bytes.toByteArray());

        ErofsReader.File root = convert();

        assertThat(root.at("long/" + "n".repeat(200)).text()).isEqualTo("text");
        assertThat(root.at("link").text()).isEqualTo("t".repeat(300));
        assertThat(root.at("link").user()).isEqualTo(3_000_000);
        assertThat(root.at("link").seconds()).isEqualTo(-1);
    }

    @Test
    void refusesLayersOfUnknownKinds() throws Exception {
        layout.layer("application/vnd.oci.image.layer.v1.tar+gzip+encrypted", new byte[0]);

        fails("is of type 'application/vnd.oci.image.layer.v1.tar+gzip+encrypted'");
    }

    @Test
    void refusesArchivesThatAreCutOff() throws Exception {
        byte[] tar = LayoutBuilder.tar(file("a", "x".repeat(1000)));
        layout.layer(LayoutBuilder.TAR, Arrays.copyOf(tar, 700));
        fails("the archive ends 812 bytes before an entry does");

        layout = new LayoutBuilder(temporary.resolve("second"));
        layout.layer(LayoutBuilder.TAR, Arrays.copyOf(tar, 300));
        fails("the archive ends within a header");
    }

    @Test
    void stopsAtTheLimits() throws Exception {
        layout.layer(file("a", "x".repeat(100_000)), file("b", ""));
        Path folder = layout.build();

        assertThatThrownBy(() -> RootImage.open(RootFs.oci(folder).withLimits(1, 1 << 20)))
                .isInstanceOf(SandboxException.class)
                .hasMessageContaining("more than 1 entries, the limit; give more with withLimits");
        assertThatThrownBy(() -> RootImage.open(RootFs.oci(folder).withLimits(10, 50_000)))
                .isInstanceOf(SandboxException.class)
                .hasMessageContaining("more than 50000 bytes, the limit");
    }
}
