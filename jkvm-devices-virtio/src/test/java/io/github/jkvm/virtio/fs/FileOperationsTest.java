package io.github.jkvm.virtio.fs;

import static io.github.jkvm.virtio.fs.FuseClient.O_EXCL;
import static io.github.jkvm.virtio.fs.FuseClient.O_RDONLY;
import static io.github.jkvm.virtio.fs.FuseClient.O_RDWR;
import static io.github.jkvm.virtio.fs.FuseClient.O_TRUNC;
import static io.github.jkvm.virtio.fs.FuseClient.O_WRONLY;
import static io.github.jkvm.virtio.fs.FuseClient.ROOT;
import static io.github.jkvm.virtio.fs.FuseClient.args;
import static io.github.jkvm.virtio.fs.FuseClient.ints;
import static io.github.jkvm.virtio.fs.FuseClient.text;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jkvm.kvm.ffi.Errno;
import io.github.jkvm.kvm.ffi.FileCalls;
import io.github.jkvm.kvm.ffi.FileStat;
import io.github.jkvm.virtio.fs.FuseClient.Reply;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What POSIX promises of the calls behind the requests, as the pjdfstest suite checks it: results, errors and what changed on the host. */
class FileOperationsTest {
    @TempDir
    private Path folder;

    private FuseClient client;

    @BeforeEach
    void mount() throws IOException {
        client = FuseClient.mount(folder, FsOptions.readWrite());
    }

    @AfterEach
    void unmount() {
        client.close();
    }

    private int mode(String name) throws IOException {
        return (int) Files.getAttribute(folder.resolve(name), "unix:mode", LinkOption.NOFOLLOW_LINKS);
    }

    @Test
    void createsWritesAndReadsBack() throws IOException {
        byte[] data = new byte[300_000];
        new Random(1).nextBytes(data);
        Reply created = client.create(ROOT, "file", O_RDWR, 0640);
        long node = created.node();
        long handle = client.handle(created);

        Reply written = client.write(node, handle, 5, data);
        Reply read = client.read(node, handle, 5, data.length + 100);

        assertThat(written.intAt(FuseLayout.WRITE_OUT_SIZE)).isEqualTo(data.length);
        assertThat(read.bytes()).isEqualTo(data);
        assertThat(mode("file")).isEqualTo(FileStat.S_IFREG | 0640);
        assertThat(Files.size(folder.resolve("file"))).isEqualTo(5 + data.length);
        assertThat(client.release(node, handle).error()).isZero();
    }

    @Test
    void givesFilesTheModeThatTheGuestAskedForWhateverTheMaskOfTheProcess() throws IOException {
        client.create(ROOT, "file", O_RDWR, 0666);
        client.mkdir(ROOT, "folder", 01777);
        client.mknod(ROOT, "fifo", FileStat.S_IFIFO | 0622, 0);

        assertThat(mode("file")).isEqualTo(FileStat.S_IFREG | 0666);
        assertThat(mode("folder")).isEqualTo(FileStat.S_IFDIR | 01777);
        assertThat(mode("fifo")).isEqualTo(FileStat.S_IFIFO | 0622);
    }

    @Test
    void createOpensWhatIsThereUnlessItMustBeNew() throws IOException {
        Files.writeString(folder.resolve("file"), "content");

        Reply opened = client.create(ROOT, "file", O_RDWR, 0600);
        assertThat(client.read(opened.node(), client.handle(opened), 0, 50).text())
                .isEqualTo("content");
        assertThat(client.create(ROOT, "file", O_RDWR | O_EXCL, 0600).error()).isEqualTo(Errno.EEXIST);
        assertThat(client.create(ROOT, "file", O_RDWR | O_TRUNC, 0600).error()).isZero();
        assertThat(folder.resolve("file")).isEmptyFile();
        client.mkdir(ROOT, "folder", 0755);
        assertThat(client.create(ROOT, "folder", O_RDWR, 0600).error()).isEqualTo(Errno.EISDIR);
    }

