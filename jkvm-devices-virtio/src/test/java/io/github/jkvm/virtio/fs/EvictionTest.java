package io.github.jkvm.virtio.fs;

import static io.github.jkvm.virtio.fs.FuseClient.O_RDONLY;
import static io.github.jkvm.virtio.fs.FuseClient.O_RDWR;
import static io.github.jkvm.virtio.fs.FuseClient.ROOT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jkvm.kvm.ffi.Errno;
import io.github.jkvm.virtio.fs.FuseClient.Reply;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Files whose descriptors were closed to have room for those of others. */
class EvictionTest {
    private static final int CACHED = 2;

    @TempDir
    private Path temporary;

    private Path folder;
    private FuseClient client;

    @BeforeEach
    void mount() throws IOException {
        folder = Files.createDirectory(temporary.resolve("shared"));
        client = FuseClient.mount(folder, FsOptions.readWrite().withCachedDescriptors(CACHED));
    }

    @AfterEach
    void unmount() {
        client.close();
    }

    /** Uses other files until the places of all that were used before are closed. */
    private void evictAll() throws IOException {
        for (int i = 0; i < CACHED; i++) {
            Path other = folder.resolve("other" + i);
            if (!Files.exists(other)) {
                Files.createFile(other);
            }
            assertThat(client.getattr(client.find("other" + i)).error()).isZero();
        }
    }

    private String content(long node) {
        long handle = client.handle(client.open(node, O_RDONLY));
        String content = client.read(node, handle, 0, 100).text();
        client.release(node, handle);
        return content;
    }

    @Test
    void findsFilesAgainInTheirFolders() throws IOException {
        Files.createDirectories(folder.resolve("a/b/c"));
        Files.writeString(folder.resolve("a/b/c/file"), "content");
        long node = client.find("a/b/c/file");
        long parent = client.find("a/b/c");
        evictAll();

        assertThat(content(node)).isEqualTo("content");
        evictAll();
        assertThat(client.lookup(parent, "file").node()).isEqualTo(node);
        assertThat(client.server().idleDescriptors()).isLessThanOrEqualTo(1 + CACHED);
    }

    @Test
    void holdsNoMoreDescriptorsThanItMay() throws IOException {
        List<Long> nodes = new ArrayList<>();
        for (int i = 0; i < 50; i++) {
            Reply created = client.create(ROOT, "file" + i, O_RDWR, 0644);
            client.release(created.node(), client.handle(created));
            nodes.add(created.node());
        }
        for (long node : nodes) {
            assertThat(client.getattr(node).error()).isZero();
            assertThat(client.server().idleDescriptors()).isLessThanOrEqualTo(1 + CACHED);
        }
        assertThat(client.server().knownFiles()).isEqualTo(51);
    }

    @Test
    void followsWhatTheGuestRenames() throws IOException {
        Files.createDirectories(folder.resolve("a/b"));
        Files.writeString(folder.resolve("a/b/file"), "content");
        Files.writeString(folder.resolve("swapped"), "other");
        long node = client.find("a/b/file");
        long swapped = client.find("swapped");
        evictAll();

        client.rename(ROOT, "a", ROOT, "renamed");
        evictAll();
        assertThat(content(node)).isEqualTo("content");
        client.rename2(client.find("renamed/b"), "file", ROOT, "swapped", SharedFolder.RENAME_EXCHANGE);
        evictAll();
        assertThat(content(node)).isEqualTo("content");
        assertThat(content(swapped)).isEqualTo("other");
        client.link(node, ROOT, "second");
        client.unlink(ROOT, "swapped");
        evictAll();
        assertThat(content(node)).isEqualTo("content");
    }

    @Test
    void losesAFileThatTheHostRenamesUntilItIsLookedUp() throws IOException {
        Files.writeString(folder.resolve("file"), "content");
        long node = client.find("file");
        evictAll();

        Files.move(folder.resolve("file"), folder.resolve("moved"));

        assertThat(client.getattr(node).error()).isEqualTo(Errno.ESTALE);
        assertThat(client.find("moved")).isEqualTo(node);
        assertThat(content(node)).isEqualTo("content");
    }

