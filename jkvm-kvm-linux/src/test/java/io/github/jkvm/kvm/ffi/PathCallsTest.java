package io.github.jkvm.kvm.ffi;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What the calls tell and do, compared with what Java's own classes say of the same files. */
class PathCallsTest {
    private static final long BENEATH = OpenHow.RESOLVE_BENEATH | OpenHow.RESOLVE_NO_SYMLINKS;

    @TempDir
    private Path folder;

    private final Arena arena = Arena.ofConfined();
    private int fd;

    @BeforeEach
    void openFolder() {
        fd = Libc.open(text(folder.toString()), OpenFlags.O_PATH | OpenFlags.O_DIRECTORY | Libc.O_CLOEXEC, 0);
        assertThat(fd).isNotNegative();
    }

    @AfterEach
    void closeFolder() {
        Libc.close(fd);
        arena.close();
    }

    private MemorySegment text(String text) {
        return arena.allocateFrom(text);
    }

    private int open(String path, int flags) {
        return new OpenHow(arena).open(fd, text(path), flags | Libc.O_CLOEXEC, 0, BENEATH);
    }

    @Test
    void tellsTheAttributesThatJavaTells() throws IOException {
        Path file = Files.writeString(folder.resolve("file"), "seven b");
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-r----x"));
        Files.createLink(folder.resolve("second"), file);
        int opened = open("file", OpenFlags.O_PATH);
        var stat = new FileStat(arena);

        assertThat(stat.read(opened)).isZero();

        Libc.close(opened);
        Map<String, Object> attributes = Files.readAttributes(file, "unix:*");
        assertThat(stat.mode()).isEqualTo(attributes.get("mode")).isEqualTo(FileStat.S_IFREG | 0641);
        assertThat(stat.ino()).isEqualTo(attributes.get("ino"));
        assertThat(stat.size()).isEqualTo(7);
        assertThat(stat.links()).isEqualTo(2);
        assertThat(stat.user()).isEqualTo(attributes.get("uid"));
        assertThat(stat.group()).isEqualTo(attributes.get("gid"));
        assertThat(Instant.ofEpochSecond(stat.modified(), stat.modifiedNanos()))
                .isEqualTo(Files.getLastModifiedTime(file).toInstant());
    }

    @Test
    void opensNothingAboveTheFolderAndNothingBehindALink() throws IOException {
        Files.createSymbolicLink(folder.resolve("link"), Path.of("/etc"));

        assertThat(open("..", OpenFlags.O_PATH)).isEqualTo(-Errno.EXDEV);
        assertThat(open("/", OpenFlags.O_PATH)).isEqualTo(-Errno.EXDEV);
        assertThat(open("link", Libc.O_RDONLY)).isEqualTo(-Errno.ELOOP);
        assertThat(open("link/passwd", OpenFlags.O_PATH)).isEqualTo(-Errno.ELOOP);
        assertThat(open("missing", OpenFlags.O_PATH)).isEqualTo(-Errno.ENOENT);
    }

    @Test
    void readsTheNamesInAFolder() throws IOException {
        Files.createFile(folder.resolve("only"));
        int opened = open(".", Libc.O_RDONLY | OpenFlags.O_DIRECTORY);
        MemorySegment entries = arena.allocate(4096);

        long size = FileCalls.getdents64(opened, entries, entries.byteSize());

        Libc.close(opened);
        // Three entries of 24 bytes: 19 bytes, a name and its NUL, rounded up to 8 (Linux, include/linux/dirent.h).
        assertThat(size).isEqualTo(3 * 24);
        assertThat(new String(entries.asSlice(0, size).toArray(ValueLayout.JAVA_BYTE), ISO_8859_1))
                .contains("only");
    }

    @Test
    void tellsHowFullTheFileSystemIs() throws IOException {
        var stat = new FileSystemStat(arena);

        assertThat(stat.read(fd)).isZero();

        var store = Files.getFileStore(folder);
        assertThat(stat.blocks() * stat.fragmentSize()).isEqualTo(store.getTotalSpace());
        assertThat(stat.nameLength()).isBetween(14L, 4096L);
        assertThat(stat.available()).isLessThanOrEqualTo(stat.blocks());
    }

    @Test
    void renamesExchangesAndRemoves() throws IOException {
        Files.writeString(folder.resolve("a"), "A");
        Files.writeString(folder.resolve("b"), "B");
        int exchange = 2; // RENAME_EXCHANGE (Linux, include/uapi/linux/fs.h)

        assertThat(PathCalls.renameat2(fd, text("a"), fd, text("b"), exchange)).isZero();
        assertThat(folder.resolve("a")).hasContent("B");
        assertThat(PathCalls.unlinkat(fd, text("a"), 0)).isZero();
        assertThat(PathCalls.mkdirat(fd, text("sub"), 0700)).isZero();
        assertThat(PathCalls.unlinkat(fd, text("sub"), 0)).isEqualTo(-Errno.EISDIR);
        assertThat(PathCalls.unlinkat(fd, text("sub"), PathCalls.AT_REMOVEDIR)).isZero();
        assertThat(PathCalls.mknodat(fd, text("fifo"), FileStat.S_IFIFO | 0600, 0))
                .isZero();
        assertThat(folder.resolve("b")).hasContent("A");
        try (var files = Files.list(folder)) {
            assertThat(files.map(Path::getFileName).map(Path::toString)).containsExactlyInAnyOrder("b", "fifo");
        }
    }
}