    @Test
    void makesRemovesAndRefusesFolders() throws IOException {
        Reply made = client.mkdir(ROOT, "a", 0755);
        assertThat(made.mode()).isEqualTo(FileStat.S_IFDIR | 0755);
        assertThat(client.mkdir(ROOT, "a", 0755).error()).isEqualTo(Errno.EEXIST);
        client.mkdir(made.node(), "b", 0700);

        assertThat(client.rmdir(ROOT, "a").error()).isEqualTo(Errno.ENOTEMPTY);
        assertThat(client.unlink(ROOT, "a").error()).isEqualTo(Errno.EISDIR);
        assertThat(client.rmdir(made.node(), "b").error()).isZero();
        assertThat(client.rmdir(ROOT, "a").error()).isZero();
        assertThat(client.rmdir(ROOT, "a").error()).isEqualTo(Errno.ENOENT);
        // The folder is gone, but the guest has not forgotten it yet.
        assertThat(client.mkdir(made.node(), "c", 0755).error()).isEqualTo(Errno.ENOENT);
        client.create(ROOT, "file", O_RDWR, 0644);
        assertThat(client.rmdir(ROOT, "file").error()).isEqualTo(Errno.ENOTDIR);
        assertThat(client.lookup(client.find("file"), "x").error()).isEqualTo(Errno.ENOTDIR);
    }

    @Test
    void linksNamesToOneFile() throws IOException {
        Files.writeString(folder.resolve("first"), "content");
        long node = client.find("first");

        Reply linked = client.link(node, ROOT, "second");

        assertThat(linked.node()).isEqualTo(node);
        assertThat(linked.intAt(FuseLayout.ENTRY_ATTR + FuseLayout.ATTR_NLINK)).isEqualTo(2);
        assertThat(client.link(node, ROOT, "second").error()).isEqualTo(Errno.EEXIST);
        assertThat(client.link(client.mkdir(ROOT, "f", 0755).node(), ROOT, "g").error())
                .isEqualTo(Errno.EPERM);
        assertThat(client.unlink(ROOT, "first").error()).isZero();
        assertThat(folder.resolve("second")).hasContent("content");
        client.symlink(ROOT, "link", "second");
        assertThat(client.link(client.find("link"), ROOT, "link2").mode() & FileStat.S_IFMT)
                .isEqualTo(FileStat.S_IFLNK);
    }

    @Test
    void makesAndReadsSymbolicLinksWithAnyTarget() throws IOException {
        String target = "../../" + "x".repeat(4000);
        Reply link = client.symlink(ROOT, "link", target);

        assertThat(link.mode() & FileStat.S_IFMT).isEqualTo(FileStat.S_IFLNK);
        assertThat(client.send(FuseLayout.READLINK, link.node(), args(0)).text())
                .isEqualTo(target);
        assertThat(client.symlink(ROOT, "link", "y").error()).isEqualTo(Errno.EEXIST);
        assertThat(client.symlink(ROOT, "long", "x".repeat(4096)).error()).isEqualTo(Errno.ENAMETOOLONG);
        assertThat(client.send(FuseLayout.READLINK, ROOT, args(0)).error()).isEqualTo(Errno.ENOENT);
    }

    @Test
    void renamesAndExchanges() throws IOException {
        Files.writeString(folder.resolve("a"), "A");
        Files.writeString(folder.resolve("b"), "B");
        long sub = client.mkdir(ROOT, "sub", 0755).node();
        long a = client.find("a");

        assertThat(client.rename(ROOT, "a", sub, "moved").error()).isZero();
        assertThat(client.find("sub/moved")).isEqualTo(a);
        assertThat(client.rename2(sub, "moved", ROOT, "b", 1).error()).isEqualTo(Errno.EEXIST);
        assertThat(client.rename2(sub, "moved", ROOT, "b", 2).error()).isZero();
        assertThat(folder.resolve("b")).hasContent("A");
        assertThat(folder.resolve("sub/moved")).hasContent("B");
        // RENAME_WHITEOUT would leave a device node.
        assertThat(client.rename2(ROOT, "b", ROOT, "c", 4).error()).isEqualTo(Errno.EINVAL);
        assertThat(client.rename(ROOT, "sub", sub, "inside").error()).isEqualTo(Errno.EINVAL);
        assertThat(client.rename(ROOT, "b", ROOT, "sub").error()).isEqualTo(Errno.EISDIR);
        assertThat(client.rename(ROOT, "none", ROOT, "x").error()).isEqualTo(Errno.ENOENT);
        assertThat(client.rename(ROOT, "b", 999, "x").error()).isEqualTo(Errno.ESTALE);
    }

