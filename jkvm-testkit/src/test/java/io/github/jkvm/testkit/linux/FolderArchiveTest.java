package io.github.jkvm.testkit.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;
import org.apache.commons.compress.archivers.tar.TarConstants;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class FolderArchiveTest {
    @TempDir
    private Path folder;

    @FunctionalInterface
    private interface Writer {
        void write(TarArchiveOutputStream archive) throws IOException;
    }

    private Path archive(Writer writer) throws IOException {
        Path file = folder.resolve("archive.tar");
        try (OutputStream out = Files.newOutputStream(file);
                var archive = new TarArchiveOutputStream(out)) {
            writer.write(archive);
        }
        return file;
    }

    private static void put(TarArchiveOutputStream archive, TarArchiveEntry entry) throws IOException {
        archive.putArchiveEntry(entry);
        archive.closeArchiveEntry();
    }

    private static TarArchiveEntry link(byte kind, String name, String target) {
        var entry = new TarArchiveEntry(name, kind);
        entry.setLinkName(target);
        return entry;
    }

    @Test
    void keepsAFolderAsItIs() throws IOException {
        Path source = Files.createDirectories(folder.resolve("source"));
        Path closed = Files.createDirectories(source.resolve("closed"));
        Files.write(closed.resolve("d".repeat(150)), new byte[] {0, 1, -1});
        Files.setPosixFilePermissions(closed, PosixFilePermissions.fromString("r-x------"));
        Files.createSymbolicLink(source.resolve("link"), Path.of("/nowhere"));
        Path file = folder.resolve("archive.tar");
        try (OutputStream out = Files.newOutputStream(file)) {
            FolderArchive.write(source, "top", out);
        }

        Path target = folder.resolve("target");
        FolderArchive.unpack(file, target);

        assertThat(target.resolve("closed/" + "d".repeat(150))).hasBinaryContent(new byte[] {0, 1, -1});
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(target.resolve("closed"))))
                .isEqualTo("r-x------");
        assertThat(Files.getLastModifiedTime(target.resolve("closed"))
                        .toInstant()
                        .getEpochSecond())
                .isEqualTo(Files.getLastModifiedTime(closed).toInstant().getEpochSecond());
        assertThat(Files.readSymbolicLink(target.resolve("link"))).isEqualTo(Path.of("/nowhere"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"../out", "top/../../out", "./top/../out", "/../out"})
    void refusesPathsThatLeadOutOfTheTarget(String name) throws IOException {
        Path file = archive(archive -> put(archive, new TarArchiveEntry(name, true)));
        assertThatIOException().isThrownBy(() -> FolderArchive.unpack(file, folder.resolve("target")));
        assertThat(folder.resolve("out")).doesNotExist();
    }

    @Test
    void refusesToWriteThroughASymbolicLinkOfTheGuest() throws IOException {
        Path outside = Files.createDirectory(folder.resolve("outside"));
        Path file = archive(archive -> {
            put(archive, new TarArchiveEntry("./top/"));
            put(archive, link(TarConstants.LF_SYMLINK, "./top/way", outside.toString()));
            put(archive, new TarArchiveEntry("./top/way/file"));
        });
        assertThatIOException()
                .isThrownBy(() -> FolderArchive.unpack(file, folder.resolve("target")))
                .withMessageContaining("behind a symbolic link");
        assertThat(outside).isEmptyDirectory();
    }

    @Test
    void refusesLinksToFilesOfTheHost() throws IOException {
        Path secret = Files.writeString(folder.resolve("secret"), "secret");
        Path file = archive(archive -> {
            put(archive, new TarArchiveEntry("top/"));
            put(archive, link(TarConstants.LF_LINK, "top/name", secret.toString()));
        });
        assertThatIOException().isThrownBy(() -> FolderArchive.unpack(file, folder.resolve("target")));
    }

    @Test
    void refusesDevices() throws IOException {
        Path file = archive(archive -> put(archive, new TarArchiveEntry("top", TarConstants.LF_CHR)));
        assertThatIOException()
                .isThrownBy(() -> FolderArchive.unpack(file, folder.resolve("target")))
                .withMessage("the guest's top is no file, folder or link");
    }

    @Test
    void takesPathsOfGuestsApart() {
        assertThat(GuestPath.of("/a/b c/")).isEqualTo(new GuestPath("/a", "b c"));
        assertThat(GuestPath.of("/a").quotedFolder()).isEqualTo("'/'");
        assertThat(GuestPath.of("/x/-it's").quotedName()).isEqualTo("'./-it'\\''s'");
        for (String path : new String[] {"", "/", "a", "a/b", "/a/..", "/."}) {
            assertThatIllegalArgumentException().isThrownBy(() -> GuestPath.of(path));
        }
    }
}
