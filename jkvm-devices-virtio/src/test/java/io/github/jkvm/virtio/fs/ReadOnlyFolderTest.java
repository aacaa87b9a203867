package io.github.jkvm.virtio.fs;

import static io.github.jkvm.virtio.fs.FuseClient.O_RDONLY;
import static io.github.jkvm.virtio.fs.FuseClient.O_RDWR;
import static io.github.jkvm.virtio.fs.FuseClient.O_TRUNC;
import static io.github.jkvm.virtio.fs.FuseClient.O_WRONLY;
import static io.github.jkvm.virtio.fs.FuseClient.ROOT;
import static io.github.jkvm.virtio.fs.FuseClient.args;
import static io.github.jkvm.virtio.fs.FuseClient.text;
import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.kvm.ffi.Errno;
import io.github.jkvm.kvm.ffi.FileStat;
import io.github.jkvm.virtio.fs.FuseClient.Reply;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A folder that is shared for reading stays as it is. */
class ReadOnlyFolderTest {
    @TempDir
    private Path folder;

    private FuseClient client;

    @BeforeEach
    void mount() throws IOException {
        Files.writeString(folder.resolve("file"), "content");
        Files.createDirectory(folder.resolve("folder"));
        client = FuseClient.mount(folder, FsOptions.readOnly());
    }

    @AfterEach
    void unmount() {
        client.close();
    }

    private Map<String, Object> picture() throws IOException {
        Map<String, Object> picture = new TreeMap<>();
        try (var files = Files.walk(folder)) {
            for (Path file : files.toList()) {
                picture.put(
                        file.toString(),
                        Files.readAttributes(file, "unix:mode,size,lastModifiedTime,ctime,nlink,uid,gid,ino"));
            }
        }
        return picture;
    }

    @Test
    void refusesEveryChange() throws IOException {
        Map<String, Object> before = picture();
        long node = client.find("file");
        int error = Errno.EROFS;

        assertThat(client.create(ROOT, "new", O_RDWR, 0644).error()).isEqualTo(error);
        assertThat(client.create(ROOT, "file", O_RDWR, 0644).error()).isEqualTo(error);
        assertThat(client.create(ROOT, "file", O_RDONLY | O_TRUNC, 0644).error())
                .isEqualTo(error);
        assertThat(client.open(node, O_WRONLY).error()).isEqualTo(error);
        assertThat(client.open(node, O_RDWR).error()).isEqualTo(error);
        assertThat(client.open(node, O_RDONLY | O_TRUNC).error()).isEqualTo(error);
        assertThat(client.open(node, 3).error()).isEqualTo(error);
        assertThat(client.mkdir(ROOT, "new", 0755).error()).isEqualTo(error);
        assertThat(client.mknod(ROOT, "new", FileStat.S_IFIFO, 0).error()).isEqualTo(error);
        assertThat(client.symlink(ROOT, "new", "x").error()).isEqualTo(error);
        assertThat(client.link(node, ROOT, "new").error()).isEqualTo(error);
        assertThat(client.unlink(ROOT, "file").error()).isEqualTo(error);
        assertThat(client.rmdir(ROOT, "folder").error()).isEqualTo(error);
        assertThat(client.rename(ROOT, "file", ROOT, "new").error()).isEqualTo(error);
        assertThat(client.rename2(ROOT, "file", ROOT, "folder", 2).error()).isEqualTo(error);
        assertThat(client.chmod(node, 0777).error()).isEqualTo(error);
        assertThat(client.chown(node, 1, 1).error()).isEqualTo(error);
        assertThat(client.truncate(node, 0).error()).isEqualTo(error);
        assertThat(client.setattr(node, FuseLayout.FATTR_MTIME, args -> {}).error())
                .isEqualTo(error);
        assertThat(client.setxattr(node, "user.x", new byte[1], 0).error()).isEqualTo(error);
        assertThat(client.send(FuseLayout.REMOVEXATTR, node, text("user.x")).error())
                .isEqualTo(error);
        assertThat(client.send(FuseLayout.ACCESS, node, args(8).putInt(2)).error())
                .isEqualTo(error);

        assertThat(picture()).isEqualTo(before);
    }

    @Test
    void refusesChangesThroughAHandle() throws IOException {
        Map<String, Object> before = picture();
        long node = client.find("file");
        long handle = client.handle(client.open(node, O_RDONLY));

        assertThat(client.write(node, handle, 0, new byte[1], FuseLayout.WRITE_KILL_SUIDGID)
                        .error())
                .isEqualTo(Errno.EBADF);
        assertThat(client.setattr(
                                node,
                                FuseLayout.FATTR_SIZE | FuseLayout.FATTR_FH,
                                args -> args.putLong(FuseLayout.SETATTR_FH, handle))
                        .error())
                .isEqualTo(Errno.EROFS);
        assertThat(client.send(
                                FuseLayout.FALLOCATE,
                                node,
                                args(32).putLong(handle).putLong(0).putLong(100))
                        .error())
                .isEqualTo(Errno.EBADF);
        assertThat(client.send(
                                FuseLayout.COPY_FILE_RANGE,
                                node,
                                args(56).putLong(handle)
                                        .putLong(0)
                                        .putLong(node)
                                        .putLong(handle)
                                        .putLong(100)
                                        .putLong(5))
                        .error())
                .isEqualTo(Errno.EBADF);
        assertThat(client.send(FuseLayout.FSYNC, node, args(16).putLong(handle)).error())
                .isZero();
        assertThat(client.send(FuseLayout.SYNCFS, ROOT, args(8)).error()).isZero();
        assertThat(picture()).isEqualTo(before);
    }

    @Test
    void readsAndLists() {
        long node = client.find("file");
        Reply opened = client.create(ROOT, "file", O_RDONLY, 0644);

        assertThat(client.read(node, client.handle(opened), 3, 100).text()).isEqualTo("tent");
        assertThat(client.list(FuseLayout.READDIR, ROOT, 4096)).containsKeys("file", "folder");
        assertThat(client.send(FuseLayout.STATFS, ROOT, args(0)).error()).isZero();
        assertThat(client.lookup(ROOT, "none").error()).isEqualTo(Errno.ENOENT);
    }
}