    @Test
    void changesModeSizeAndTimes() throws IOException {
        Files.writeString(folder.resolve("file"), "0123456789");
        long node = client.find("file");

        assertThat(client.chmod(node, 01604).intAt(FuseLayout.ATTR_OUT_ATTR + FuseLayout.ATTR_MODE))
                .isEqualTo(FileStat.S_IFREG | 01604);
        assertThat(client.truncate(node, 4).longAt(FuseLayout.ATTR_OUT_ATTR + FuseLayout.ATTR_SIZE))
                .isEqualTo(4);
        assertThat(folder.resolve("file")).hasContent("0123");
        assertThat(client.truncate(node, -1).error()).isEqualTo(Errno.EINVAL);
        client.setattr(
                node,
                FuseLayout.FATTR_MTIME,
                args -> args.putLong(FuseLayout.SETATTR_MTIME, 1_000_000_000)
                        .putInt(FuseLayout.SETATTR_MTIMENSEC, 123_456_789));
        assertThat(Files.getLastModifiedTime(folder.resolve("file")).toInstant())
                .isEqualTo(Instant.ofEpochSecond(1_000_000_000, 123_456_789));
        Instant before = Instant.now().minusSeconds(2);
        client.setattr(node, FuseLayout.FATTR_MTIME | FuseLayout.FATTR_MTIME_NOW, args -> {});
        assertThat(Files.getLastModifiedTime(folder.resolve("file")).toInstant())
                .isAfter(before);
    }

    @Test
    void changesTimesOfALinkAndNotOfWhatItNames() throws IOException {
        Path target = Files.writeString(folder.resolve("target"), "x");
        Files.setLastModifiedTime(target, FileTime.fromMillis(1000));
        client.symlink(ROOT, "link", "target");
        long node = client.find("link");

        client.setattr(node, FuseLayout.FATTR_MTIME, args -> args.putLong(FuseLayout.SETATTR_MTIME, 77));

        assertThat(Files.getLastModifiedTime(target).toMillis()).isEqualTo(1000);
        assertThat(Files.getLastModifiedTime(folder.resolve("link"), LinkOption.NOFOLLOW_LINKS)
                        .toMillis())
                .isEqualTo(77_000);
        assertThat(client.chmod(node, 0777).error()).isEqualTo(Errno.EOPNOTSUPP);
        assertThat(client.truncate(node, 0).error()).isEqualTo(Errno.ELOOP);
    }

    @Test
    void truncatesThroughAHandleWhoseFileMayNotBeOpenedAgain() throws IOException {
        Reply created = client.create(ROOT, "file", O_RDWR, 0444);
        long handle = client.handle(created);
        client.write(created.node(), handle, 0, new byte[100]);

        Reply reply = client.setattr(
                created.node(),
                FuseLayout.FATTR_SIZE | FuseLayout.FATTR_FH,
                args -> args.putLong(FuseLayout.SETATTR_SIZE, 10).putLong(FuseLayout.SETATTR_FH, handle));

        assertThat(reply.error()).isZero();
        assertThat(Files.size(folder.resolve("file"))).isEqualTo(10);
    }