    @Test
    void takesNoOtherFileOfTheSameNameForTheOneThatWas() throws IOException {
        Files.writeString(folder.resolve("file"), "first");
        long node = client.find("file");
        evictAll();

        Files.writeString(folder.resolve("next"), "second");
        Files.move(folder.resolve("next"), folder.resolve("file"), StandardCopyOption.REPLACE_EXISTING);

        assertThat(client.open(node, O_RDONLY).error()).isEqualTo(Errno.ESTALE);
        assertThat(client.getattr(node).error()).isEqualTo(Errno.ESTALE);
        assertThat(client.chmod(node, 0).error()).isEqualTo(Errno.ESTALE);
        assertThat(content(client.find("file"))).isEqualTo("second");
    }

    @Test
    void takesNoOtherFileOfTheSameNumberForTheOneThatWas() throws IOException {
        Path file = Files.writeString(folder.resolve("file"), "first");
        Object number = Files.getAttribute(file, "unix:ino");
        Object made = Files.getAttribute(file, "creationTime");
        long node = client.find("file");
        // The host's clock moves on in steps, and a file system may give a number to the next file or to a much later
        // one.
        int tries = 0;
        do {
            Files.delete(file);
            Files.writeString(file, "second");
            tries++;
        } while (tries < 100_000
                && (!Files.getAttribute(file, "unix:ino").equals(number)
                        || Files.getAttribute(file, "creationTime").equals(made)));
        assumeTrue(
                Files.getAttribute(file, "unix:ino").equals(number),
                "the file system of " + folder + " does not give the number of a removed file to a new one");

        assertThat(client.open(node, O_RDONLY).error()).isEqualTo(Errno.ESTALE);
        assertThat(client.find("file")).isNotEqualTo(node);
    }

    @Test
    void losesAFileThatIsMovedOutOfTheFolder() throws IOException {
        Files.createDirectory(folder.resolve("sub"));
        Files.writeString(folder.resolve("sub/file"), "secret");
        long sub = client.find("sub");
        long node = client.find("sub/file");
        evictAll();

        Files.move(folder.resolve("sub"), temporary.resolve("outside"));

        assertThat(client.open(node, O_RDONLY).error()).isEqualTo(Errno.ESTALE);
        assertThat(client.opendir(sub).error()).isEqualTo(Errno.ESTALE);
        assertThat(client.lookup(sub, "file").error()).isEqualTo(Errno.ESTALE);
        assertThat(client.create(sub, "new", O_RDWR, 0644).error()).isEqualTo(Errno.ESTALE);
        Files.createSymbolicLink(folder.resolve("sub"), temporary.resolve("outside"));
        assertThat(client.open(node, O_RDONLY).error()).isEqualTo(Errno.ESTALE);
    }

    @Test
    void keepsThePlaceOfAFileThatIsOpenWhenItsNameGoes() throws IOException {
        Reply created = client.create(ROOT, "file", O_RDWR, 0644);
        long node = created.node();
        long handle = client.handle(created);
        client.mkdir(ROOT, "sub", 0755);
        long sub = client.find("sub");
        client.handle(client.opendir(sub));

        client.unlink(ROOT, "file");
        client.rmdir(ROOT, "sub");
        evictAll();

        Reply attributes = client.getattr(node);
        assertThat(attributes.error()).isZero();
        assertThat(attributes.intAt(FuseLayout.ATTR_OUT_ATTR + FuseLayout.ATTR_NLINK))
                .isZero();
        assertThat(client.chmod(node, 0600).error()).isZero();
        assertThat(client.write(node, handle, 0, new byte[10]).error()).isZero();
        assertThat(client.truncate(node, 3).error()).isZero();
        assertThat(client.getattr(sub).error()).isZero();
        client.release(node, handle);
        evictAll();
        assertThat(client.getattr(node).error()).isEqualTo(Errno.ESTALE);
    }