    @Test
    void leavesSetIdBitsOutUnlessToldToKeepThem() throws IOException {
        client.create(ROOT, "dropped", O_RDWR, 06755);
        long folderNode = client.mkdir(ROOT, "folder", 02755).node();
        client.chmod(client.find("dropped"), 06755);
        assertThat(mode("dropped")).isEqualTo(FileStat.S_IFREG | 0755);
        assertThat(mode("folder")).isEqualTo(FileStat.S_IFDIR | 02755);
        // A folder with the bit hands it and its group on (inode(7)).
        client.mkdir(folderNode, "below", 0755);
        assertThat(mode("folder/below")).isEqualTo(FileStat.S_IFDIR | 02755);

        try (FuseClient keeping =
                FuseClient.mount(folder, FsOptions.readWrite().withSetIdBits(FsOptions.SetIdBits.KEPT))) {
            keeping.create(ROOT, "kept", O_RDWR, 04755);
            assertThat(mode("kept")).isEqualTo(FileStat.S_IFREG | 04755);
        }
    }

    @Test
    void dropsSetIdBitsWhenTheGuestSaysThatTheWriterMayNotKeepThem() throws IOException {
        try (FuseClient keeping =
                FuseClient.mount(folder, FsOptions.readWrite().withSetIdBits(FsOptions.SetIdBits.KEPT))) {
            Reply created = keeping.create(ROOT, "program", O_RDWR, 06755);
            long handle = keeping.handle(created);
            long node = created.node();

            // FUSE_WRITE_KILL_SUIDGID, FATTR_KILL_SUIDGID, FUSE_OPEN_KILL_SUIDGID (fuse.h, 7.33)
            keeping.write(node, handle, 0, new byte[] {1}, FuseLayout.WRITE_KILL_SUIDGID);
            assertThat(mode("program")).isEqualTo(FileStat.S_IFREG | 0755);
            keeping.chmod(node, 06755);
            keeping.setattr(node, FuseLayout.FATTR_SIZE | FuseLayout.FATTR_KILL_SUIDGID, args -> {});
            assertThat(mode("program")).isEqualTo(FileStat.S_IFREG | 0755);
            keeping.chmod(node, 06755);
            keeping.send(FuseLayout.OPEN, node, ints(new int[] {O_WRONLY | O_TRUNC, FuseLayout.OPEN_KILL_SUIDGID}));
            assertThat(mode("program")).isEqualTo(FileStat.S_IFREG | 0755);
        }
    }

    @Test
    void givesFilesToWhomMadeThemIfTheJvmIsRoot() throws IOException {
        assumeTrue(FileCalls.geteuid() == 0, "the JVM is not root, so all files are its user's");
        client.actAs(1234, 2345);
        client.create(ROOT, "file", O_RDWR, 0644);
        client.mkdir(ROOT, "folder", 0755);
        client.symlink(ROOT, "link", "file");
        client.mknod(ROOT, "fifo", FileStat.S_IFIFO | 0644, 0);

        for (String name : new String[] {"file", "folder", "link", "fifo"}) {
            Map<String, Object> owner =
                    Files.readAttributes(folder.resolve(name), "unix:uid,gid", LinkOption.NOFOLLOW_LINKS);
            assertThat(owner).as(name).isEqualTo(Map.of("uid", 1234, "gid", 2345));
        }
        assertThat(client.chown(client.find("link"), 7, 8).error()).isZero();
        assertThat(Files.getAttribute(folder.resolve("link"), "unix:uid", LinkOption.NOFOLLOW_LINKS))
                .isEqualTo(7);
        assertThat(Files.getAttribute(folder.resolve("file"), "unix:uid")).isEqualTo(1234);
    }

    @Test
    void showsSpecialFilesAndOpensNone() throws IOException {
        client.mknod(ROOT, "fifo", FileStat.S_IFIFO | 0666, 0);
        client.mknod(ROOT, "socket", FileStat.S_IFSOCK | 0666, 0);

        assertThat(client.lookup(ROOT, "fifo").mode() & FileStat.S_IFMT).isEqualTo(FileStat.S_IFIFO);
        // Each of these would hang if the FIFO were opened.
        assertThat(client.open(client.find("fifo"), O_RDONLY).error()).isEqualTo(Errno.EACCES);
        assertThat(client.open(client.find("fifo"), O_WRONLY).error()).isEqualTo(Errno.EACCES);
        assertThat(client.create(ROOT, "fifo", O_WRONLY, 0666).error()).isEqualTo(Errno.EACCES);
        assertThat(client.truncate(client.find("fifo"), 0).error()).isEqualTo(Errno.EACCES);
        assertThat(client.open(client.find("socket"), O_RDONLY).error()).isEqualTo(Errno.EACCES);
        int character = 0x2000;
        int block = 0x6000;
        assertThat(client.mknod(ROOT, "null", character | 0666, 0x103).error()).isEqualTo(Errno.EPERM);
        assertThat(client.mknod(ROOT, "disk", block | 0666, 0x800).error()).isEqualTo(Errno.EPERM);
        assertThat(client.mknod(ROOT, "folder", FileStat.S_IFDIR | 0777, 0).error())
                .isEqualTo(Errno.EPERM);
        assertThat(client.mknod(ROOT, "regular", FileStat.S_IFREG | 0600, 0).error())
                .isZero();
    }

    @Test
    void listsFoldersWholeInRequestsOfAnySize() throws IOException {
        Map<String, Integer> expected = new HashMap<>(Map.of(".", 4, "..", 4));
        for (int i = 0; i < 300; i++) {
            String name = "file-" + i + "x".repeat(i % 200);
            Files.createFile(folder.resolve(name));
            expected.put(name, 8);
        }
        Files.createDirectory(folder.resolve("folder"));
        expected.put("folder", 4);
        Files.createSymbolicLink(folder.resolve("link"), Path.of("nowhere"));
        expected.put("link", 10);

        for (int size : new int[] {600, 4096, 65_536}) {
            assertThat(client.list(FuseLayout.READDIR, ROOT, size)).isEqualTo(expected);
            assertThat(client.list(FuseLayout.READDIRPLUS, ROOT, size)).isEqualTo(expected);
        }
    }

    /** What rm -r does: a listing goes on while what it told of is removed. */
    @Test
    void listsWhatIsLeftWhileFilesAreRemoved() throws IOException {
        for (int i = 0; i < 300; i++) {
            Files.createFile(folder.resolve("file" + i));
        }
        long handle = client.handle(client.opendir(ROOT));
        long offset = 0;
        Reply reply = client.readdir(FuseLayout.READDIR, ROOT, handle, offset, 4096);
        while (reply.body().limit() > 0) {
            for (int at = 0; at < reply.body().limit(); ) {
                byte[] name = new byte[reply.intAt(at + FuseLayout.DIRENT_NAMELEN)];
                reply.body().get(at + FuseLayout.DIRENT_NAME, name);
                client.unlink(ROOT, new String(name, UTF_8));
                offset = reply.longAt(at + FuseLayout.DIRENT_OFF);
                at += FuseLayout.aligned(FuseLayout.DIRENT + name.length);
            }
            reply = client.readdir(FuseLayout.READDIR, ROOT, handle, offset, 4096);
        }

        assertThat(folder).isEmptyDirectory();
    }

    @Test
    void listsAnewFromAnyPlaceThatItTold() throws IOException {
        for (int i = 0; i < 50; i++) {
            Files.createFile(folder.resolve("file" + i));
        }
        long handle = client.handle(client.opendir(ROOT));
        Reply whole = client.readdir(FuseLayout.READDIR, ROOT, handle, 0, 4096);
        int second = FuseLayout.aligned(FuseLayout.DIRENT + whole.intAt(FuseLayout.DIRENT_NAMELEN));
        long afterFirst = whole.longAt(FuseLayout.DIRENT_OFF);

        Reply rest = client.readdir(FuseLayout.READDIR, ROOT, handle, afterFirst, 4096);

        assertThat(rest.bytes()).startsWith(Arrays.copyOfRange(whole.bytes(), second, second + 400));
        assertThat(client.readdir(FuseLayout.READDIR, ROOT, handle, 0, 4096).bytes())
                .isEqualTo(whole.bytes());
    }