    /** A path longer than the host takes in one call (PATH_MAX). */
    @Test
    void walksDownATreeThatIsDeeperThanAnyPath() {
        long node = ROOT;
        String name = "x".repeat(250);
        List<Long> nodes = new ArrayList<>(List.of(ROOT));
        for (int i = 0; i < 40; i++) {
            node = client.mkdir(node, name, 0755).node();
            nodes.add(node);
        }
        long deepest = node;
        assertThat(client.getattr(nodes.get(10)).error()).isZero();
        assertThat(client.getattr(nodes.get(11)).error()).isZero();
        // Too far from the nearest open folder. A guest's kernel walks down again.
        assertThat(client.getattr(deepest).error()).isEqualTo(Errno.ESTALE);

        node = ROOT;
        for (int i = 0; i < 40; i++) {
            node = client.lookup(node, name).node();
            assertThat(node).isEqualTo(nodes.get(i + 1));
        }
        assertThat(client.getattr(deepest).error()).isZero();
        for (int i = 40; i > 0; i--) {
            for (int j = 0, at = 0; j < i; j++, at++) {
                client.lookup(nodes.get(at), name);
            }
            assertThat(client.rmdir(nodes.get(i - 1), name).error()).isZero();
        }
    }

    /** Folders that the host moved into one another, between the guest's looks at them. */
    @Test
    void findsNoWayAroundInACircle() throws IOException {
        Files.createDirectories(folder.resolve("a/b"));
        long a = client.find("a");
        long b = client.find("a/b");
        client.handle(client.opendir(b));

        Files.move(folder.resolve("a/b"), folder.resolve("b"));
        Files.move(folder.resolve("a"), folder.resolve("b/a"));
        assertThat(client.lookup(b, "a").node()).isEqualTo(a);
        client.server().reset();
        client.init();

        assertThat(client.find("b/a")).isNotEqualTo(a);
        Files.createDirectories(folder.resolve("c/d/e"));
        long d = client.find("c/d");
        long e = client.find("c/d/e");
        long list = client.handle(client.opendir(e));
        Files.move(folder.resolve("c/d/e"), folder.resolve("e"));
        Files.move(folder.resolve("c/d"), folder.resolve("e/d"));
        assertThat(client.lookup(e, "d").node()).isEqualTo(d);
        client.release(e, list);
        evictAll();
        // Each was last seen in the other.
        assertThat(client.getattr(d).error()).isEqualTo(Errno.ESTALE);
        assertThat(client.getattr(e).error()).isEqualTo(Errno.ESTALE);
        assertThat(client.find("e/d")).isEqualTo(d);
        assertThat(client.getattr(d).error()).isZero();
    }

    @Test
    void keepsDescriptorsWhereFilesCanNotBeKnownAgain() throws IOException {
        // Files of /sys have no time at which they were made.
        Path classes = Path.of("/sys/class");
        assumeTrue(Files.isDirectory(classes), "no /sys here");
        try (FuseClient other = FuseClient.mount(classes, FsOptions.readOnly().withCachedDescriptors(3))) {
            List<String> names = other.list(FuseLayout.READDIR, ROOT, 4096).keySet().stream()
                    .filter(name -> !name.startsWith("."))
                    .limit(5)
                    .toList();
            List<Long> nodes = new ArrayList<>();
            for (String name : names.subList(0, 3)) {
                nodes.add(other.find(name));
            }
            assertThat(other.server().idleDescriptors()).isEqualTo(4);
            assertThat(other.lookup(ROOT, names.get(3)).error()).isEqualTo(Errno.ENFILE);
            assertThat(nodes)
                    .allSatisfy(node -> assertThat(other.getattr(node).error()).isZero());
            other.forget(nodes.get(0), 1);
            assertThat(other.lookup(ROOT, names.get(3)).error()).isZero();
        }
    }
}