    @Test
    void listsWithReferencesAsOftenAsItTells() throws IOException {
        Files.createFile(folder.resolve("file"));
        client.list(FuseLayout.READDIRPLUS, ROOT, 4096);
        assertThat(client.server().knownFiles()).isEqualTo(2);
        long node = client.find("file");

        client.forget(node, 2);

        assertThat(client.server().knownFiles()).isOne();
        client.list(FuseLayout.READDIR, ROOT, 4096);
        assertThat(client.server().knownFiles()).isOne();
    }

    @Test
    void doesNotTellWhatIsAboveTheRoot() throws IOException {
        long handle = client.handle(client.opendir(ROOT));
        Reply reply = client.readdir(FuseLayout.READDIR, ROOT, handle, 0, 4096);

        long root = (long) Files.getAttribute(folder, "unix:ino");
        assertThat(reply.longAt(FuseLayout.DIRENT_INO)).isEqualTo(root);
        assertThat(reply.longAt(32 + FuseLayout.DIRENT_INO)).isEqualTo(root);
    }

    @Test
    void refusesAListingTooSmallForOneEntry() throws IOException {
        long handle = client.handle(client.opendir(ROOT));

        assertThat(client.readdir(FuseLayout.READDIR, ROOT, handle, 0, 31).error())
                .isEqualTo(Errno.EINVAL);
    }

    @Test
    void keepsExtendedAttributesOfTheUserNamespaceOnly() throws IOException {
        Files.createFile(folder.resolve("file"));
        long node = client.find("file");
        Reply set = client.setxattr(node, "user.color", "blue".getBytes(UTF_8), 0);
        assumeTrue(set.error() != Errno.EOPNOTSUPP, "the file system of the temporary folder has no attributes");

        assertThat(set.error()).isZero();
        assertThat(client.getxattr(node, "user.color", 0).intAt(0)).isEqualTo(4);
        assertThat(client.getxattr(node, "user.color", 100).text()).isEqualTo("blue");
        assertThat(client.getxattr(node, "user.color", 3).error()).isEqualTo(Errno.ERANGE);
        assertThat(client.getxattr(node, "user.none", 3).error()).isEqualTo(Errno.ENODATA);
        assertThat(client.send(FuseLayout.LISTXATTR, node, args(8).putInt(1000)).text())
                .isEqualTo("user.color\0");
        assertThat(client.send(FuseLayout.LISTXATTR, node, args(8)).intAt(0)).isEqualTo(11);
        assertThat(client.send(FuseLayout.LISTXATTR, node, args(8).putInt(5)).error())
                .isEqualTo(Errno.ERANGE);
        assertThat(client.setxattr(node, "user.color", new byte[1], 1).error()).isEqualTo(Errno.EEXIST);
        for (String name : new String[] {"security.capability", "trusted.x", "system.posix_acl_access", "user", ""}) {
            assertThat(client.setxattr(node, name, new byte[8], 0).error())
                    .as(name)
                    .isEqualTo(Errno.EOPNOTSUPP);
            assertThat(client.getxattr(node, name, 8).error()).as(name).isEqualTo(Errno.EOPNOTSUPP);
            assertThat(client.send(FuseLayout.REMOVEXATTR, node, text(name)).error())
                    .as(name)
                    .isEqualTo(Errno.EOPNOTSUPP);
        }
        assertThat(client.send(FuseLayout.REMOVEXATTR, node, text("user.color")).error())
                .isZero();
        assertThat(client.send(FuseLayout.LISTXATTR, node, args(8).putInt(100)).text())
                .isEmpty();
    }

    @Test
    void allocatesSeeksCopiesAndSyncs() throws IOException {
        Reply created = client.create(ROOT, "file", O_RDWR, 0644);
        long node = created.node();
        long handle = client.handle(created);
        client.write(node, handle, 1 << 20, "end".getBytes(UTF_8));

        Reply data = client.send(
                FuseLayout.LSEEK, node, args(24).putLong(handle).putLong(0).putInt(FileCalls.SEEK_DATA));
        assertThat(data.error()).isZero();
        assertThat(data.longAt(0)).isBetween(0L, 1L << 20);
        assertThat(client.send(FuseLayout.LSEEK, node, args(24).putLong(handle).putInt(16, 2))
                        .error())
                .isEqualTo(Errno.EINVAL);
        assertThat(client.send(
                                FuseLayout.FALLOCATE,
                                node,
                                args(32).putLong(handle).putLong(0).putLong(2 << 20))
                        .error())
                .isIn(0, Errno.EOPNOTSUPP);
        assertThat(client.send(
                                FuseLayout.FALLOCATE,
                                node,
                                args(32).putLong(handle)
                                        .putLong(0)
                                        .putLong(4096)
                                        .putInt(0x20))
                        .error())
                .isEqualTo(Errno.EOPNOTSUPP);
        long copy = client.handle(client.create(ROOT, "copy", O_RDWR, 0644));
        Reply copied = client.send(
                FuseLayout.COPY_FILE_RANGE,
                node,
                args(56).putLong(handle)
                        .putLong(1 << 20)
                        .putLong(client.find("copy"))
                        .putLong(copy)
                        .putLong(0)
                        .putLong(3));
        assertThat(copied.intAt(0)).isEqualTo(3);
        assertThat(folder.resolve("copy")).hasContent("end");
        assertThat(client.send(FuseLayout.FSYNC, node, args(16).putLong(handle)).error())
                .isZero();
        assertThat(client.send(FuseLayout.FSYNC, node, args(16).putLong(handle).putInt(1))
                        .error())
                .isZero();
        // Nothing is kept back, so a kernel need not ask when a file is closed.
        assertThat(client.send(FuseLayout.FLUSH, node, args(24).putLong(handle)).error())
                .isEqualTo(Errno.ENOSYS);
        assertThat(client.send(FuseLayout.SYNCFS, ROOT, args(8)).error()).isZero();
        long list = client.handle(client.opendir(ROOT));
        assertThat(client.send(FuseLayout.FSYNCDIR, ROOT, args(16).putLong(list))
                        .error())
                .isZero();
    }

    @Test
    void tellsHowFullTheHostIs() {
        Reply reply = client.send(FuseLayout.STATFS, ROOT, args(0));

        assertThat(reply.longAt(FuseLayout.STATFS_BLOCKS)).isPositive();
        assertThat(reply.intAt(FuseLayout.STATFS_NAMELEN)).isEqualTo(255);
    }

    @Test
    void refusesTransfersThatDoNotFitTheirMessage() throws IOException {
        Reply created = client.create(ROOT, "file", O_RDWR, 0644);
        long node = created.node();
        long handle = client.handle(created);

        byte[] tooShort = args(40 + 3).putLong(handle).putLong(0).putInt(4).array();
        assertThat(client.send(FuseLayout.WRITE, node, tooShort, 100).error()).isEqualTo(Errno.EINVAL);
        byte[] read = args(40).putLong(handle).putLong(0).putInt(101).array();
        assertThat(client.send(FuseLayout.READ, node, read, 16 + 100).error()).isEqualTo(Errno.EINVAL);
        assertThat(client.read(node, handle, -5, 10).error()).isEqualTo(Errno.EINVAL);
        long readOnly = client.handle(client.open(node, O_RDONLY));
        assertThat(client.write(node, readOnly, 0, new byte[1]).error()).isEqualTo(Errno.EBADF);
    }

    @Test
    void checksAccessAsTheHostWould() throws IOException {
        Files.createFile(folder.resolve("file"));
        long node = client.find("file");

        assertThat(client.send(FuseLayout.ACCESS, node, args(8).putInt(4)).error())
                .isZero();
        assertThat(client.send(FuseLayout.ACCESS, node, args(8).putInt(1)).error())
                .isEqualTo(Errno.EACCES);
    }
}
